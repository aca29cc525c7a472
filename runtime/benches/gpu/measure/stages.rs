//! Element-wise operations, the three roles one after the other on one device, messages passing through this process:
//! functions of the catalog, resharing, sign tests.

use super::report::{Report, aim, beside, scaled};
use super::roofline::Roofline;
use super::{Open, Sizes, explain, party, words};
use catalogs::{Catalog, Entry, Lemma, LemmaId, Op, Program, Ring, Scale, ValueId};
use runtime::backend::cuda::Tuning;
use runtime::backend::{Backend, Frames};
use runtime::kernel::{CheckedKernel, CheckedParty, Instruction};
use runtime::protocol::local::LocalKeys;
use runtime::protocol::rss3;

/// What its table is called.
pub const TITLE: &str = "Element by element";
/// GELU a second and party that are asked for.
const GELU_AIM: f64 = 1e7;
/// Of the memory's rate, asked of element-wise kernels.
const MEMORY_AIM: f64 = 0.7;

/// Every frame of all roles, by round, sender and receiver.
type Said = Vec<Vec<u8>>;

/// A back end's kernels and states of all roles.
struct Roles<'a, B: Backend> {
    backend: &'a B,
    parties: &'a [CheckedParty],
    code: Vec<B::Code>,
    lanes: usize,
}

impl<'a, B: Backend> Roles<'a, B> {
    fn new(backend: &'a B, parties: &'a [CheckedParty], lanes: usize) -> Result<Roles<'a, B>, String> {
        let kernels: Vec<&CheckedKernel> = parties.iter().flat_map(CheckedParty::stages).collect();
        let code = backend.prepare(&kernels).map_err(explain)?;
        Ok(Roles { backend, parties, code, lanes })
    }

    /// States with their arguments.
    fn states(&self) -> Result<Vec<(usize, B::State)>, String> {
        let (mut states, mut first) = (Vec::new(), 0);
        for (role, party) in self.parties.iter().enumerate() {
            let mut state = self.backend.state(party.slots(), self.lanes).map_err(explain)?;
            for (index, &slot) in party.inputs().iter().enumerate() {
                let given = words(self.lanes, (10 * role + index) as u64);
                let argument = self.backend.upload(given).map_err(explain)?;
                self.backend.load(&mut state, slot, &argument, 0).map_err(explain)?;
            }
            states.push((first, state));
            first += party.stages().len();
        }
        Ok(states)
    }

    /// All stages; what was said.
    fn run(&self, states: &mut [(usize, B::State)]) -> Result<Said, String> {
        let keys = LocalKeys::from_seed(11);
        let streams = keys.streams(5, 6);
        let (mut said, mut mail) = (Vec::new(), vec![vec![Vec::new(); 3]; 3]);
        for stage in 0..self.parties[0].stages().len() {
            let mut next: Vec<Frames> = vec![vec![Vec::new(); 3]; 3];
            for (from, (first, state)) in states.iter_mut().enumerate() {
                let mut sent: Frames = vec![Vec::new(); 3];
                let received: Vec<&[u8]> = mail[from].iter().map(Vec::as_slice).collect();
                let staged = self.backend.stage(&self.code[*first + stage], state, &received, &mut sent, &streams);
                self.backend.collect(staged.map_err(explain)?, &mut sent).map_err(explain)?;
                sent.into_iter().enumerate().for_each(|(to, bytes)| next[to][from] = bytes);
            }
            said.extend(next.iter().flatten().cloned());
            mail = next;
        }
        Ok(said)
    }
}

/// What all roles say on one back end.
pub fn staged<B: Backend>(backend: &B, parties: &[CheckedParty], lanes: usize) -> Result<Said, String> {
    let roles = Roles::new(backend, parties, lanes)?;
    roles.run(&mut roles.states()?)
}

/// Bytes that the kernels of a party read and write in the device's memory, per lane: slots and fields.
fn bytes_of_lane(party: &CheckedParty) -> f64 {
    let kernel = |kernel: &CheckedKernel| {
        let slots = kernel.instructions().iter().filter(|i| matches!(i, Instruction::Load(_) | Instruction::Store(..)));
        let fields = kernel.receives().iter().chain(kernel.sends()).map(|field| f64::from(field.bits) / 8.0);
        8.0 * slots.count() as f64 + fields.sum::<f64>()
    };
    party.stages().iter().map(kernel).sum()
}

