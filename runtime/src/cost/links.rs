//! The links of a deployment: round-trip time and throughput of every pair of parties, in each direction.
//!
//! One pair after the other, so that nothing else is on its way: the first party sends small frames that the second one
//! sends back, then larger and larger ones that are only acknowledged. A link's round trip is the median of the echoes;
//! its throughput is what the largest frames took longer than the next smaller ones, in medians. The connections are the
//! deployment's own, so what TLS and framing cost is in the figures.

use super::median;
use crate::transport::{Error, Expected, Frame, Kind, Length, Party, Position, Shaping, Transport};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// A direction between two parties, as the sender measured it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Who sends.
    pub from: u8,
    /// Who receives.
    pub to: u8,
    /// Seconds from a small frame to its echo.
    pub round_trip_seconds: f64,
    /// Bits each second of large frames.
    pub bits_per_second: f64,
}

/// Small frames that are echoed; the median counts.
const ECHOES: usize = 15;
const ECHO_BYTES: usize = 32;
/// Frames of each size; the median counts.
const REPEATS: usize = 3;
const BYTES_MIN: u64 = 1 << 16;
const BYTES_MAX: u64 = 1 << 22;
/// No larger size follows one that took longer.
const SECONDS_ENOUGH: f64 = 1.0;

/// Measures all links together with the other parties, which must call this too: those on which this party sends.
///
/// # Errors
/// A peer that is gone, or that sends nothing within the limits of the connection.
pub fn measure(transport: &mut dyn Transport, frame_bytes_max: u64) -> Result<Vec<Link>, Error> {
    let (me, parties) = (transport.me(), transport.parties());
    let pairs = (0..parties).flat_map(|from| (0..parties).map(move |to| (from, to))).filter(|(from, to)| from != to);
    let mut links = Vec::new();
    for (run, (from, to)) in pairs.enumerate() {
        let peer = Party(if from == me.0 { to } else { from });
        let mut line = Line { transport: &mut *transport, peer, run: run as u64, round: 0 };
        if from == me.0 {
            let (round_trip_seconds, bits_per_second) = line.ask(frame_bytes_max)?;
            links.push(Link { from, to, round_trip_seconds, bits_per_second });
        } else if to == me.0 {
            line.answer()?;
        }
    }
    Ok(links)
}

/// Sends numbers to all parties and returns everybody's, by party; all have as many.
pub fn exchange(transport: &mut dyn Transport, own: &[f64]) -> Result<Vec<Vec<f64>>, Error> {
    let payload: Vec<u8> = own.iter().flat_map(|number| number.to_le_bytes()).collect();
    let all = tell(transport, Position::new(0, 0), &payload)?;
    let numbers = |bytes: &Vec<u8>| bytes.as_chunks::<8>().0.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect();
    Ok(all.iter().map(numbers).collect())
}

/// Sends bytes to all parties and returns everybody's, by party; all have as many.
fn tell(transport: &mut dyn Transport, position: Position, own: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let (me, peers) = (transport.me(), (0..transport.parties()).map(Party).collect::<Vec<_>>());
    for &peer in peers.iter().filter(|&&peer| peer != me) {
        transport.send(peer, Frame { kind: Kind::Masked, position, payload: own.to_vec() })?;
    }
    let mut all = Vec::new();
    for peer in peers {
        if peer == me {
            all.push(own.to_vec());
            continue;
        }
        let length = Length::Exactly(own.len() as u64);
        all.push(transport.receive(peer, Expected { kind: Kind::Masked, position, length })?);
    }
    Ok(all)
}

/// Waits until all parties are here, after whatever they sent in a run of that number and in those before it: what they do
/// next, they begin together.
///
/// # Errors
/// A peer that is gone or late.
pub fn meet(transport: &mut dyn Transport, run: u64) -> Result<(), Error> {
    tell(transport, Position::new(run, u32::MAX), &[0]).map(drop)
}

/// The network whose round trip is the longest of the links and whose rate is the least, for predictions: a round ends
/// when the slowest link's message has arrived. `None` without links.
pub fn slowest(links: &[Link]) -> Option<Shaping> {
    let network = |link: &Link| Shaping {
        round_trip_seconds: link.round_trip_seconds.clamp(0.0, 10.0),
        bits_per_second: link.bits_per_second.clamp(1e3, 1e15),
    };
    links.iter().map(network).reduce(|a, b| Shaping {
        round_trip_seconds: a.round_trip_seconds.max(b.round_trip_seconds),
        bits_per_second: a.bits_per_second.min(b.bits_per_second),
    })
}

