//! What a device can do at most: its numbers of multiprocessors and cycles, times what a multiprocessor of its
//! architecture does in a cycle (the throughput tables of the CUDA C++ programming guide and of the architectures' white
//! papers). Nothing is claimed of an architecture that is not listed.

use runtime::backend::cuda::{Products, Properties};

/// What a multiprocessor does in a cycle.
struct Architecture {
    major: u32,
    minors: &'static [u32],
    /// 32-bit integer multiply-adds.
    integer: f64,
    /// Fused multiply-adds of doubles outside of tensor cores.
    doubles: f64,
    /// 8-bit integer multiply-adds of tensor cores.
    tensor: f64,
}

const ARCHITECTURES: [Architecture; 5] = [
    Architecture { major: 8, minors: &[0], integer: 64.0, doubles: 32.0, tensor: 2048.0 },
    Architecture { major: 8, minors: &[6, 9], integer: 64.0, doubles: 2.0, tensor: 1024.0 },
    Architecture { major: 9, minors: &[0], integer: 64.0, doubles: 64.0, tensor: 4096.0 },
    Architecture { major: 10, minors: &[0], integer: 64.0, doubles: 64.0, tensor: 8192.0 },
    Architecture { major: 12, minors: &[0, 1], integer: 64.0, doubles: 2.0, tensor: 1024.0 },
];
/// Turns of a 32-bit multiply-add that the low 64 bits of a product with a sum take: a wide one, to 64 bits, is counted as
/// two, as the tables have no rate for it. Where a device does it at the full rate, three turns suffice, so that more than
/// "at most" may be measured, up to a third.
const INTEGER_TURNS: f64 = 4.0;
/// Products of bytes for the low 64 bits: pairs of limbs i + j < 8.
const LIMB_PRODUCTS: f64 = 36.0;
/// Moduli to an inner axis of so many steps, and for longer ones.
const MODULI: (f64, usize, f64) = (18.0, 4096, 19.0);

/// Rates a second; none where nothing is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Roofline {
    /// Bytes of memory, reads and writes together.
    pub memory: Option<f64>,
    /// Multiply-adds of 64-bit words on integer units.
    pub words: Option<f64>,
    /// Fused multiply-adds of doubles.
    pub doubles: Option<f64>,
    /// 8-bit multiply-adds of tensor cores.
    pub tensor: Option<f64>,
}

impl Roofline {
    /// Of a device.
    pub fn of(device: &Properties) -> Roofline {
        let [major, minor] = device.capability;
        let known = ARCHITECTURES.iter().find(|known| known.major == major && known.minors.contains(&minor));
        let cycles = f64::from(device.multiprocessors) * device.clock_hertz;
        let rate = |of: fn(&Architecture) -> f64| known.map(|known| of(known) * cycles).filter(|&rate| rate > 0.0);
        let memory = 2.0 * device.memory_clock_hertz * f64::from(device.memory_bus_bits) / 8.0;
        Roofline {
            memory: Some(memory).filter(|&rate| rate > 0.0),
            words: rate(|known| known.integer / INTEGER_TURNS),
            doubles: rate(|known| known.doubles),
            tensor: rate(|known| known.tensor),
        }
    }

    /// Multiply-adds of 64-bit words a second for the local part of a product of shares, in the way that is chosen: what
    /// its units allow, or what the memory does if every component of every factor is read once and the result is
    /// written once.
    pub fn product(&self, products: Products, [m, k, n]: [usize; 3]) -> Option<f64> {
        let (moduli, served, more) = MODULI;
        let moduli = if k <= served { moduli } else { more };
        let products = products.chosen(m.min(k).min(n) as u64, 64);
        let units = match products {
            Products::Integer | Products::ByShape => self.words,
            Products::Limbs => self.tensor.map(|rate| rate / LIMB_PRODUCTS),
            Products::Residues => self.tensor.map(|rate| rate / moduli),
        };
        // A weight's residues are made once; of the words, both components are read.
        let weight = if products == Products::Residues { 2.0 * moduli } else { 16.0 };
        let bytes = 16.0 * (m * k) as f64 + weight * (k * n) as f64 + 8.0 * (m * n) as f64;
        let by_memory = self.memory.map(|rate| rate / bytes * adds([m, k, n]));
        match (units, by_memory) {
            (Some(units), Some(memory)) => Some(units.min(memory)),
            (one, other) => one.or(other),
        }
    }
}

/// Multiply-adds of the local part of a product: xᵢ·(yᵢ + yᵢ₊₁) + xᵢ₊₁·yᵢ.
pub fn adds([m, k, n]: [usize; 3]) -> f64 {
    2.0 * m as f64 * k as f64 * n as f64
}
