//! What a certificate claims of its pieces, as questions to a solver: nonlinear real arithmetic for the polynomials,
//! integers for the tiling.
//!
//! Every piece and every combination of bits gives two queries in t ∈ [−1, 1]: `approximation`, no t with
//! |p(t) − T(t)| above what the certificate states, and `claim`, no t and no roundings eᵢ ∈ [−1, 1] with an error above
//! the entry's bound. One more, `tiling`, asks for an input of the window that is not in exactly one piece. All of them
//! must be `unsat`. The program's side is computed by [`crate::ideal`], not by the checker; T, and |T − f| ≤ ε, are the
//! checker's, and every header says so.

use super::real::{horner, rational};
use super::{Expected, Query};
use crate::EvidenceError;
use crate::pieces::{CaseSheet, Piece, pieces};
use catalogs::Entry;
use rug::{Integer, Rational};
use std::fmt::Write;
use verify::certificate::Certificate;

/// The most roundings that get a variable each; of more, only the sum of their bounds is used.
const MAX_JOINT_SYMBOLS: usize = 12;
/// The highest degree of p or T with which roundings get variables.
const MAX_JOINT_DEGREE: usize = 40;

/// Every obligation of `certificate`, in the order of its pieces, the tiling first. The certificate need not prove the
/// entry: then some obligation is satisfiable.
pub fn obligations(entry: &Entry, certificate: &Certificate) -> Result<Vec<Query>, EvidenceError> {
    let mut queries = vec![tiling(entry, certificate)];
    for piece in pieces(entry, certificate)? {
        for sheet in &piece.cases {
            let about = About { entry, piece: &piece, sheet };
            queries.extend([about.approximation(), about.claim()]);
        }
    }
    Ok(queries)
}

fn tiling(entry: &Entry, certificate: &Certificate) -> Query {
    let window = entry.claim.window;
    let mut smtlib = String::from("(set-logic QF_LIA)\n(declare-fun x () Int)\n");
    let integer = |value: i64| if value < 0 { format!("(- {})", value.unsigned_abs()) } else { value.to_string() };
    let _ = writeln!(smtlib, "(assert (and (<= {} x) (<= x {})))", integer(window.low), integer(window.high));
    let mut sum = String::from("(+ 0");
    for (number, piece) in certificate.pieces.iter().enumerate() {
        let (low, high) = (integer(piece.low), integer(piece.high));
        let _ = writeln!(smtlib, "(define-fun in{number} () Int (ite (and (<= {low} x) (<= x {high})) 1 0))");
        let _ = write!(sum, " in{number}");
    }
    let _ = write!(smtlib, "(assert (distinct {sum}) 1))\n(check-sat)\n");
    let header = vec![
        format!("Entry {} ({}): its pieces tile its window.", entry.digest(), entry.claim.function),
        "The query asks for an input integer of the window that does not lie in exactly one piece.".to_owned(),
        "Rests on nothing else.".to_owned(),
    ];
    Query { name: "tiling".into(), header, smtlib, expected: Expected::Unsat }
}

/// One case of one piece.
struct About<'a> {
    entry: &'a Entry,
    piece: &'a Piece,
    sheet: &'a CaseSheet,
}

