//! Products of matrices of shares in every way, beside what the device can do at most, and its rates themselves.

use super::report::{Report, aim, beside, scaled};
use super::roofline::{Roofline, adds};
use super::{Open, Party, Sizes, explain, party, words};
use runtime::backend::cuda::rates::{Rate, Rates, twin};
use runtime::backend::cuda::{Products, Tuning};
use runtime::backend::{Backend, LocalSum, ProductTerm, RightFactor, Shares};
use runtime::circuit::{ProductKind, Shape};

/// What the tables are called.
pub const CEILINGS: &str = "What the device does at most";
pub const TITLE: &str = "Products";

/// All ways, with what they are called.
pub const WAYS: [(Products, &str); 4] = [
    (Products::Integer, "integer units"),
    (Products::Limbs, "limbs"),
    (Products::Residues, "residues"),
    (Products::ByShape, "as chosen by shape"),
];
/// Multiply-adds of 64-bit words a second that are asked for at 4096³.
const AIM: f64 = 25e12;

/// A product's operands on a back end.
struct Factors<W> {
    shapes: [Shape; 3],
    x: Shares<W>,
    y: Shares<W>,
}

impl<W: Clone> Factors<W> {
    fn new<B: Backend<Words = W>>(backend: &B, [m, k, n]: [usize; 3]) -> Result<Factors<W>, String> {
        let shape = |extents: [usize; 2]| Shape::new(extents);
        let shapes = [shape([m, k])?, shape([k, n])?, shape([m, n])?];
        let component = |shape: &Shape, seed| backend.upload(words(shape.lanes(), seed)).map_err(explain);
        let x = Shares { own: component(&shapes[0], 1)?, next: component(&shapes[0], 2)? };
        let y = Shares { own: component(&shapes[1], 3)?, next: component(&shapes[1], 4)? };
        Ok(Factors { shapes, x, y })
    }

    fn multiplied<B: Backend<Words = W>>(&self, backend: &B, factor: &B::Factor) -> Result<W, String> {
        let products = vec![ProductTerm {
            coefficient: 1,
            kind: &ProductKind::MatMul,
            left: &self.x,
            left_shape: &self.shapes[0],
            right: RightFactor::Prepared(factor),
        }];
        let (shape, ring) = (&self.shapes[2], catalogs::Ring::Z64);
        let sum = LocalSum { shape, ring, constant: None, linear: Vec::new(), products };
        backend.sum(&sum).map_err(explain)
    }

    fn factor<B: Backend<Words = W>>(&self, backend: &B) -> Result<B::Factor, String> {
        let extents = self.shapes[1].extents();
        backend.factor(&self.y, extents[0], extents[1]).map_err(explain)
    }
}

/// What the device does at most, measured.
pub fn ceilings(report: &mut Report, open: &Open<'_>, sizes: &Sizes, roofline: &Roofline) -> Result<(), String> {
    report.table(
        CEILINGS,
        "Kernels that do nothing else, compared with this processor; at most: from the device's own numbers.",
        &["what", "achieved", "at most", "of it"],
    );
    let party = party(open, Tuning::default(), 1)?;
    let rates = Rates::new(&party.cuda).map_err(explain)?;
    let all = [
        (Rate::Copies, "memory, bytes read and written", sizes.copied, 16.0, roofline.memory, "B/s"),
        (Rate::Words, "integer units, 64-bit multiply-adds", sizes.chains, 1.0, roofline.words, "/s"),
        (Rate::Doubles, "doubles, fused multiply-adds", sizes.chains, 1.0, roofline.doubles, "/s"),
    ];
    for (rate, what, amount, units, most, unit) in all {
        let given = if rate == Rate::Copies { words(amount.lanes, 7) } else { vec![0; 2] };
        let on_device = party.cuda.upload(given.clone()).map_err(explain)?;
        let found = rates.run(rate, amount, &on_device).map_err(explain)?;
        let found = party.cuda.download(&found).map_err(explain)?;
        let places = (0..found.len()).step_by((found.len() / 64).max(1)).chain([found.len() - 1]);
        for place in places {
            let word = given.get(place).copied().unwrap_or(0);
            if found[place] != twin(rate, place as u64, amount.steps, word) {
                return Err(format!("{what}: other words than on this processor at {place}"));
            }
        }
        let taken = party.timed(sizes.runs, || rates.run(rate, amount, &on_device).map(drop).map_err(explain))?;
        let achieved = units * amount.of(rate) / taken.kernels;
        let [most, of] = beside(achieved, most, unit);
        report.row(vec![what.into(), scaled(achieved, unit), most, of])?;
        if rate == Rate::Doubles {
            let tensor = beside(0.0, roofline.tensor.map(|rate| rate / 36.0), "/s");
            let reason = format!(
                "not built: three limbs of 22 bits take six products, at most {} at the rate above, tensor cores by \
                 8-bit limbs {}",
                scaled(achieved / 6.0, "/s"),
                tensor[0]
            );
            report.not_run("products of 64-bit words in doubles", &reason)?;
        }
    }
    Ok(())
}

/// Products of every way.
pub fn products(report: &mut Report, open: &Open<'_>, sizes: &Sizes, roofline: &Roofline) -> Result<(), String> {
    let note = format!(
        "The local part of a product of shares, 2·m·k·n multiply-adds of 64-bit words, by the device's clock; median of \
         {}. At most: its units, or the memory if every factor is read once.",
        sizes.runs
    );
    let columns = ["m × k × n", "by", "seconds", "multiply-adds", "at most", "of it", "aim"];
    report.table(TITLE, &note, &columns);
    for &extents in &sizes.products {
        let [m, k, n] = extents;
        for (products, way) in WAYS {
            let what = format!("{m} × {k} × {n}");
            let row = one(&party(open, Tuning { products, ..Tuning::default() }, 1)?, extents, sizes.runs);
            let seconds = match row {
                Ok(seconds) => seconds,
                Err(reason) => {
                    report.not_run(&format!("{what} by {way}"), &reason)?;
                    continue;
                }
            };
            let rate = adds(extents) / seconds;
            let [most, of] = beside(rate, roofline.product(products, extents), "/s");
            let asked = extents == [4096; 3] && products == Products::ByShape;
            let aim = if asked { aim("≥ 25 T/s", rate >= AIM) } else { String::new() };
            report.row(vec![what, way.into(), scaled(seconds, "s"), scaled(rate, "/s"), most, of, aim])?;
        }
    }
    Ok(())
}

/// Device seconds of one product.
fn one(party: &Party, extents: [usize; 3], runs: usize) -> Result<f64, String> {
    let factors = Factors::new(&party.cuda, extents)?;
    let factor = factors.factor(&party.cuda)?;
    // Makes kernels ready, and residues of the weight.
    factors.multiplied(&party.cuda, &factor)?;
    Ok(party.timed(runs, || factors.multiplied(&party.cuda, &factor).map(drop))?.busy)
}
