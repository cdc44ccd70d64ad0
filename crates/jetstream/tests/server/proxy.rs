//! A network in front of the server that can be cut.

use std::net::Ipv4Addr;

use anyhow::Result;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes bytes on while it is up. Cut, it ends what is open and lets nobody through.
pub(crate) struct Proxy {
    port: u16,
    up: watch::Sender<bool>,
}

impl Proxy {
    pub(crate) async fn to(target: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (up, state) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, target, state.clone()));
            }
        });
        Ok(Self { port, up })
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn cut(&self) {
        self.up.send_replace(false);
    }

    pub(crate) fn mend(&self) {
        self.up.send_replace(true);
    }
}

async fn pass(mut client: TcpStream, target: u16, mut up: watch::Receiver<bool>) {
    if !*up.borrow_and_update() {
        return;
    }
    if let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await {
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => {}
            _ = up.changed() => {}
        }
    }
}
