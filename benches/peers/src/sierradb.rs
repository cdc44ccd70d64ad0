//! SierraDB over its Redis protocol (RESP3).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use redis_protocol::resp3::decode::complete::decode;
use redis_protocol::resp3::types::{OwnedFrame, Resp3Frame};
use uuid::Uuid;

use crate::drive::{Answered, Figure, Row, Server, free_port, program, shares};

/// Clients that each wait for their answer.
const CLIENTS: usize = 16;
/// Events of a transaction, which goes to one partition, and clients that send such.
const BATCH: usize = 500;
const BATCHING_CLIENTS: usize = 4;
/// Partitions where nobody says otherwise.
const PARTITIONS: u32 = 32;
/// Events that are read in one go.
const PAGE: u64 = 1_000;
/// How often everything is read at most, and the pause in between.
const READINGS_MAX: usize = 20;
const PAUSE: Duration = Duration::from_millis(200);
const BUFFER: usize = 1 << 20;

const COMMON: &str = "[network]\ncluster_enabled = false\n";
/// The shortest intervals that it takes: it wants the one at rest to be shorter than the other.
const TUNED: &str = "[sync]\ninterval_ms = 2\nidle_interval_ms = 1\nmax_batch_size = 1\nmin_bytes = 1\n";

pub(crate) fn as_it_comes(rows: &[Row], limit: Duration) -> anyhow::Result<Vec<Figure>> {
    measure(rows, limit, "")
}

pub(crate) fn tuned(rows: &[Row], limit: Duration) -> anyhow::Result<Vec<Figure>> {
    measure(rows, limit, TUNED)
}

fn measure(rows: &[Row], limit: Duration, settings: &str) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (clients, batch) in [(1, 1), (CLIENTS, 1), (BATCHING_CLIENTS, BATCH)] {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let config = folder.path().join("sierra.toml");
        std::fs::write(&config, format!("{COMMON}{settings}")).context("cannot write the configuration")?;
        let (port, data) = (free_port()?, folder.path().join("data"));
        let mut command = Command::new(program("sierradb")?);
        command.arg("--dir").arg(&data).arg("--config").arg(&config);
        command.args(["--client-address", &format!("127.0.0.1:{port}"), "--log", "error"]);
        let server = Server::start(&mut command, port)?;
        let (cpu_before, _) = server.used();
        let mut figure = append(port, rows, clients, batch, limit)?;
        server.note(&mut figure, &data, cpu_before)?;
        let appended = figure.events;
        figures.push(figure);
        if batch > 1 {
            figures.push(read(port, appended)?);
        }
    }
    Ok(figures)
}

fn append(port: u16, rows: &[Row], clients: usize, batch: usize, limit: Duration) -> anyhow::Result<Figure> {
    let shares = shares(rows, clients);
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(Connection::open(port)?);
    }
    let started = Instant::now();
    let mut answered = Answered::default();
    std::thread::scope(|scope| {
        let work = connections
            .iter_mut()
            .zip(&shares)
            .map(|(connection, share)| scope.spawn(move || send(connection, share, batch, started + limit)));
        // All of them are started before the first is waited for.
        let work: Vec<_> = work.collect();
        for done in work {
            answered.add(done.join().map_err(|_| anyhow::anyhow!("a client panicked"))??);
        }
        anyhow::Ok(())
    })?;
    Ok(answered.figure(batch, clients, started))
}

fn send(connection: &mut Connection, share: &[(&Row, u32)], batch: usize, until: Instant) -> anyhow::Result<Answered> {
    let mut answered = Answered::default();
    // All streams of a transaction must belong to one partition.
    let partition = Uuid::new_v4().to_string();
    for rows in share.chunks(batch) {
        let begun = Instant::now();
        if begun > until {
            break;
        }
        let mut words = if batch == 1 { vec!["EAPPEND"] } else { vec!["EMAPPEND", &partition] };
        let versions: Vec<String> = rows.iter().map(|(_, version)| expected(*version)).collect();
        for ((row, _), version) in rows.iter().zip(&versions) {
            words.extend([&row.stream, "interaction", "EXPECTED_VERSION", version, "PAYLOAD", &row.payload]);
        }
        connection.ask(&words)?;
        answered.events += rows.len() as u64;
        answered.times.push(begun.elapsed());
    }
    Ok(answered)
}

