//! One connection at work: a thread that sends and a thread that receives.
//!
//! Both share the state of TLS under a lock that is held while records are sealed or opened, never
//! while a socket blocks. So two parties can fill each other's pipes at once.

use std::{
    io::{self, BufRead, ErrorKind, IoSlice, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustls::Connection;

use super::{Counters, Digest, Error, Limits, Mailbox, Outbox, Party, Result, meet::Joined};
use crate::transport::{
    HEADER_BYTES,
    frame::Header,
    mailbox::{Arrived, payload_limit},
    mesh::Parcel,
};

/// Bytes sealed under one hold of the lock and written at once.
const CHUNK: usize = 1 << 16;
/// Bytes taken from the socket at once.
const INTAKE: usize = 1 << 17;
/// How long a closing party waits for its last frames to leave, and then for its peer to close.
const FAREWELL: Duration = Duration::from_millis(1000);
const PARTING: Duration = Duration::from_millis(250);
/// Longest sleep between two looks at whether the connection was cut.
const NAP: Duration = Duration::from_millis(50);

/// What both threads use.
struct Shared {
    peer: Party,
    own: Digest,
    connection: Mutex<Connection>,
    socket: TcpStream,
    limits: Limits,
    mailbox: Arc<Mailbox>,
    counters: Arc<Counters>,
    /// Set when the connection is cut with frames still waiting for an imitated network.
    cut: AtomicBool,
}

enum Item {
    Parcel(Parcel),
    Drained(mpsc::Sender<()>),
}

/// The way to a peer over TLS. Dropping it closes the connection in bounded time.
pub(super) struct Link {
    shared: Arc<Shared>,
    queue: Option<mpsc::Sender<Item>>,
    sender: Worker,
    receiver: Worker,
}

/// A thread that says when it is done.
struct Worker {
    thread: Option<JoinHandle<()>>,
    done: mpsc::Receiver<()>,
}

impl Worker {
    fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> Result<Self> {
        let (finished, done) = mpsc::channel::<()>();
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || {
                work();
                drop(finished);
            })
            .map_err(|error| Error::Thread(error.to_string()))?;
        Ok(Self { thread: Some(thread), done })
    }

    /// Nothing is ever sent: the channel closes when the thread ends.
    fn wait(&self, limit: Duration) {
        let _ = self.done.recv_timeout(limit);
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Puts an authenticated connection to work. `own` is this party's fingerprint, for messages.
pub(super) fn start(
    joined: Joined,
    own: Digest,
    limits: Limits,
    mailbox: Arc<Mailbox>,
    counters: Arc<Counters>,
) -> Result<Link> {
    let Joined { peer, mut connection, socket, .. } = joined;
    connection.set_buffer_limit(None);
    let lost = |error: io::Error| Error::Lost { peer, reason: error.to_string() };
    socket.set_write_timeout(Some(limits.receive)).map_err(lost)?;
    let connection = Mutex::new(connection);
    let shared = Shared { peer, own, connection, socket, limits, mailbox, counters, cut: AtomicBool::new(false) };
    let shared = Arc::new(shared);
    let (queue, items) = mpsc::channel();
    let (a, b) = (shared.clone(), shared.clone());
    let sender = Worker::spawn(format!("send to {}", peer.0), move || a.send_all(&items))?;
    let receiver = Worker::spawn(format!("receive from {}", peer.0), move || b.receive_all())?;
    Ok(Link { shared, queue: Some(queue), sender, receiver })
}

impl Outbox for Link {
    fn put(&mut self, parcel: Parcel) {
        if let Some(queue) = &self.queue {
            // A sender that has stopped has told the mailbox why.
            let _ = queue.send(Item::Parcel(parcel));
        }
    }

    fn drain(&mut self, limit: Duration) -> bool {
        let (done, drained) = mpsc::channel();
        let Some(queue) = &self.queue else {
            return false;
        };
        if queue.send(Item::Drained(done)).is_err() {
            return false;
        }
        let sent = || self.shared.counters.total_sent(self.shared.peer);
        let mut before = sent();
        for _ in 0..Limits::PATIENCE {
            match drained.recv_timeout(limit) {
                Ok(()) => return true,
                Err(mpsc::RecvTimeoutError::Timeout) if sent() > before => before = sent(),
                Err(_) => return false,
            }
        }
        false
    }

    fn close(&mut self) {
        self.queue = None;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
        self.sender.wait(FAREWELL);
        self.receiver.wait(PARTING);
        self.shared.cut.store(true, Ordering::Release);
        // Wakes either thread if it still blocks.
        let _ = self.shared.socket.shutdown(Shutdown::Both);
        self.sender.join();
        self.receiver.join();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send_all(&self, items: &mpsc::Receiver<Item>) {
        let mut records = Vec::with_capacity(CHUNK + CHUNK / 8);
        for item in items {
            match item {
                Item::Parcel(parcel) => {
                    if let Err(error) = self.transmit(&parcel, &mut records) {
                        return self.mailbox.ended(self.peer, self.explain(&error));
                    }
                    self.counters.frame_sent(self.peer, parcel.kind);
                }
                Item::Drained(done) => {
                    // Whoever asked may have stopped waiting.
                    let _ = done.send(());
                }
            }
        }
        self.lock().send_close_notify();
        // The connection may be gone already, which is as good.
        let _ = self.seal(&mut records).and_then(|()| self.write(&records));
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Seals and writes a parcel piece by piece; the first piece has the header and what of the
    /// payload fits beside it, so that a small frame is one record.
    fn transmit(&self, parcel: &Parcel, records: &mut Vec<u8>) -> io::Result<()> {
        let mut sent = 0;
        while sent < parcel.bytes() {
            let end = parcel.bytes().min(sent + CHUNK);
            let header = &parcel.header[sent.min(HEADER_BYTES)..];
            let payload = &parcel.payload[sent.saturating_sub(HEADER_BYTES)..end - HEADER_BYTES];
            let taken = {
                let mut connection = self.lock();
                let pieces = [IoSlice::new(header), IoSlice::new(payload)];
                connection.writer().write_vectored(&pieces)?
            };
            self.seal(records)?;
            if let Some(departure) = &parcel.departure {
                self.pause(departure.arrival(end))?;
            }
            self.write(records)?;
            self.counters.bytes_sent(self.peer, parcel.kind, taken as u64);
            sent += taken;
        }
        Ok(())
    }

    /// Sleeps until then, in pieces, so that a connection that is cut ends soon.
    fn pause(&self, until: Instant) -> io::Result<()> {
        loop {
            if self.cut.load(Ordering::Acquire) {
                return Err(ErrorKind::ConnectionAborted.into());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(NAP));
        }
    }

    /// What is to be sent, as records.
    fn seal(&self, records: &mut Vec<u8>) -> io::Result<()> {
        records.clear();
        let mut connection = self.lock();
        while connection.wants_write() {
            connection.write_tls(records)?;
        }
        Ok(())
    }

    fn write(&self, records: &[u8]) -> io::Result<()> {
        (&self.socket).write_all(records)?;
        self.counters.wire_sent(records.len() as u64);
        Ok(())
    }

    fn receive_all(self: &Arc<Self>) {
        let mut stream = Stream { shared: self, intake: vec![0; INTAKE], start: 0, end: 0 };
        let mut first = true;
        loop {
            match self.receive_one(&mut stream) {
                Ok(arrived) => self.mailbox.arrive(self.peer, arrived),
                Err(Ending::Frame(error)) => return self.mailbox.fail(error),
                Err(Ending::Stream(error)) => {
                    let error = match refusal(&error) {
                        Some(alert) if first => Error::CertificateRefused { peer: self.peer, own: self.own, alert },
                        _ => self.explain(&error),
                    };
                    return self.mailbox.ended(self.peer, error);
                }
            }
            first = false;
        }
    }

    fn receive_one(&self, stream: &mut Stream<'_>) -> std::result::Result<Arrived, Ending> {
        let mut start = Vec::with_capacity(HEADER_BYTES);
        while start.len() < HEADER_BYTES {
            stream.append(&mut start, HEADER_BYTES)?;
        }
        let mut header = [0; HEADER_BYTES];
        header.copy_from_slice(&start);
        let limit = payload_limit(header[3], &self.limits);
        let header = Header::decode(&header, self.peer, limit).map_err(Ending::Frame)?;
        self.counters.bytes_received(self.peer, header.kind, HEADER_BYTES as u64);
        let mut payload = Vec::new();
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        // Room is reserved, not touched: an announced length costs no memory until bytes come.
        payload.try_reserve_exact(length).map_err(|_| {
            let reason = format!("this machine has no room for its {length} bytes");
            Ending::Frame(Error::Malformed { peer: self.peer, reason })
        })?;
        while payload.len() < length {
            let bytes = stream.append(&mut payload, length)?;
            self.counters.bytes_received(self.peer, header.kind, bytes as u64);
        }
        self.counters.frame_received(self.peer, header.kind);
        Ok(Arrived { header, payload, ready_at: None })
    }

    fn explain(&self, error: &io::Error) -> Error {
        let peer = self.peer;
        match error.kind() {
            ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe => Error::Closed { peer },
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                let limit = self.limits.receive.as_secs_f64();
                let reason = format!("it took no bytes for {limit} s");
                Error::Lost { peer, reason }
            }
            _ => Error::Lost { peer, reason: error.to_string() },
        }
    }
}

/// Why no further frame comes.
enum Ending {
    Frame(Error),
    Stream(io::Error),
}

impl From<io::Error> for Ending {
    fn from(error: io::Error) -> Self {
        Self::Stream(error)
    }
}

/// The alert by which the peer refused the handshake after this side had completed it.
fn refusal(error: &io::Error) -> Option<String> {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::AlertReceived(alert)) => Some(format!("{alert:?}")),
        _ => None,
    }
}

/// The opened byte stream from the peer.
struct Stream<'a> {
    shared: &'a Shared,
    intake: Vec<u8>,
    start: usize,
    end: usize,
}

impl Stream<'_> {
    /// Appends at least one byte to `target`, up to `length` in all, and returns how many. The end
    /// of the stream is an error.
    fn append(&mut self, target: &mut Vec<u8>, length: usize) -> io::Result<usize> {
        let before = target.len();
        loop {
            self.open(target, length)?;
            if target.len() > before {
                return Ok(target.len() - before);
            }
            let count = (&self.shared.socket).read(&mut self.intake)?;
            (self.start, self.end) = (0, count);
            if count == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.shared.counters.wire_received(count as u64);
            self.shared.mailbox.progress(self.shared.peer);
        }
    }

    /// Opens records until `target` has `length` bytes or all intake is used up.
    fn open(&mut self, target: &mut Vec<u8>, length: usize) -> io::Result<()> {
        let mut connection = self.shared.lock();
        loop {
            let mut reader = connection.reader();
            match reader.fill_buf() {
                Ok([]) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(plain) => {
                    let count = plain.len().min(length - target.len());
                    target.extend_from_slice(&plain[..count]);
                    reader.consume(count);
                    if target.len() == length {
                        return Ok(());
                    }
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if self.start == self.end {
                return Ok(());
            }
            let mut taken_in = &self.intake[self.start..self.end];
            self.start += connection.read_tls(&mut taken_in)?;
            connection.process_new_packets().map_err(io::Error::other)?;
        }
    }
}
