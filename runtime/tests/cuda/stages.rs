//! Printed kernels against the CPU's: stores and frames of all roles, round by round.

use crate::{cuda, words};
use catalogs::protocol::Width;
use catalogs::{Catalog, Entry, Published, Ring};
use runtime::backend::cuda::{Cuda, Tuning};
use runtime::backend::{Backend, Cpu, Error, Frames};
use runtime::kernel::CheckedParty;
use runtime::protocol::local::LocalKeys;
use runtime::protocol::rss3;
use std::path::Path;

/// Sizes around groups and tiles, and more than one tile.
const LANES: [usize; 7] = [1, 7, 63, 64, 65, 129, 300];

pub type Outcome = (Vec<Vec<Vec<u64>>>, Vec<(usize, usize, usize, Vec<u8>)>);

/// All roles on one back end: outputs by role, and every frame as (round, from, to, bytes).
pub fn execute<B: Backend>(
    backend: &B,
    parties: &[CheckedParty],
    code: &[B::Code],
    lanes: usize,
) -> Result<Outcome, Error> {
    let keys = LocalKeys::from_seed(11);
    let streams = keys.streams(5, 6);
    let mut first = 0;
    let mut states = Vec::new();
    for (role, party) in parties.iter().enumerate() {
        let mut state = backend.state(party.slots(), lanes)?;
        for (index, &slot) in party.inputs().iter().enumerate() {
            let argument = backend.upload(words(lanes, (10 * role + index) as u64))?;
            backend.load(&mut state, slot, &argument, 0)?;
        }
        states.push((first, state));
        first += party.stages().len();
    }
    let (mut frames, mut mail) = (Vec::new(), vec![vec![Vec::new(); 3]; 3]);
    for stage in 0..parties[0].stages().len() {
        let mut next: Vec<Frames> = vec![vec![Vec::new(); 3]; 3];
        for (from, (first, state)) in states.iter_mut().enumerate() {
            // What is sent is appended to what other nodes have put there.
            let mut sent: Frames = vec![vec![0xee]; 3];
            let received: Vec<&[u8]> = mail[from].iter().map(Vec::as_slice).collect();
            let pending = backend.stage(&code[*first + stage], state, &received, &mut sent, &streams)?;
            // Others append before it is collected.
            sent.iter_mut().for_each(|frame| frame.push(0xdd));
            backend.collect(pending, &mut sent)?;
            sent.iter_mut().for_each(|frame| assert_eq!(frame.pop(), Some(0xdd)));
            for (to, bytes) in sent.into_iter().enumerate() {
                assert_eq!(bytes[0], 0xee);
                next[to][from] = bytes[1..].to_vec();
                frames.push((stage, from, to, bytes));
            }
        }
        mail = next;
    }
    let outputs = parties.iter().zip(&mut states).map(|(party, (_, state))| {
        let mut slots = party.outputs().to_vec();
        slots.dedup();
        slots.iter().map(|&slot| backend.download(&backend.take(state, slot)?)).collect()
    });
    Ok((outputs.collect::<Result<_, Error>>()?, frames))
}

/// Operations with their name and the numbers of lanes to run them on.
type Case = (String, Vec<CheckedParty>, Vec<usize>);

/// Compiles all cases at once, and runs each.
fn agree(cases: &[Case]) {
    if let Some(cuda) = cuda() {
        agree_on(&cuda, cases);
    }
}

fn agree_on(cuda: &Cuda, cases: &[Case]) {
    let kernels: Vec<_> = cases.iter().flat_map(|(_, parties, _)| parties).flat_map(CheckedParty::stages).collect();
    let (mut on_cpu, mut on_device) = (Cpu.prepare(&kernels).unwrap(), cuda.prepare(&kernels).unwrap());
    println!("{} kernels", kernels.len());
    for (name, parties, lanes) in cases {
        let count: usize = parties.iter().map(|party| party.stages().len()).sum();
        let (cpu, device): (Vec<_>, Vec<_>) = (on_cpu.drain(..count).collect(), on_device.drain(..count).collect());
        for &lanes in lanes {
            let expected = execute(&Cpu, parties, &cpu, lanes).unwrap();
            let found = execute(cuda, parties, &device, lanes).unwrap();
            assert!(expected == found, "{name}, {lanes} lanes: equal outputs {}", expected.0 == found.0);
        }
    }
}

/// A product, a sign and a maximum whose masks and fields find no room in shared memory, or not all of them: kernels in
/// several parts, down to one for every instruction that draws or sends.
#[test]
fn kernels_in_parts_agree() {
    let mut cases: Vec<Case> = Vec::new();
    for bits in [3, 13, 32, 57, 64] {
        let parties = rss3::compile_reshare(ring(bits)).unwrap();
        cases.push((format!("reshare {bits}"), parties, vec![1, 64, 131]));
    }
    cases.push(("maximum of 3".into(), rss3::compile_maximum(Ring::Z64, 24, 3, 1).unwrap(), vec![70]));
    for shared_bytes in [0, 3000] {
        let Some(device) = crate::shim() else { return };
        agree_on(&Cuda::tuned(device, Tuning { shared_bytes, ..Tuning::default() }).unwrap(), &cases);
    }
}