/// What the stream's last version must be, from 0, in front of its event of that number, from 1.
fn expected(number: u32) -> String {
    number.checked_sub(2).map_or_else(|| "empty".to_owned(), |version| version.to_string())
}

/// Reads everything. What was answered can be read a little later only, so it is read again until all is there.
fn read(port: u16, appended: u64) -> anyhow::Result<Figure> {
    let mut connection = Connection::open(port)?;
    let mut events = 0;
    for _ in 0..READINGS_MAX {
        let started = Instant::now();
        events = scan(&mut connection)?;
        if events == appended {
            let seconds = started.elapsed().as_secs_f64();
            return Ok(Figure { path: "read", batch: 1_000, clients: 1, events, seconds, ..Figure::default() });
        }
        std::thread::sleep(PAUSE);
    }
    bail!("{events} of {appended} events were read back")
}

/// Reads all partitions, one after the other; returns how many events there were.
fn scan(connection: &mut Connection) -> anyhow::Result<u64> {
    let mut events = 0;
    for partition in 0..PARTITIONS {
        let (mut from, partition) = (0_u64, partition.to_string());
        loop {
            let page = connection.ask(&["EPSCAN", &partition, &from.to_string(), "+", "COUNT", &PAGE.to_string()])?;
            let page = page_of(&page).context("SierraDB answers a scan with something else")?;
            events += page.events;
            let Some(last) = page.last.filter(|_| page.has_more) else { break };
            from = last + 1;
        }
    }
    Ok(events)
}

/// What a page of a partition holds.
struct Page {
    events: u64,
    /// The last one's number in the partition.
    last: Option<u64>,
    has_more: bool,
}

fn page_of(page: &OwnedFrame) -> Option<Page> {
    let OwnedFrame::Array { data, .. } = value(page, "events")? else { return None };
    let OwnedFrame::Boolean { data: has_more, .. } = value(page, "has_more")? else { return None };
    let last = match data.last() {
        Some(event) => Some(number(value(event, "partition_sequence")?)?),
        None => None,
    };
    Some(Page { events: data.len() as u64, last, has_more: *has_more })
}

fn value<'a>(map: &'a OwnedFrame, name: &str) -> Option<&'a OwnedFrame> {
    let OwnedFrame::Map { data, .. } = map else { return None };
    data.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
}

fn number(frame: &OwnedFrame) -> Option<u64> {
    if let OwnedFrame::Number { data, .. } = frame { u64::try_from(*data).ok() } else { frame.as_str()?.parse().ok() }
}

struct Connection {
    stream: TcpStream,
    /// What was read of an answer, and the next part of it.
    buffer: Vec<u8>,
    part: Vec<u8>,
}

impl Connection {
    fn open(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).context("cannot connect to SierraDB")?;
        stream.set_nodelay(true)?;
        let mut connection = Self { stream, buffer: Vec::new(), part: vec![0; BUFFER] };
        connection.ask(&["HELLO", "3"])?;
        Ok(connection)
    }

    /// Sends a command and waits for its answer.
    fn ask(&mut self, words: &[&str]) -> anyhow::Result<OwnedFrame> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.stream.write_all(request.as_bytes()).context("cannot write to SierraDB")?;
        self.buffer.clear();
        loop {
            let read = self.stream.read(&mut self.part).context("cannot read from SierraDB")?;
            ensure!(read > 0, "SierraDB closed the connection");
            self.buffer.extend_from_slice(self.part.get(..read).unwrap_or_default());
            let Some((answer, _)) = decode(&self.buffer).context("SierraDB answers something else")? else { continue };
            if let OwnedFrame::SimpleError { data, .. } = &answer {
                bail!("SierraDB refuses {}: {data}", words.first().unwrap_or(&"nothing"));
            }
            if let OwnedFrame::BlobError { data, .. } = &answer {
                bail!("SierraDB refuses: {}", String::from_utf8_lossy(data));
            }
            return Ok(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_count_from_zero_behind_nothing() {
        assert_eq!([1, 2, 3].map(expected), ["empty", "0", "1"]);
    }
}
