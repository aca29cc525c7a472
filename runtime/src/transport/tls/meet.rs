//! How the parties find each other: dial every lower index, listen for every higher one.
//!
//! Strangers on the port cost nothing but a thread for a few seconds: each handshake has its own
//! thread and deadline, at most [`HANDSHAKES_MAX`] at once, and a refused one is remembered for the
//! message in case the awaited party never comes.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustls::{ClientConnection, Connection, ServerConnection};
use rustls_pki_types::{CertificateDer, ServerName};
use zeroize::Zeroizing;

use super::{
    Counters, Endpoint, Error, Limits, Party, Peer, Result, fingerprint,
    pin::{self, NotPinned},
};
use crate::random::Key;

/// Handshakes that a listening party carries on at once; further connections are dropped.
const HANDSHAKES_MAX: usize = 32;
/// Longest that one handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Pause between two attempts to reach a peer, and between two looks at the listening port.
const PAUSE: Duration = Duration::from_millis(20);
/// How long the dialling threads may outlive the deadline to report why they failed.
const GRACE: Duration = Duration::from_millis(500);
/// Label of the exported secret (RFC 8446, section 7.5).
const EXPORTER_LABEL: &[u8] = b"EXPORTER-chebyshare-pair-secret";

/// An authenticated connection to a peer, not yet used.
pub(super) struct Joined {
    pub(super) peer: Party,
    pub(super) connection: Connection,
    pub(super) socket: TcpStream,
    pub(super) secret: Key,
}

enum Event {
    Joined(Box<Joined>),
    Refused(String),
    Fatal(Error),
}

/// Connections to all peers, within the limit for connecting. Afterwards the port is free again.
pub(super) fn all(endpoint: &Endpoint, limits: Limits, counters: &Arc<Counters>) -> Result<Vec<Joined>> {
    let (events, outcomes) = mpsc::channel();
    let deadline = Instant::now() + limits.connect;
    let stop = Arc::new(AtomicBool::new(false));
    let mut listening = None;
    let result = begin(endpoint, limits, deadline, &stop, &events, counters, &mut listening)
        .and_then(|()| gather(endpoint, limits, deadline, &outcomes));
    stop.store(true, Ordering::Release);
    if let Some(thread) = listening {
        // It looks at `stop` after every pause; one that panicked listens no more either.
        let _ = thread.join();
    }
    result
}

fn begin(
    endpoint: &Endpoint,
    limits: Limits,
    deadline: Instant,
    stop: &Arc<AtomicBool>,
    events: &mpsc::Sender<Event>,
    counters: &Arc<Counters>,
    listening: &mut Option<JoinHandle<()>>,
) -> Result<()> {
    let (lower, higher): (Vec<Peer>, Vec<Peer>) =
        endpoint.peers.iter().cloned().partition(|peer| peer.party < endpoint.me);
    if !higher.is_empty() {
        let door = Door::open(endpoint, higher, deadline, stop, events, counters)?;
        *listening = Some(spawn("listen", move || door.attend())?);
    }
    for peer in lower {
        let config = pin::client(&endpoint.identity, peer.certificate.clone())?;
        let dial = Dial { peer, config, limits, deadline, stop: stop.clone(), counters: counters.clone() };
        let events = events.clone();
        spawn("dial", move || {
            let event = match dial.reach() {
                Ok(joined) => Event::Joined(Box::new(joined)),
                Err(error) => Event::Fatal(error),
            };
            // Nobody listens any more if another failure came first.
            let _ = events.send(event);
        })?;
    }
    Ok(())
}

fn spawn(task: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let builder = thread::Builder::new().name(task.into());
    builder.spawn(work).map_err(|error| Error::Thread(error.to_string()))
}

fn gather(
    endpoint: &Endpoint,
    limits: Limits,
    deadline: Instant,
    outcomes: &mpsc::Receiver<Event>,
) -> Result<Vec<Joined>> {
    let mut joined: Vec<Joined> = Vec::new();
    let mut refusals: (usize, String) = (0, String::new());
    while joined.len() < endpoint.peers.len() {
        let absent = |peer: &&Peer| joined.iter().all(|other| other.peer != peer.party);
        let dialled_absent = endpoint.peers.iter().any(|peer| absent(&peer) && peer.party < endpoint.me);
        let until = if dialled_absent { deadline + GRACE } else { deadline };
        let left = until.saturating_duration_since(Instant::now());
        match outcomes.recv_timeout(left) {
            Ok(Event::Joined(new)) => {
                if joined.iter().any(|other| other.peer == new.peer) {
                    return Err(Error::Reconnected { peer: new.peer });
                }
                joined.push(*new);
            }
            Ok(Event::Refused(reason)) => refusals = (refusals.0 + 1, reason),
            Ok(Event::Fatal(error)) => return Err(error),
            Err(_) => {
                let missing = endpoint.peers.iter().filter(absent).map(|peer| peer.party).min();
                let (count, last) = refusals;
                let refused = match count {
                    0 => String::new(),
                    _ => format!("; connections refused: {count}, the last {last}"),
                };
                return Err(Error::NeverCame {
                    peer: missing.unwrap_or(endpoint.me),
                    address: endpoint.listen.clone(),
                    limit: limits.connect,
                    refused,
                });
            }
        }
    }
    Ok(joined)
}

