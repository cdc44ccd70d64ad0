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
    /// How many connections are open.
    open: watch::Sender<usize>,
}

impl Proxy {
    pub(crate) async fn to(target: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (up, state) = watch::channel(true);
        let open = watch::Sender::new(0);
        let count = open.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (count, state) = (count.clone(), state.clone());
                count.send_modify(|it| *it += 1);
                tokio::spawn(async move {
                    pass(client, target, state).await;
                    count.send_modify(|it| *it -= 1);
                });
            }
        });
        Ok(Self { port, up, open })
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Returns when nothing passes any more.
    pub(crate) async fn cut(&self) {
        self.up.send_replace(false);
        // The sender lives here, so the count can't end otherwise.
        let _ = self.open.subscribe().wait_for(|count| *count == 0).await;
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
