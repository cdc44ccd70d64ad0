//! Where a command finds the data: in a folder of its own, or with a running service.

use crate::folder::{Folder, FolderHeld};
use crate::remote::Server;
use crate::settings::Settings;

/// Where a command finds the data.
pub(crate) enum Source {
    /// An open folder, which nobody else has open.
    Folder(Box<Folder>),
    /// A service that answers for its folder.
    Server(Box<Server>),
}

impl Source {
    /// The service that was named, or else the folder; where a service holds that, the service.
    pub(crate) fn open(settings: &Settings) -> anyhow::Result<Self> {
        Self::of(settings, Folder::open)
    }

    /// The same, but a folder that isn't there is made.
    pub(crate) fn open_or_create(settings: &Settings) -> anyhow::Result<Self> {
        Self::of(settings, Folder::open_or_create)
    }

    fn of(settings: &Settings, open: fn(&Settings) -> anyhow::Result<Folder>) -> anyhow::Result<Self> {
        if let Some(url) = &settings.server {
            return Ok(Self::Server(Box::new(Server::named(url, settings)?)));
        }
        let error = match open(settings) {
            Ok(folder) => return Ok(Self::Folder(Box::new(folder))),
            Err(error) => error,
        };
        match error.downcast_ref::<FolderHeld>().and_then(|held| held.address.as_deref()) {
            Some(address) => Ok(Self::Server(Box::new(Server::holding(address, settings)?))),
            None => Err(error),
        }
    }

    /// Closes a folder; a service goes on.
    pub(crate) fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Folder(folder) => folder.close(),
            Self::Server(_) => Ok(()),
        }
    }
}