/// The frames of one pair.
struct Line<'a> {
    transport: &'a mut dyn Transport,
    peer: Party,
    run: u64,
    round: u32,
}

impl Line<'_> {
    fn send(&mut self, payload: Vec<u8>) -> Result<(), Error> {
        let position = Position::new(self.run, self.round);
        self.round += 1;
        self.transport.send(self.peer, Frame { kind: Kind::Masked, position, payload })
    }

    fn receive(&mut self, bytes: u64) -> Result<Vec<u8>, Error> {
        let position = Position::new(self.run, self.round);
        self.round += 1;
        let length = Length::Exactly(bytes);
        self.transport.receive(self.peer, Expected { kind: Kind::Masked, position, length })
    }

    /// Round trip and bits per second.
    fn ask(&mut self, frame_bytes_max: u64) -> Result<(f64, f64), Error> {
        let mut echoes = Vec::new();
        for _ in 0..ECHOES {
            let begun = Instant::now();
            self.send(vec![0; ECHO_BYTES])?;
            self.receive(ECHO_BYTES as u64)?;
            echoes.push(begun.elapsed().as_secs_f64());
        }
        let round_trip = median(echoes).unwrap_or(f64::NAN);
        let (mut bytes, mut known) = (BYTES_MIN, Vec::new());
        while bytes <= BYTES_MAX.min(frame_bytes_max) {
            let mut seconds = Vec::new();
            for _ in 0..REPEATS {
                let begun = Instant::now();
                self.send(bytes.to_le_bytes().to_vec())?;
                self.send(vec![0; bytes as usize])?;
                self.receive(8)?;
                seconds.push(begun.elapsed().as_secs_f64());
            }
            let seconds = median(seconds).unwrap_or(f64::NAN);
            known.push((bytes as f64, seconds));
            if seconds > SECONDS_ENOUGH {
                break;
            }
            bytes *= 4;
        }
        self.send(0u64.to_le_bytes().to_vec())?;
        Ok((round_trip, rate(round_trip, &known)))
    }

    fn answer(&mut self) -> Result<(), Error> {
        for _ in 0..ECHOES {
            let echo = self.receive(ECHO_BYTES as u64)?;
            self.send(echo)?;
        }
        loop {
            let announced = self.receive(8)?;
            let bytes = announced.as_chunks::<8>().0.first().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            if bytes == 0 {
                return Ok(());
            }
            self.receive(bytes)?;
            self.send(vec![0; 8])?;
        }
    }
}

/// Bits per second from sizes and their seconds: between the two largest sizes, where the larger took longer.
fn rate(round_trip: f64, known: &[(f64, f64)]) -> f64 {
    let Some(&(bytes, seconds)) = known.last() else { return f64::MAX };
    let alone = 8.0 * bytes / (seconds - round_trip).max(seconds * 0.1).max(1e-9);
    match known {
        [.., (less, before), _] if seconds > *before => 8.0 * (bytes - less) / (seconds - before),
        _ => alone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_leaves_out_what_every_frame_takes() {
        // 10 ms on the way, 1 MB/s.
        let took = |bytes: f64| (bytes, 0.01 + bytes / 1e6);
        let sizes = [65536.0, 262144.0, 1048576.0];
        assert!((rate(0.01, &sizes.map(took)) / 8e6 - 1.0).abs() < 1e-9);
        assert!((rate(0.01, &[took(65536.0)]) / 8e6 - 1.0).abs() < 1e-9);
        // Noise: the larger frame was faster. Still a number.
        assert!(rate(0.01, &[(65536.0, 0.02), (262144.0, 0.015)]) > 0.0);
    }

    #[test]
    fn the_slowest_of_each_kind_counts() {
        let link =
            |from, to, round_trip_seconds, bits_per_second| Link { from, to, round_trip_seconds, bits_per_second };
        let network = slowest(&[link(0, 1, 0.04, 1e9), link(1, 0, 0.001, 2e7)]).unwrap();
        assert_eq!((network.round_trip_seconds, network.bits_per_second), (0.04, 2e7));
        assert_eq!(slowest(&[]), None);
    }
}
