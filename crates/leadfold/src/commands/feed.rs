//! `leadfold feed …`

use anyhow::Context;
use jetstream::{Connection, EpochStart, FeedMark, LEADFOLD_IN};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::cli::FeedCommand;
use crate::folder::Folder;
use crate::output::{json_line, line};
use crate::serve::nats::{WATERMARK, connection_options, mark};
use crate::settings::Settings;

pub(crate) fn run(command: &FeedCommand, settings: &Settings) -> anyhow::Result<()> {
    match command {
        FeedCommand::Show => {
            let folder = Folder::open(settings)?;
            match mark(&folder.engine)? {
                Some(mark) => tell(&mark, settings)?,
                None => line("no feed was read into this folder yet")?,
            }
            folder.close()
        }
        FeedCommand::NewEpoch { from, nats } => {
            let _ = rustls::crypto::ring::default_provider().install_default();
            let mut folder = Folder::open(settings)?;
            let previous = mark(&folder.engine)?;
            let start = from.map_or(EpochStart::FirstAvailable, EpochStart::Sequence);
            let options = connection_options(nats, "leadfold feed new-epoch")?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let found = runtime.block_on(async {
                let connection = Connection::open(&options, &CancellationToken::new()).await?;
                anyhow::Ok(FeedMark::new_epoch(&connection, LEADFOLD_IN, previous.as_ref(), start).await?)
            });
            let next = found.context("cannot begin a new epoch")?;
            folder.engine.commit(Some((WATERMARK.to_owned(), next.to_bytes())))?;
            folder.engine.flush()?;
            tell(&next, settings)?;
            folder.close()
        }
    }
}

fn tell(mark: &FeedMark, settings: &Settings) -> anyhow::Result<()> {
    if settings.json {
        return json_line(&json!({
            "stream": mark.stream, "epoch": mark.epoch, "sequence": mark.sequence, "created_ns": mark.created_ns,
        }));
    }
    line(format_args!("stream {}, epoch {}: read up to message {}", mark.stream, mark.epoch, mark.sequence))
}