/// The listening side.
struct Door {
    listener: TcpListener,
    peers: Arc<Vec<Peer>>,
    config: Arc<rustls::ServerConfig>,
    deadline: Instant,
    stop: Arc<AtomicBool>,
    events: mpsc::Sender<Event>,
    counters: Arc<Counters>,
}

impl Door {
    fn open(
        endpoint: &Endpoint,
        peers: Vec<Peer>,
        deadline: Instant,
        stop: &Arc<AtomicBool>,
        events: &mpsc::Sender<Event>,
        counters: &Arc<Counters>,
    ) -> Result<Self> {
        let pins = peers.iter().map(|peer| peer.certificate.clone()).collect();
        let config = pin::server(&endpoint.identity, pins)?;
        let address = endpoint.listen.clone();
        let listener = TcpListener::bind(&endpoint.listen)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(|error| match error.kind() {
                ErrorKind::AddrInUse => Error::PortInUse { address },
                _ => Error::Listen { address, reason: error.to_string() },
            })?;
        Ok(Self {
            listener,
            peers: Arc::new(peers),
            config,
            deadline,
            stop: stop.clone(),
            events: events.clone(),
            counters: counters.clone(),
        })
    }

    fn attend(self) {
        let running = Arc::new(AtomicUsize::new(0));
        while !self.stop.load(Ordering::Acquire) && Instant::now() < self.deadline {
            let Ok((socket, from)) = self.listener.accept() else {
                thread::sleep(PAUSE);
                continue;
            };
            if running.fetch_add(1, Ordering::AcqRel) >= HANDSHAKES_MAX {
                running.fetch_sub(1, Ordering::AcqRel);
                continue;
            }
            let (peers, config) = (self.peers.clone(), self.config.clone());
            let (events, counters) = (self.events.clone(), self.counters.clone());
            let deadline = self.deadline.min(Instant::now() + HANDSHAKE);
            let slots = running.clone();
            let handshake = move || {
                let event = match welcome(socket, &peers, config, deadline, &counters) {
                    Ok(joined) => Event::Joined(Box::new(joined)),
                    Err(reason) => Event::Refused(format!("from {from}: {reason}")),
                };
                let _ = events.send(event);
                slots.fetch_sub(1, Ordering::AcqRel);
            };
            if spawn("handshake", handshake).is_err() {
                running.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }
}

fn welcome(
    socket: TcpStream,
    peers: &[Peer],
    config: Arc<rustls::ServerConfig>,
    deadline: Instant,
    counters: &Counters,
) -> std::result::Result<Joined, String> {
    socket.set_nonblocking(false).map_err(|error| error.to_string())?;
    let connection = ServerConnection::new(config).map_err(|error| error.to_string())?;
    let mut connection = Connection::Server(connection);
    if let Err(error) = handshake(&mut connection, &socket, deadline, counters) {
        part(&socket);
        return Err(match rustls_error(&error) {
            Some(inner) => match NotPinned::of(inner) {
                Some(refused) => refused.to_string(),
                None => match inner {
                    rustls::Error::AlertReceived(alert) => format!(
                        "it refused this party's certificate ({alert:?}): check the certificate file it has for this party"
                    ),
                    other => other.to_string(),
                },
            },
            None => error.to_string(),
        });
    }
    let presented = presented(&connection).ok_or("no certificate was presented")?;
    let peer = peers.iter().find(|peer| peer.certificate == presented).ok_or("its certificate is not configured")?;
    joined(peer.party, connection, socket).map_err(|error| error.to_string())
}

/// Ends a refused connection such that the peer gets to read why: without reading what is left,
/// closing would reset the connection and could discard the alert on its way.
fn part(socket: &TcpStream) {
    let _ = socket.shutdown(std::net::Shutdown::Write);
    let _ = socket.set_read_timeout(Some(Duration::from_millis(200)));
    let mut left = [0; 4096];
    for _ in 0..16 {
        match (&mut &*socket).read(&mut left) {
            Ok(1..) => {}
            _ => break,
        }
    }
}

/// The dialling side, for one peer.
struct Dial {
    peer: Peer,
    config: Arc<rustls::ClientConfig>,
    limits: Limits,
    deadline: Instant,
    stop: Arc<AtomicBool>,
    counters: Arc<Counters>,
}

impl Dial {
    /// Tries until the deadline. Only what may still change is tried again: nobody listening, or a
    /// connection that ends before the handshake does.
    fn reach(&self) -> Result<Joined> {
        let mut reason = "nobody answered".to_owned();
        while !self.stop.load(Ordering::Acquire) && Instant::now() < self.deadline {
            match self.attempt()? {
                Ok(joined) => return Ok(joined),
                Err(error) => reason = error.to_string(),
            }
            thread::sleep(PAUSE);
        }
        Err(Error::Unreachable {
            peer: self.peer.party,
            address: self.peer.address.clone(),
            limit: self.limits.connect,
            reason,
        })
    }

    fn attempt(&self) -> Result<io::Result<Joined>> {
        let socket = match self.socket() {
            Ok(socket) => socket,
            Err(error) => return Ok(Err(error)),
        };
        let name = ServerName::from(std::net::Ipv4Addr::LOCALHOST);
        let connection = ClientConnection::new(self.config.clone(), name).map_err(|error| self.refused(&error))?;
        let mut connection = Connection::Client(connection);
        let deadline = self.deadline.min(Instant::now() + HANDSHAKE);
        match handshake(&mut connection, &socket, deadline, &self.counters) {
            Ok(()) => Ok(joined(self.peer.party, connection, socket)),
            Err(error) => {
                part(&socket);
                match rustls_error(&error) {
                    Some(inner) => Err(self.refused(inner)),
                    None => Ok(Err(error)),
                }
            }
        }
    }

    fn socket(&self) -> io::Result<TcpStream> {
        let addresses: Vec<SocketAddr> = self.peer.address.to_socket_addrs()?.collect();
        let mut last = io::Error::new(ErrorKind::NotFound, "the address names no host");
        for address in addresses {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let limit = left.clamp(Duration::from_millis(1), HANDSHAKE);
            match TcpStream::connect_timeout(&address, limit) {
                Ok(socket) => return Ok(socket),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn refused(&self, error: &rustls::Error) -> Error {
        let (peer, address) = (self.peer.party, self.peer.address.clone());
        match NotPinned::of(error) {
            Some(NotPinned { found }) => {
                Error::WrongCertificate { peer, address, expected: fingerprint(&self.peer.certificate), found }
            }
            None => Error::Handshake { peer, address, reason: error.to_string() },
        }
    }
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

fn presented(connection: &Connection) -> Option<CertificateDer<'_>> {
    connection.peer_certificates()?.first().cloned()
}

fn handshake(
    connection: &mut Connection,
    socket: &TcpStream,
    deadline: Instant,
    counters: &Counters,
) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut bounded = Bounded { socket, deadline };
    while connection.is_handshaking() || connection.wants_write() {
        let (read, written) = match connection.complete_io(&mut bounded) {
            Ok(moved) => moved,
            Err(error) => {
                // What says why must reach the peer whole: the library writes one record of it and stops.
                while connection.wants_write() && connection.write_tls(&mut bounded).is_ok() {}
                return Err(error);
            }
        };
        counters.wire_received(read as u64);
        counters.wire_sent(written as u64);
    }
    Ok(())
}

fn joined(peer: Party, connection: Connection, socket: TcpStream) -> io::Result<Joined> {
    let mut secret = Zeroizing::new([0; Key::BYTES]);
    connection.export_keying_material(&mut secret[..], EXPORTER_LABEL, None).map_err(io::Error::other)?;
    socket.set_read_timeout(None)?;
    Ok(Joined { peer, connection, socket, secret: Key::from_bytes(*secret) })
}

/// A socket whose reads and writes all end by one deadline.
struct Bounded<'a> {
    socket: &'a TcpStream,
    deadline: Instant,
}

impl Bounded<'_> {
    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(ErrorKind::TimedOut, "the handshake took too long"));
        }
        Ok(left)
    }
}

/// A read or write that ran into its time limit would look like "try again" to the caller.
fn late(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock => io::Error::new(ErrorKind::TimedOut, "the handshake took too long"),
        _ => error,
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(self.left()?))?;
        (&mut &*self.socket).read(buffer).map_err(late)
    }
}

impl Write for Bounded<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(self.left()?))?;
        (&mut &*self.socket).write(buffer).map_err(late)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
