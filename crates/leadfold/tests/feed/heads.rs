//! Signed heads on the stream of lead events: where everybody can keep them.

use anyhow::{Context, Result};
use jetstream::LEADFOLD_OUT;
use nats_testbed::NatsServer;
use serde_json::{Value, json};

use crate::support::site::Site;
use crate::support::stream::{self, Admin};
use crate::support::until;

async fn sent(admin: &Admin) -> Result<Vec<Value>> {
    let all = stream::read_all(admin, LEADFOLD_OUT).await?;
    let heads = all.iter().filter(|message| message.subject == "leadfold.out.acme.head_signed");
    Ok(heads.map(|message| serde_json::from_slice(&message.payload)).collect::<Result<_, _>>()?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_head_goes_out_once() -> Result<()> {
    let (server, site) = (NatsServer::start()?, Site::with_policy()?);
    let mut serving = site.serve(&server.url())?;
    serving.ready().await?;
    let signed = site.json(&["heads", "--sign"])?.pop().context("a head")?;
    let admin = stream::admin(&server.url()).await?;
    until("the head", async || Ok(sent(&admin).await?.pop().map(|_| ()))).await?;
    serving.stop().await?;
    let mut again = site.serve(&server.url())?;
    again.ready().await?;
    // A second head goes out behind whatever would be sent anew.
    site.done(&["heads", "--sign"])?;
    until("the second head", async || Ok((sent(&admin).await?.len() > 1).then_some(()))).await?;
    again.stop().await?;
    let heads = sent(&admin).await?;
    assert_eq!(heads.len(), 2);
    assert_eq!(heads[0]["data"], json!({ "event": "head_signed", "size": signed["size"], "note": signed["note"] }));
    assert_eq!((&heads[0]["type"], &heads[0]["subject"]), (&json!("leadfold.head_signed.v1"), &Value::Null));
    site.picture()?;
    Ok(())
}
