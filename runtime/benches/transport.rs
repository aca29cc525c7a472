//! Speed of the in-process and the TLS carrier on one machine, and how exactly a network is imitated. Validates before it
//! times: a long frame must arrive as it was sent.

use std::{
    error::Error,
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use runtime::{
    cost::median,
    deployment::keys,
    transport::{
        Digest, Expected, Frame, HEADER_BYTES, Kind, Length, Limits, Mesh, Party, Position, Shaping, Terms, Transport,
        in_process,
        tls::{self, Endpoint, Identity, Peer},
    },
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const LONG: usize = 20_000_000;
const LONG_ROUNDS: u32 = 20;
const SHORT: usize = 1000;
const SHORT_ROUNDS: u32 = 5000;

fn main() -> Outcome<()> {
    println!("carrier      parties  20 MB frames, each way  1 kB rounds   connect");
    for parties in [2, 3] {
        let start = Instant::now();
        let meshes = in_process::network(parties, None, Limits::default(), None)?;
        report("in process", parties, meshes, start.elapsed())?;
        let start = Instant::now();
        let meshes = over_tls(parties, None)?;
        report("TLS loopback", parties, meshes, start.elapsed())?;
    }
    println!("imitated     bytes a peer  rounds  a round by the model  median   above it");
    for (name, network, rounds) in [("lan", Shaping::LAN, 200), ("wan", Shaping::WAN, 10)] {
        for bytes in [100, 10_000, 1_000_000] {
            imitate(name, network, bytes, rounds)?;
        }
    }
    Ok(())
}

/// Rounds of three parties over an imitated network, beside half a round trip and what the line takes for both frames.
fn imitate(name: &str, network: Shaping, bytes: usize, rounds: u32) -> Outcome<()> {
    let ends: Vec<_> = over_tls(3, Some(network))?
        .into_iter()
        .map(|mut mesh| {
            thread::spawn(move || -> Outcome<Vec<f64>> {
                let rounds = (0..rounds).map(|round| exchange(&mut mesh, round, bytes, None));
                let seconds = rounds.map(|took| Ok(took?.as_secs_f64())).collect::<Outcome<Vec<f64>>>()?;
                mesh.finish()?;
                Ok(seconds)
            })
        })
        .collect();
    let mut medians = Vec::new();
    for end in ends {
        let seconds = end.join().map_err(|_| "a party panicked")??;
        medians.push(median(seconds).ok_or("no round was measured")?);
    }
    let model = network.round_trip_seconds / 2.0 + 16.0 * (bytes + HEADER_BYTES) as f64 / network.bits_per_second;
    let slowest = medians.iter().copied().fold(0.0, f64::max);
    println!(
        "{name:12} {bytes:12} {rounds:7} {:17.3} ms {:6.3} ms {:7.3} ms",
        1e3 * model,
        1e3 * slowest,
        1e3 * (slowest - model)
    );
    Ok(())
}

fn over_tls(parties: u8, shaping: Option<Shaping>) -> Outcome<Vec<Mesh>> {
    let folder = tempfile::tempdir()?;
    let names: Vec<String> = (0..parties).map(|i| i.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let files = keys::generate(folder.path(), &names)?;
    let mut addresses = Vec::new();
    let mut certificates = Vec::new();
    for file in &files {
        addresses.push(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string());
        certificates.push(CertificateDer::from_pem_file(&file.certificate)?);
    }
    let terms = Terms {
        session: "bench".into(),
        roles: names.iter().map(|&name| name.into()).collect(),
        owners: "none".into(),
        plan: Digest([0; 32]),
    };
    let mut starting = Vec::new();
    for (me, file) in files.iter().enumerate() {
        let private_key = PrivateKeyDer::from_pem_file(&file.private_key)?;
        let endpoint = Endpoint {
            me: Party(me as u8),
            listen: addresses[me].clone(),
            identity: Identity::new(certificates[me].clone(), private_key),
            peers: (0..files.len())
                .filter(|&other| other != me)
                .map(|other| Peer {
                    party: Party(other as u8),
                    address: addresses[other].clone(),
                    certificate: certificates[other].clone(),
                })
                .collect(),
        };
        let terms = terms.clone();
        starting.push(thread::spawn(move || tls::connect(&endpoint, &terms, Limits::default(), shaping)));
    }
    starting.into_iter().map(|thread| Ok(thread.join().map_err(|_| "a party panicked")??)).collect()
}

fn report(carrier: &str, parties: u8, meshes: Vec<Mesh>, connect: Duration) -> Outcome<()> {
    let ends: Vec<_> = meshes.into_iter().map(|mesh| thread::spawn(|| work(mesh))).collect();
    let mut figures = Vec::new();
    for end in ends {
        figures.push(end.join().map_err(|_| "a party panicked")??);
    }
    let (long, short) = figures[0];
    println!(
        "{carrier:12} {parties:7} {:15.0} MB/s  {:10.1} us  {:7.1} ms",
        (LONG_ROUNDS as usize * LONG) as f64 / long.as_secs_f64() / 1e6,
        short.as_secs_f64() * 1e6 / f64::from(SHORT_ROUNDS),
        connect.as_secs_f64() * 1e3,
    );
    Ok(())
}

/// Long frames between all parties at once, then short rounds.
fn work(mut mesh: Mesh) -> Outcome<(Duration, Duration)> {
    let content: Vec<u8> = (0..LONG).map(|i| ((i * 7) >> 4) as u8).collect();
    let check = exchange(&mut mesh, 0, LONG, Some(&content))?;
    let mut long = Duration::ZERO;
    for round in 1..=LONG_ROUNDS {
        long += exchange(&mut mesh, round, LONG, None)?;
    }
    std::hint::black_box(check);
    let start = Instant::now();
    for round in 0..SHORT_ROUNDS {
        exchange(&mut mesh, LONG_ROUNDS + 1 + round, SHORT, None)?;
    }
    let short = start.elapsed();
    mesh.finish()?;
    Ok((long, short))
}

fn exchange(mesh: &mut Mesh, round: u32, bytes: usize, content: Option<&[u8]>) -> Outcome<Duration> {
    let position = Position::new(0, round);
    let peers = mesh.peers();
    let payloads: Vec<Vec<u8>> = peers.iter().map(|_| content.map_or_else(|| vec![1; bytes], <[u8]>::to_vec)).collect();
    let start = Instant::now();
    for (&to, payload) in peers.iter().zip(payloads) {
        mesh.send(to, Frame { kind: Kind::Masked, position, payload })?;
    }
    for &from in &peers {
        let length = Length::Exactly(bytes as u64);
        let received = mesh.receive(from, Expected { kind: Kind::Masked, position, length })?;
        if content.is_some_and(|content| content != received) {
            return Err("a long frame arrived changed".into());
        }
    }
    Ok(start.elapsed())
}