/// The sign of 64-bit words that lie in 63 bits, as an element.
fn sign() -> Result<Vec<CheckedParty>, String> {
    let ring = Ring::Z64;
    let lemmas = vec![Lemma::Sign { width: 63, dropped: 0, operands: 1 }, Lemma::Injection { ring }];
    let ops = vec![
        Op::Input,
        Op::Sign { operand: ValueId(0), lemma: LemmaId(0) },
        Op::Inject { bit: ValueId(1), lemma: LemmaId(1) },
    ];
    let scale = Scale::new(16).ok_or("no scale has 16 bits")?;
    rss3::compile(&Program::new(ring, scale, lemmas, ops).map_err(explain)?).map_err(explain)
}

/// What is measured, with its parties: resharing, sign tests, and the first entry of each function.
pub fn operations(catalog: &Catalog, sizes: &Sizes) -> Result<Vec<(String, Vec<CheckedParty>)>, String> {
    let mut all = vec![
        ("resharing, ring 64".to_owned(), rss3::compile_reshare(Ring::Z64).map_err(explain)?),
        ("sign test, 63 bits, and injection".to_owned(), sign()?),
    ];
    for function in &sizes.functions {
        let programs = catalog.iter().filter(|(name, _)| name.starts_with(function)).filter_map(|(name, published)| {
            let program = Entry::parse(&published.entry).ok()?.program;
            (program.widest_ring() == Ring::Z64).then_some((name, program))
        });
        let Some((name, program)) = programs.into_iter().next() else {
            return Err(format!("the catalog has no entry of {function} at 64 bits"));
        };
        all.push((name.to_owned(), rss3::compile(&program).map_err(explain)?));
    }
    Ok(all)
}

/// Element-wise operations.
pub fn stages(
    report: &mut Report,
    open: &Open<'_>,
    sizes: &Sizes,
    roofline: &Roofline,
    catalog: &Catalog,
) -> Result<(), String> {
    let note = format!(
        "One of three parties, medians of {}. Kernels: bytes of slots and fields over the seconds in which a kernel ran, \
         by the device's clock, beside the memory's rate; a second and party: elements by this process's clock, copies \
         and messages through this process included.",
        sizes.runs
    );
    let columns = ["what", "elements", "kernels", "at most", "of it", "a second and party", "aims"];
    report.table(TITLE, &note, &columns);
    let party = party(open, Tuning::default(), 1)?;
    for (name, parties) in operations(catalog, sizes)? {
        let bytes = parties.iter().map(bytes_of_lane).sum::<f64>();
        for &lanes in &sizes.lanes {
            let what = name.clone();
            let taken = (|| {
                let roles = Roles::new(&party.cuda, &parties, lanes)?;
                let mut states = roles.states()?;
                roles.run(&mut states)?;
                // Later runs begin where the last one ended: they compute as much, from other words.
                party.timed(sizes.runs, || roles.run(&mut states).map(drop))
            })();
            let taken = match taken {
                Ok(taken) => taken,
                Err(reason) => {
                    report.not_run(&format!("{what}, {lanes} elements"), &reason)?;
                    continue;
                }
            };
            let (by_kernels, by_wall) =
                (bytes * lanes as f64 / taken.kernels, parties.len() as f64 * lanes as f64 / taken.wall);
            let [most, of] = beside(by_kernels, roofline.memory, "B/s");
            let many = lanes >= 1_000_000;
            let memory = roofline.memory.filter(|_| many).map(|most| aim("≥ 70 %", by_kernels >= MEMORY_AIM * most));
            let gelu = (many && name.starts_with("gelu")).then(|| aim("≥ 10 M/s", by_wall >= GELU_AIM));
            let aims: Vec<String> = memory.into_iter().chain(gelu).collect();
            report.row(vec![
                what,
                lanes.to_string(),
                scaled(by_kernels, "B/s"),
                most,
                of,
                scaled(by_wall, "/s"),
                aims.join(", "),
            ])?;
        }
    }
    Ok(())
}