/// Whether resharing in a ring of `bits` bits is the CPU's.
pub fn resharing_agrees(cuda: &Cuda, bits: u8, lanes: usize) -> bool {
    operation_agrees(cuda, &rss3::compile_reshare(ring(bits)).unwrap(), lanes)
}

/// Whether an operation is the CPU's.
pub fn operation_agrees(cuda: &Cuda, parties: &[CheckedParty], lanes: usize) -> bool {
    let kernels: Vec<_> = parties.iter().flat_map(CheckedParty::stages).collect();
    let (on_cpu, on_device) = (Cpu.prepare(&kernels).unwrap(), cuda.prepare(&kernels).unwrap());
    execute(&Cpu, parties, &on_cpu, lanes).unwrap() == execute(cuda, parties, &on_device, lanes).unwrap()
}

/// The kernels of every shipped entry that this runtime executes.
pub fn entries() -> Vec<(String, Vec<CheckedParty>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let catalog = Catalog::open(&root.join("catalogs"), &root.join("proofs")).unwrap();
    let compiled = |(name, published): (&str, &Published)| {
        let program = Entry::parse(&published.entry).unwrap().program;
        (program.widest_ring().bits() <= 64).then(|| (name.to_owned(), rss3::compile(&program).unwrap()))
    };
    catalog.iter().filter_map(compiled).collect()
}

fn ring(bits: u8) -> Ring {
    Ring::new(bits).unwrap()
}

#[test]
fn sharing_opening_and_resharing_agree_in_rings_of_every_kind_of_width() {
    let mut cases: Vec<Case> = Vec::new();
    for bits in [3, 8, 13, 16, 32, 33, 57, 64] {
        let ring = ring(bits);
        cases.push((format!("share {bits}"), rss3::share(ring).unwrap(), LANES.to_vec()));
        cases.push((format!("open {bits}"), rss3::open(ring).unwrap(), LANES[..3].to_vec()));
        cases.push((format!("reshare {bits}"), rss3::compile_reshare(ring).unwrap(), LANES.to_vec()));
    }
    agree(&cases);
}

/// The maximum of many candidates has more masks and fields than fit shared memory: it is in parts.
#[test]
fn truncations_and_maxima_agree() {
    let mut cases: Vec<Case> = Vec::new();
    for (from, to, shift) in [(64, 64, 16), (64, 40, 13), (40, 40, 20), (64, 32, 16), (24, 64, 5)] {
        let parties = rss3::compile_truncate(ring(from), ring(to), shift).unwrap();
        cases.push((format!("truncate {from} {to} {shift}"), parties, LANES.to_vec()));
    }
    for (bits, dropped, candidates, joined) in [(24, 0, 3, 1), (20, 0, 8, 3), (24, 11, 3, 1)] {
        let width = Width { bits, dropped };
        let parties = rss3::compile_maximum(Ring::Z64, width, candidates, joined).unwrap();
        cases.push((format!("maximum of {candidates} without {dropped} bits"), parties, vec![5, 65]));
    }
    agree(&cases);
}

/// Entries whose programs hold sums, truncations, signs and injections of all kinds; not of every function, as the
/// C++ compiler takes its time for each.
#[test]
fn entries_of_several_functions_agree() {
    let all = entries();
    let first = |function: &str| all.iter().find(|(name, _)| name.starts_with(function)).unwrap().clone();
    let cases = ["relu/", "gelu/", "exp/", "log/"].map(first).map(|(name, parties)| (name, parties, vec![3, 130]));
    agree(&cases);
}

/// A frame that is too long or too short is refused as the CPU refuses it.
#[test]
fn frames_of_another_size_are_refused() {
    let Some(cuda) = cuda() else { return };
    let parties = rss3::compile_reshare(Ring::Z64).unwrap();
    let code = cuda.prepare(&parties[0].stages().iter().collect::<Vec<_>>()).unwrap();
    let keys = LocalKeys::from_seed(1);
    let mut state = cuda.state(parties[0].slots(), 4).unwrap();
    let short = cuda.upload(vec![0; 3]).unwrap();
    assert!(cuda.load(&mut state, parties[0].inputs()[0], &short, 0).is_err());
    for frame in [31, 33, 0] {
        let frames: [&[u8]; 3] = [&[], &vec![0; frame], &[]];
        let refused = cuda.stage(&code[1], &mut state, &frames, &mut vec![Vec::new(); 3], &keys.streams(0, 0));
        assert!(refused.err().unwrap().to_string().contains("bytes"), "{frame}");
    }
}