impl About<'_> {
    fn query(&self, kind: &str, header: Vec<String>, smtlib: String) -> Query {
        let name = format!("piece-{:03}-case-{}-{kind}", self.piece.number, self.sheet.number);
        Query { name, header, smtlib, expected: Expected::Unsat }
    }

    /// What both headers begin with.
    fn place(&self) -> String {
        let Piece { number, low, high, input_scale, unit_bits, .. } = self.piece;
        let bits = match self.sheet.case.bits() {
            bits if bits.is_empty() => String::new(),
            bits => format!(
                " This is the case with bits {bits}; which cases occur was decided from ranges, without the checker."
            ),
        };
        format!(
            "Entry {} ({}), piece {number}: input integers v0 from {low} to {high}, standing for v0/2^{input_scale}; \
             v0 = ({low} + {high})/2 + t*({high} - {low})/2 with -1 <= t <= 1. Numbers are in units of 2^-{unit_bits}.{bits}",
            self.entry.digest(),
            self.entry.claim.function
        )
    }

    fn rests(&self) -> String {
        format!(
            "Rests on the checker: |T - f| <= {} units on the piece, f the function. Rests elsewhere: that a protocol's \
             truncations round as the entry's lemmas say (proofs/lemmas).",
            self.piece.reference_error
        )
    }

    fn declare(&self, extra: &[String]) -> String {
        let mut smtlib = String::from("(set-logic QF_NRA)\n(declare-fun t () Real)\n");
        for name in extra {
            let _ = writeln!(smtlib, "(declare-fun {name} () Real)");
        }
        let _ = writeln!(smtlib, "(define-fun p () Real {})", horner(&self.sheet.polynomial));
        let _ = writeln!(smtlib, "(define-fun T () Real {})", horner(&self.piece.reference));
        for name in std::iter::once("t").chain(extra.iter().map(String::as_str)) {
            let _ = writeln!(smtlib, "(assert (and (<= (- 1.0) {name}) (<= {name} 1.0)))");
        }
        smtlib
    }

    /// No t with |p − T| > what the certificate states.
    fn approximation(&self) -> Query {
        let distance = self.piece.stated_distance(self.sheet);
        let mut smtlib = self.declare(&[]);
        let _ = writeln!(smtlib, "(define-fun distance () Real {})", rational(&distance));
        smtlib.push_str("(assert (or (> (- p T) distance) (< (- p T) (- distance))))\n(check-sat)\n");
        let statement = format!(
            "p is the program's ideal polynomial: what it returns if every truncation divides exactly, but for the middle \
             of its error interval. It was multiplied out exactly and its coefficients were then floored, which changed \
             it by at most {} units. T is the checker's polynomial for f. The query asks for a real t with |p - T| above \
             the distance, which is the sum of the certificate's approximation and remainder and of those units.",
            self.sheet.floored
        );
        self.query("approximation", vec![self.place(), statement, self.rests()], smtlib)
    }

    /// No t, no roundings with an error above the bound.
    fn claim(&self) -> Query {
        let degree = self.sheet.polynomial.len().max(self.piece.reference.len());
        let symbols = &self.sheet.symbols;
        let joint = symbols.len() <= MAX_JOINT_SYMBOLS && degree <= MAX_JOINT_DEGREE + 1;
        let names = |prefix: &str| symbols.iter().map(|(index, _)| format!("{prefix}{index}")).collect::<Vec<_>>();
        let variables = if joint { names("e") } else { Vec::new() };
        let mut smtlib = self.declare(&variables);
        let mut sum = String::from("(+ p (- T)");
        for (index, symbol) in symbols.iter().filter(|_| joint) {
            let _ = writeln!(smtlib, "(define-fun S{index} () Real {})", horner(symbol));
            let _ = write!(sum, " (* e{index} S{index})");
        }
        let _ = writeln!(smtlib, "(define-fun difference () Real {sum}))");
        let slack =
            if joint { self.sheet.slack.clone() } else { Integer::from(&self.sheet.slack + &self.sheet.rounding) };
        let _ = writeln!(smtlib, "(define-fun allowed () Real {})", self.allowed(&slack));
        smtlib.push_str("(assert (or (> difference allowed) (< difference (- allowed))))\n(check-sat)\n");
        self.query("claim", vec![self.place(), self.claim_in_words(joint, &slack), self.rests()], smtlib)
    }

    /// a + r·(σT − ε) − slack − ε: if |p + … − T| is at most that, |output − f| ≤ a + r·|f|. The sign σ needs no proof:
    /// σT ≤ |T|, so that a wrong one makes this smaller.
    fn allowed(&self, slack: &Integer) -> String {
        let claim = &self.entry.claim;
        let parsed = |text: String| Rational::from_str_radix(&text, 10).expect("an exact rational prints as N/D");
        let absolute = parsed(claim.absolute_part().to_string()) << self.piece.unit_bits;
        let relative = parsed(claim.relative_part().to_string());
        let sign = self.piece.sign();
        let error = Rational::from(&self.piece.reference_error);
        let mut constant = absolute - &error - Rational::from(slack);
        if sign == 0 || relative == 0 {
            return rational(&constant);
        }
        constant -= Rational::from(&relative * &error);
        format!("(+ {} (* {} T))", rational(&constant), rational(&(relative * Rational::from(sign))))
    }

    fn claim_in_words(&self, joint: bool, slack: &Integer) -> String {
        let claim = &self.entry.claim;
        let roundings = match (joint, self.sheet.symbols.len()) {
            (_, 0) => "No truncation reaches the output.".to_owned(),
            (true, _) => {
                "Every truncation vN has a variable -1 <= eN <= 1 and its first-order influence SN on the output, \
                          cut at degree 3."
                    .to_owned()
            }
            (false, count) => format!(
                "The {count} roundings have no variables of their own: the sum of their bounds, {} units, is part of the slack.",
                self.sheet.rounding
            ),
        };
        let sign = match self.piece.sign() {
            1 => " f is positive here, so that |f| >= T - that error.",
            -1 => " f is negative here, so that |f| >= -T - that error.",
            _ if claim.norm.relative == catalogs::Decimal::ZERO => "",
            _ => " f may vanish here, and |f| counts as zero.",
        };
        format!(
            "p is the program's ideal polynomial (multiplied out exactly, coefficients then floored), T the checker's \
             polynomial for f. {roundings} The slack of {slack} units holds what is floored, cut, or of second order. The \
             query asks for a real t and roundings with |p + sum eN*SN - T| > allowed, where allowed is the claim's \
             {} * ({} + {} * |f|) less the slack and the error of T.{sign} If there is none, the claim holds on this piece.",
            claim.bound, claim.norm.absolute, claim.norm.relative
        )
    }
}
