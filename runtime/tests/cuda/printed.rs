//! What is printed for every shipped entry fits a block of threads: a check of texts alone, which needs neither CUDA nor
//! a C++ compiler. A thread has 255 registers of 32 bits, so that a kernel with many values live at once would keep
//! them in slow memory. And kernels that are cut to fit compute what the CPU computes.

use crate::{cuda, stages, words};
use runtime::backend::cuda::{Cuda, stage_source};
use runtime::backend::{Backend, Cpu, Frames};
use runtime::kernel::{CheckedKernel, CheckedParty, Instruction, Slot};
use runtime::protocol::local::LocalKeys;
use std::collections::BTreeMap;
use std::io::Write;

/// 64-bit values of a text that may be live at once.
const LIVE_MAX: usize = 80;
/// Bytes of shared memory that every device gives a block.
const SHARED_MAX: usize = 48 << 10;
/// What is assembled in seconds.
const LINES_MAX: usize = 5000;

/// What a kernel's text uses.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Uses {
    live: usize,
    shared: usize,
    lines: usize,
}

/// The registers that a line names.
fn registers(line: &str) -> impl Iterator<Item = u32> + '_ {
    let names = line.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    names.filter_map(|name| name.strip_prefix('r')?.parse().ok())
}

fn uses(text: &str) -> Uses {
    let mut last = BTreeMap::new();
    for (place, line) in text.lines().enumerate() {
        last.extend(registers(line).map(|register| (register, place)));
    }
    let (mut uses, mut live, mut ends) = (Uses::default(), 0, BTreeMap::<usize, usize>::new());
    for (place, line) in text.lines().enumerate() {
        uses.lines += 1;
        if line.trim_start().starts_with("const u64 r") {
            // It is defined here: the first register that the line names.
            let end = registers(line).next().map_or(0, |register| last[&register]);
            live += usize::from(end > place);
            *ends.entry(end).or_default() += usize::from(end > place);
        }
        uses.live = uses.live.max(live);
        live -= ends.remove(&place).unwrap_or(0);
        for (array, size) in [("__shared__ u32 masks[", 4), ("__shared__ u64 leaving[", 8)] {
            let count = line.split_once(array).and_then(|(_, rest)| rest.split(']').next()?.parse::<usize>().ok());
            uses.shared += size * count.unwrap_or(0);
        }
    }
    uses
}

/// The texts of a kernel's launches.
fn texts(kernel: &CheckedKernel) -> Vec<String> {
    let source = stage_source(&[kernel]).unwrap();
    let texts: Vec<String> = source.text.split("extern \"C\" __global__").skip(1).map(str::to_owned).collect();
    assert_eq!(texts.len(), source.kernels.len());
    texts
}

#[test]
fn what_a_text_uses_is_counted() {
    let soon = "const u64 r1 = 1;\nconst u64 r2 = r1 + r1;\nat[0] = r2;\nconst u64 r3 = r2;\nat[1] = r3;\n";
    let late = "const u64 r1 = 1;\nconst u64 r2 = r1;\nconst u64 r3 = r1;\nat[0] = r2;\nat[1] = r3;\n";
    assert_eq!(uses(soon), Uses { live: 2, shared: 0, lines: 5 });
    assert_eq!(uses(late), Uses { live: 3, shared: 0, lines: 5 });
    assert_eq!(uses("__shared__ u32 masks[17];\n__shared__ u64 leaving[129];").shared, 4 * 17 + 8 * 129);
}

#[test]
fn kernels_of_every_shipped_entry_fit_a_block() {
    let entries = stages::entries();
    assert!(!entries.is_empty());
    let (mut most, mut cut) = (Uses::default(), 0);
    for (name, parties) in &entries {
        for kernel in parties.iter().flat_map(CheckedParty::stages) {
            let texts = texts(kernel);
            cut += usize::from(texts.len() > 1);
            for uses in texts.iter().map(|text| uses(text)) {
                let fits = uses.live <= LIVE_MAX && uses.shared <= SHARED_MAX && uses.lines <= LINES_MAX;
                assert!(fits, "{name}: {uses:?}");
                most.live = most.live.max(uses.live);
                most.shared = most.shared.max(uses.shared);
                most.lines = most.lines.max(uses.lines);
            }
        }
    }
    println!("{cut} kernels are cut; at most {most:?}");
    assert!(cut > 0 && most.live > LIVE_MAX / 2, "the limits are far from what is used");
}

