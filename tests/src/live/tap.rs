//! What stands between an encoder and the control plane and writes down what was acknowledged. It changes nothing.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use super::channel::Ingest;
use super::encoder::Feed;

const POLL: Duration = Duration::from_millis(5);
/// The longest line of a head, bytes.
const LINE: u64 = 1 << 16;

/// A segment that was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What the encoder sends.
    pub feed: Feed,
    /// The rendition.
    pub rendition: usize,
    /// Number of the segment, counted from the start of the encoder.
    pub segment: u32,
}

/// A tap of one input. Encoders find nobody there while the control plane is said to be away.
pub struct Tap {
    /// Where encoders push.
    pub ingest: Ingest,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: SocketAddr,
    away: AtomicBool,
    over: AtomicBool,
    feed: Mutex<Option<Feed>>,
    taken: Mutex<Vec<Taken>>,
    refused: Mutex<Vec<String>>,
}

impl Tap {
    /// Begins.
    pub fn start(ingest: &Ingest) -> Self {
        let host = ingest.url.split('/').nth(2).unwrap_or_default();
        let shared = Arc::new(Shared {
            upstream: host.parse().unwrap_or_else(|error| panic!("{host}: {error}")),
            away: AtomicBool::new(false),
            over: AtomicBool::new(false),
            feed: Mutex::default(),
            taken: Mutex::default(),
            refused: Mutex::default(),
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let own = shared.clone();
        std::thread::spawn(move || own.listen(listener, address));
        let url = ingest.url.replacen(host, &address.to_string(), 1);
        Self { ingest: Ingest { url, user: ingest.user.clone() }, shared }
    }

    /// The encoder that begins now sends this.
    pub fn expect(&self, feed: Feed) {
        *self.shared.feed.lock().expect("the feed") = Some(feed);
    }

    /// The control plane goes away, or is back.
    pub fn away(&self, away: bool) {
        self.shared.away.store(away, Ordering::Relaxed);
    }

    /// All that was acknowledged.
    pub fn taken(&self) -> Vec<Taken> {
        self.shared.taken.lock().expect("the list").clone()
    }

    /// Status lines of what was refused, with the names.
    pub fn refused(&self) -> Vec<String> {
        self.shared.refused.lock().expect("the list").clone()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn listen(self: &Arc<Self>, first: TcpListener, address: SocketAddr) {
        let mut listener = Some(first);
        while !self.over.load(Ordering::Relaxed) {
            if self.away.load(Ordering::Relaxed) {
                listener = None;
            } else if listener.is_none() {
                listener = TcpListener::bind(address).ok();
            }
            let accepted = listener.as_ref().and_then(|listener| {
                listener.set_nonblocking(true).ok()?;
                listener.accept().ok()
            });
            match accepted {
                Some((client, _)) => {
                    let (own, feed) = (self.clone(), *self.feed.lock().expect("the feed"));
                    std::thread::spawn(move || own.connection(client, feed));
                }
                None => std::thread::sleep(POLL),
            }
        }
    }

    fn connection(self: &Arc<Self>, client: TcpStream, feed: Option<Feed>) {
        let Ok(server) = TcpStream::connect(self.upstream) else { return };
        let (names, asked) = mpsc::channel();
        let back = || -> io::Result<_> {
            client.set_nonblocking(false)?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            Ok((client.try_clone()?, server.try_clone()?))
        };
        let Ok((to_client, from_server)) = back() else { return };
        let own = self.clone();
        std::thread::spawn(move || own.answers(BufReader::new(from_server), to_client, &asked, feed));
        let (mut requests, mut to_server) = (BufReader::new(client), server);
        while let Ok(Some(head)) = head(&mut requests) {
            let first = head.first();
            let path = first.split(' ').nth(1).unwrap_or_default();
            let name = path.rsplit('/').next().unwrap_or_default().to_owned();
            let sent = names.send(name).is_ok() && to_server.write_all(&head.bytes).is_ok();
            if !sent || body(&head, false, &mut requests, &mut to_server).is_err() {
                break;
            }
        }
        // What was sent last is answered all the same.
        let _ = to_server.shutdown(Shutdown::Write);
    }

    fn answers(
        &self,
        mut answers: BufReader<TcpStream>,
        mut client: TcpStream,
        asked: &mpsc::Receiver<String>,
        feed: Option<Feed>,
    ) {
        while let Ok(Some(head)) = head(&mut answers) {
            let status = head.first().split(' ').nth(1).unwrap_or_default().to_owned();
            let interim = status.starts_with('1');
            if !interim && let Ok(name) = asked.recv() {
                self.note(&status, &name, feed);
            }
            // An encoder that has hung up has no need of it.
            let _ = client.write_all(&head.bytes);
            let none = interim || status == "204";
            if !none && body(&head, true, &mut answers, &mut client).is_err() {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Both);
    }

    fn note(&self, status: &str, name: &str, feed: Option<Feed>) {
        if !matches!(status, "200" | "201" | "204" | "401") {
            self.refused.lock().expect("the list").push(format!("{status} {name}"));
        }
        if !matches!(status, "200" | "201") {
            return;
        }
        let parts = name.strip_prefix('v').and_then(|rest| rest.split_once('.')?.0.split_once('_'));
        let Some((rendition, segment)) = parts else { return };
        if let (Ok(rendition), Ok(segment), Some(feed)) = (rendition.parse(), segment.parse(), feed) {
            self.taken.lock().expect("the list").push(Taken { feed, rendition, segment });
        }
    }
}

/// The head of a request or an answer, with the empty line.
struct Head {
    bytes: Vec<u8>,
}

impl Head {
    fn first(&self) -> String {
        let line = self.bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
        String::from_utf8_lossy(line).into_owned()
    }

    fn field(&self, name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(&self.bytes).to_lowercase();
        text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
    }
}

fn line(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    from.take(LINE).read_until(b'\n', &mut line)?;
    match line.last() {
        Some(b'\n') => Ok(line),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The next head; nothing when there is none any more.
fn head(from: &mut impl BufRead) -> io::Result<Option<Head>> {
    if from.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    loop {
        let line = line(from)?;
        bytes.extend(&line);
        if line == b"\r\n" {
            return Ok(Some(Head { bytes }));
        }
    }
}

/// Hands a body on. That of an answer goes on to the end of the connection when nothing says how long it is.
fn body(head: &Head, answer: bool, from: &mut impl BufRead, to: &mut TcpStream) -> io::Result<()> {
    if head.field("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
        loop {
            let size = line(from)?;
            let text = String::from_utf8_lossy(&size);
            let length = u64::from_str_radix(text.trim(), 16).map_err(|_| io::ErrorKind::InvalidData)?;
            pass(&size, to, answer)?;
            // With the line break at its end.
            copy(from, to, length + 2, answer)?;
            if length == 0 {
                return Ok(());
            }
        }
    }
    match head.field("content-length") {
        Some(length) => copy(from, to, length.parse().map_err(|_| io::ErrorKind::InvalidData)?, answer),
        None if answer => copy(from, to, u64::MAX, answer),
        None => Ok(()),
    }
}

fn copy(from: &mut impl BufRead, to: &mut TcpStream, mut length: u64, answer: bool) -> io::Result<()> {
    while length > 0 {
        let bytes = from.fill_buf()?;
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let some = bytes.len().min(usize::try_from(length).unwrap_or(usize::MAX));
        pass(&bytes[..some], to, answer)?;
        from.consume(some);
        length -= some as u64;
    }
    Ok(())
}

/// Who asked may have gone; who is asked has to be there.
fn pass(bytes: &[u8], to: &mut TcpStream, answer: bool) -> io::Result<()> {
    let sent = to.write_all(bytes);
    if answer { Ok(()) } else { sent }
}
