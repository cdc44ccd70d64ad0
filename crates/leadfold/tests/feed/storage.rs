//! Disks that take no more: the service ends by itself, and comes back whole once there is room.

use std::process::Command;

use anyhow::{Result, ensure};
use nats_testbed::NatsServer;

use crate::support::check::check;
use crate::support::load::{Traffic, last_event, message, surely};
use crate::support::site::Site;
use crate::support::{Dice, stream};

const EVENTS: u64 = 9_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_may_not_grow_end_the_service_which_comes_back_whole() -> Result<()> {
    let (server, site) = (NatsServer::start()?, Site::with_policy()?);
    let connection = stream::connect(&server.url()).await?;
    jetstream::provision(&connection, &jetstream::StreamSettings::incoming()).await?;
    let mut traffic = Traffic::new("e", site.clock(), Dice::new());
    let events: Vec<_> = (0..EVENTS).map(|_| message(&traffic.event(), None)).collect();
    let acknowledged = surely(&connection, events).await?;
    let mut failed = Vec::new();
    for kilobytes in ["120", "250", "400", "700", "1100"] {
        let mut command = Command::new("bash");
        site.prepare(&mut command);
        let script = "trap '' XFSZ; ulimit -f \"$1\"; exec \"$0\" serve --listen 127.0.0.1:0 --nats \"$2\"";
        command.args(["-c", script, env!("CARGO_BIN_EXE_leadfold"), kilobytes, &server.url()]);
        let before = site.log_position();
        let ended = site.start(command)?.ended().await?;
        ensure!(ended.error().contains("File too large"), "{}", ended.error());
        failed.push(site.log_position());
        ensure!(site.log_position() >= before, "the log is shorter");
    }
    println!("met the limit at {failed:?}");
    let mut serving = site.serve(&server.url())?;
    serving.http().await?.settled(&last_event(site.clock())).await?;
    serving.stop().await?;
    check(&site, &server, &acknowledged).await
}