/// One kernel on one back end: what it stores and what it sends.
fn execute<B: Backend>(backend: &B, code: &B::Code, kernel: &CheckedKernel, lanes: usize) -> (Vec<Vec<u64>>, Frames) {
    let (mut loaded, mut stored) = (Vec::new(), Vec::new());
    for (instruction, &bits) in kernel.instructions().iter().zip(kernel.bits()) {
        match *instruction {
            Instruction::Load(slot) => loaded.push((slot, bits)),
            Instruction::Store(slot, _) => stored.push(slot),
            _ => {}
        }
    }
    let slots = loaded.iter().map(|(slot, _)| slot).chain(&stored).map(|slot| slot.0 + 1).max().unwrap_or(0);
    let mut state = backend.state(slots, lanes).unwrap();
    for (slot, bits) in loaded {
        // Nothing that the kernels before it cannot have stored.
        let words = words(lanes, u64::from(slot.0)).into_iter().map(|word| word & (u64::MAX >> (64 - bits.max(1))));
        let argument = backend.upload(words.collect()).unwrap();
        backend.load(&mut state, slot, &argument, 0).unwrap();
    }
    let frame = |from: u8| {
        let bytes = kernel.received_bytes(catalogs::protocol::Role(from), lanes);
        words(bytes, u64::from(from)).into_iter().map(|word| (word >> 32) as u8).collect()
    };
    let frames: Vec<Vec<u8>> = (0..3).map(frame).collect();
    let received: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    let (keys, mut sent) = (LocalKeys::from_seed(3), vec![Vec::new(); 3]);
    let pending = backend.stage(code, &mut state, &received, &mut sent, &keys.streams(7, 8)).unwrap();
    backend.collect(pending, &mut sent).unwrap();
    let take = |slot: Slot| backend.download(&backend.take(&mut state, slot).unwrap()).unwrap();
    (stored.into_iter().map(take).collect(), sent)
}

/// Kernels of an entry with signs of 181 thresholds: cut for their masks and fields, for their slots, for their live
/// values; but none of the long ones, for which the C++ compiler takes long.
#[test]
fn kernels_that_are_cut_agree() {
    let Some(cuda) = cuda() else { return };
    let (_, parties) =
        stages::entries().into_iter().find(|(name, _)| name.contains("rsqrt/k64-f24-o22-e-10-14-fast")).unwrap();
    let short = |kernel: &&CheckedKernel| kernel.instructions().len() < 2100 && texts(kernel).len() > 1;
    let kernels: Vec<&CheckedKernel> = parties.iter().flat_map(CheckedParty::stages).filter(short).collect();
    assert!(kernels.len() > 3 && kernels.iter().any(|kernel| texts(kernel).iter().any(|text| text.contains("kept["))));
    agree(&cuda, &kernels, &[130]);
}

/// Whether kernels on the device store and send what they do on the CPU.
fn agree(cuda: &Cuda, kernels: &[&CheckedKernel], lanes: &[usize]) {
    let (on_cpu, on_device) = (Cpu.prepare(kernels).unwrap(), cuda.prepare(kernels).unwrap());
    for (kernel, (cpu, device)) in kernels.iter().zip(on_cpu.iter().zip(&on_device)) {
        for &lanes in lanes {
            let length = kernel.instructions().len();
            let same = execute(&Cpu, cpu, kernel, lanes) == execute(cuda, device, kernel, lanes);
            assert!(same, "{length} instructions, {lanes} lanes");
        }
    }
}

/// Of all kernels of shipped entries that are cut, those that ask most of cutting: the longest, the one of most parts,
/// and the one with most values live at once. The others are compiled by CUDA's compiler where it is there, and those
/// of like structure run in the other tests; how many were not run is said.
#[test]
fn the_longest_kernels_that_are_cut_agree() {
    let Some(cuda) = cuda() else { return };
    let entries = stages::entries();
    let mut cut: Vec<(&str, &CheckedKernel, Vec<String>)> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for (name, parties) in &entries {
        for kernel in parties.iter().flat_map(CheckedParty::stages) {
            let texts = texts(kernel);
            // Roles and entries whose texts are the same are one.
            if texts.len() > 1 && seen.insert(texts.clone()) {
                cut.push((name, kernel, texts));
            }
        }
    }
    let live = |texts: &[String]| texts.iter().map(|text| uses(text).live).max().unwrap_or(0);
    let longest = cut.iter().max_by_key(|(_, kernel, _)| kernel.instructions().len()).unwrap();
    let most_parts = cut.iter().max_by_key(|(_, _, texts)| texts.len()).unwrap();
    let most_live = cut.iter().max_by_key(|(_, _, texts)| live(texts)).unwrap();
    let mut run: Vec<&CheckedKernel> = Vec::new();
    for (why, (name, kernel, texts)) in [("longest", longest), ("most parts", most_parts), ("most live", most_live)] {
        let (length, parts, live) = (kernel.instructions().len(), texts.len(), live(texts));
        let lines: usize = texts.iter().map(|text| text.lines().count()).sum();
        println!("{why}: {name}, {length} instructions in {parts} parts of {lines} lines, {live} live");
        if !run.iter().any(|own| std::ptr::eq(*own, *kernel)) {
            run.push(kernel);
        }
    }
    let started = std::time::Instant::now();
    // A group that is not full, and a tile and a bit.
    agree(&cuda, &run, &[1, 77, 131]);
    println!("{:.1} s", started.elapsed().as_secs_f64());
    let _ = writeln!(
        std::io::stderr(),
        "NOT RUN by this test: {} of {} kernels of shipped entries that are cut",
        cut.len() - run.len(),
        cut.len()
    );
}
