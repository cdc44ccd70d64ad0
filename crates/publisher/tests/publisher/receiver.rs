//! A small HTTP server that answers as it is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) line: String,
    /// By name in lower case.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// Listens on a port of this machine.
pub(crate) struct Receiver {
    pub(crate) port: u16,
    pub(crate) requests: watch::Receiver<Vec<Request>>,
    pub(crate) connections: Arc<Mutex<usize>>,
}

impl Receiver {
    /// Gives these answers (status line and headers), one a request, and then 200. `None` is no answer at all.
    pub(crate) async fn answering(answers: &[Option<&'static str>]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (noted, requests) = watch::channel(Vec::new());
        let connections = Arc::new(Mutex::new(0));
        let (counted, answers, noted) = (Arc::clone(&connections), Arc::<[_]>::from(answers), Arc::new(noted));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *counted.lock().unwrap() += 1;
                tokio::spawn(answer(stream, Arc::clone(&answers), Arc::clone(&noted)));
            }
        });
        Self { port, requests, connections }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook?token=hidden", self.port)
    }

    /// The requests, once there are so many.
    pub(crate) async fn requests(&mut self, count: usize) -> Vec<Request> {
        self.requests.wait_for(|requests| requests.len() >= count).await.unwrap().clone()
    }
}

async fn answer(stream: TcpStream, answers: Arc<[Option<&'static str>]>, noted: Arc<watch::Sender<Vec<Request>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await {
        let mut count = 0;
        noted.send_modify(|requests| {
            count = requests.len();
            requests.push(request);
        });
        let Some(head) = answers.get(count).copied().unwrap_or(Some("200 OK\r\n")) else {
            return std::future::pending().await;
        };
        let text = format!("HTTP/1.1 {head}content-length: 6\r\n\r\nthanks");
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let line = read_line(stream).await?;
    let mut headers = HashMap::new();
    while let Some((name, value)) = read_line(stream).await?.split_once(": ") {
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request { line, headers, body })
}

async fn read_line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let bytes = stream.read_line(&mut line).await.ok()?;
    (bytes > 0).then(|| line.trim_end().to_owned())
}
