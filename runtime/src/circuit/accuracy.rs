//! Certified errors of a circuit's sites, from the entries, lemmas and factors that its nodes hold.
//!
//! Establishes: at every site, for arguments as the circuit computes them, each element of the output differs from the
//! true function by at most the returned number. For a layer norm that is the normalised row, before γ and β. A softmax
//! or a scalar function relies on nothing but its entries (their windows are [`super::headroom`]'s to prove), a maximum on
//! the bits that it leaves out; the bound of a layer norm depends on the largest variance of a row, so it needs the proof
//! of headroom, which only the owner of the weights has.

use super::Error;
use super::builder::Circuit;
use super::coarse;
use super::headroom::Headroom;
use super::lower::Lowered;
use super::node::{Construction, Group, GroupId, NodeId, NodeKind, Normalisation, Sum};
use catalogs::Lemma;
use dashu::integer::UBig;
use dashu::rational::RBig;
use std::collections::BTreeMap;
use verify::Certified;
use verify::compose::{self, Average, Centre, LayerNormLowering, SoftmaxLowering, Subtracted};

/// The bound of every site, by its node in the model's graph; layer norms only where `headroom` is given, for rows
/// whose variance is at least what `least_variances` names (0 where it names nothing: for all rows).
pub fn certified_errors(
    lowered: &Lowered,
    headroom: Option<&Headroom>,
    least_variances: &BTreeMap<u32, f64>,
) -> Result<BTreeMap<u32, f64>, Error> {
    bounds(lowered, headroom, least_variances)
}

/// The layer norms for which no bound holds over all variances, each with what the certified error may assume: the power
/// of two below a quarter of the least variance that `calibrated` names (0 where there is none). Rows of less are outside
/// of what the plan certifies.
pub fn least_variances(
    lowered: &Lowered,
    headroom: &Headroom,
    calibrated: &BTreeMap<u32, f64>,
) -> Result<BTreeMap<u32, f64>, Error> {
    let shown = |number: &u32| calibrated.get(number).copied().unwrap_or(0.0);
    let assumed = conditional_norms(lowered, headroom)?.into_keys();
    Ok(assumed.map(|number| (number, power_of_two_below(GUARD * shown(&number)))).collect())
}

/// The layer norms for which no bound holds over all variances, each with the largest variance that its rows can have.
pub fn conditional_norms(lowered: &Lowered, headroom: &Headroom) -> Result<BTreeMap<u32, f64>, Error> {
    let mut conditional = BTreeMap::new();
    for group in lowered.circuit.groups() {
        let (Some(number), Construction::Normalisation(built)) = (group.site, &group.construction) else { continue };
        let site = Site { circuit: &lowered.circuit, group };
        let lowering = site.normalisation(built, headroom, RBig::ZERO)?;
        match site.layer_norm(built, &lowering) {
            Err(Error::Bound { reason: compose::SideCondition::Variance, .. }) => {
                conditional.insert(number, above(&lowering.variances.1));
            }
            Err(other) => return Err(other),
            Ok(_) => {}
        }
    }
    Ok(conditional)
}

/// Rows of a private run may vary less than those of the calibration set.
const GUARD: f64 = 0.25;

/// The largest power of two that is not above a positive number: a plan tells a calibration figure to a factor of two and
/// no better. 0 for what is no positive normal number.
pub fn power_of_two_below(value: f64) -> f64 {
    const MANTISSA: u64 = (1 << (f64::MANTISSA_DIGITS - 1)) - 1;
    if value.is_normal() && value > 0.0 { f64::from_bits(value.to_bits() & !MANTISSA) } else { 0.0 }
}

fn bounds(
    lowered: &Lowered,
    headroom: Option<&Headroom>,
    least_variances: &BTreeMap<u32, f64>,
) -> Result<BTreeMap<u32, f64>, Error> {
    let circuit = &lowered.circuit;
    let mut errors = BTreeMap::new();
    for (index, group) in circuit.groups().iter().enumerate() {
        let Some(number) = group.site else { continue };
        let site = Site { circuit, group };
        let error = match &group.construction {
            Construction::Plain => site.unary(GroupId(index as u32))?,
            Construction::Maximum => site.maximum(GroupId(index as u32))?,
            Construction::Softmax { row, subtracted, spread, exp, reciprocal, probabilities } => {
                site.softmax([*exp, *reciprocal], *row, (*subtracted, *spread), *probabilities)?
            }
            Construction::Normalisation(normalisation) => match headroom {
                Some(headroom) => {
                    let least = least_variances.get(&number).and_then(|&least| RBig::try_from(least).ok());
                    let lowering = site.normalisation(normalisation, headroom, least.unwrap_or(RBig::ZERO))?;
                    site.layer_norm(normalisation, &lowering)?
                }
                None => continue,
            },
        };
        errors.insert(number, above(&error));
    }
    Ok(errors)
}

/// The least double that is not below a rational.
fn above(value: &RBig) -> f64 {
    let nearest = value.to_f64().value();
    match RBig::try_from(nearest) {
        Ok(exact) if exact >= *value => nearest,
        _ => nearest.next_up(),
    }
}

struct Site<'a> {
    circuit: &'a Circuit,
    group: &'a Group,
}

impl Site<'_> {
    /// An entry on every lane: a + r·|f|, where |f| ≤ |output| + a + r·|f|.
    fn unary(&self, group: GroupId) -> Result<RBig, Error> {
        let mut programs = self.circuit.iter().filter(|(_, node)| node.group == group);
        let Some(certified) = programs.find_map(|(_, node)| program(&node.kind)) else {
            return Err(self.unlike("an entry"));
        };
        let (absolute, relative) = (certified.claim().absolute_part(), certified.claim().relative_part());
        let (low, high) = certified.output_range();
        let unit = UBig::ONE << usize::from(certified.program().output().1.bits());
        let largest = RBig::from_parts(low.unsigned_abs().max(high.unsigned_abs()).into(), unit);
        if relative >= RBig::ONE {
            return Err(self.refused(compose::SideCondition::Parameter("the entry's relative error reaches one")));
        }
        Ok((absolute + &relative * largest) / (RBig::ONE - relative))
    }

    /// Levels of maxima: whatever the largest candidate is, what is left is at most [`coarse::below_largest`] less.
    fn maximum(&self, group: GroupId) -> Result<RBig, Error> {
        let mut levels: BTreeMap<NodeId, u32> = BTreeMap::new();
        let (mut most, mut found) = (0, None);
        for (id, node) in self.circuit.iter().filter(|(_, node)| node.group == group) {
            let before = node.kind.operands().iter().filter_map(|operand| levels.get(operand)).max().copied();
            let own = before.unwrap_or(0) + u32::from(matches!(node.kind, NodeKind::Maximum(_)));
            levels.insert(id, own);
            let NodeKind::Maximum(maximum) = &node.kind else { continue };
            let like = (maximum.width.dropped, node.format.scale);
            if *found.get_or_insert(like) != like {
                return Err(self.unlike("one number of bits that all its maxima leave out"));
            }
            most = most.max(own);
        }
        Ok(found.map_or(RBig::ZERO, |(dropped, scale)| real(coarse::below_largest(dropped, most), scale.bits())))
    }

    fn softmax(
        &self,
        [exp, reciprocal]: [NodeId; 2],
        row: usize,
        (subtracted, spread): (Subtracted, i64),
        last: Option<NodeId>,
    ) -> Result<RBig, Error> {
        let (exp, reciprocal) = (self.program(exp)?, self.program(reciprocal)?);
        let last = match last {
            Some(last) => Some((self.sum(last)?.1, self.circuit.node(last).format.scale)),
            None => None,
        };
        let lowering = SoftmaxLowering { n: self.row(row)?, spread, last };
        compose::shifted_softmax(&lowering, subtracted, exp, reciprocal)
            .map(|bound| bound.element)
            .map_err(|reason| self.refused(reason))
    }

    fn layer_norm(&self, built: &Normalisation, lowering: &LayerNormLowering) -> Result<RBig, Error> {
        let rsqrt = self.program(built.inverse)?;
        compose::layer_norm(lowering, rsqrt).map(|bound| bound.element).map_err(|reason| self.refused(reason))
    }

    /// How a layer norm is computed, for rows whose variance is at least `least`.
    fn normalisation(
        &self,
        built: &Normalisation,
        headroom: &Headroom,
        least: RBig,
    ) -> Result<LayerNormLowering, Error> {
        let n = self.row(built.row)?;
        let (variance, variance_lemma) = self.sum(built.variance)?;
        let normalised = match built.normalised {
            Some(id) => Some((self.sum(id)?.1, self.circuit.node(id).format.scale)),
            None => None,
        };
        let Some(squares) = variance.products.first() else { return Err(self.unlike("a sum of squares")) };
        let super::node::Constant::Scalar(constant) = variance.constant else {
            return Err(self.unlike("a scalar ε"));
        };
        let log_unit = RBig::from(UBig::ONE << usize::from(built.log));
        let (centre, sum, unrounded, argument, centre_gain) = match built.mean {
            Some(id) => {
                let (mean, lemma) = self.sum(id)?;
                let Some(term) = mean.linear.first() else { return Err(self.unlike("a mean")) };
                let total = self.circuit.node(term.value);
                let factor = term.coefficient.value;
                let average = Average { factor, constant: 0, lemma };
                // A mean beside a linear layer is that of the layer's sum before its truncation.
                let (magnitude, unrounded) = match (mean.products.is_empty(), lemma) {
                    (true, _) => (RBig::from(headroom.range(term.value).magnitude()), RBig::ZERO),
                    (false, Lemma::Truncation { shift, .. }) if factor != 0 => {
                        let most = headroom.range(id).magnitude().saturating_add(2);
                        let weight = real(i128::from(factor.unsigned_abs()), shift);
                        (RBig::from(most) / weight, real(1, total.format.scale.bits()))
                    }
                    _ => return Err(self.unlike("a mean")),
                };
                let sum = magnitude * real(1, total.format.scale.bits());
                (Centre::Rounded(average), sum, unrounded, total.format, RBig::ONE)
            }
            None => {
                // The centred value carries the division by 2^log in its scale; its argument does not.
                let centred = self.circuit.node(squares.left).format;
                let scale = centred.scale.bits().checked_sub(built.log).and_then(catalogs::Scale::new);
                let Some(scale) = scale else { return Err(self.unlike("an exact centre")) };
                let format = catalogs::Format { scale, ..centred };
                (Centre::Exact { log: built.log }, RBig::ZERO, RBig::ZERO, format, RBig::from(n) / &log_unit)
            }
        };
        let gain = RBig::from(n) * &centre_gain * &centre_gain / log_unit;
        let variance_scale = self.circuit.node(built.variance).format.scale;
        // κ·(variance + ε) is below its truncation plus one unit, minus the least rounding.
        let Lemma::Truncation { rounding, .. } = variance_lemma else { return Err(self.unlike("a truncation")) };
        let above = 1 - i128::from(rounding.low.min(0));
        let largest = real(headroom.range(built.variance).high.saturating_add(above), variance_scale.bits());
        let Ok(epsilon) = RBig::try_from(built.epsilon) else { return Err(self.unlike("a finite ε")) };
        let greatest = &largest / &gain;
        Ok(LayerNormLowering {
            n,
            ring: argument.ring,
            scale: argument.scale,
            sum,
            unrounded,
            variances: (if least <= greatest { least } else { greatest.clone() }, greatest),
            epsilon,
            centre,
            variance: Average {
                factor: squares.coefficient.value,
                constant: i128::from(constant),
                lemma: variance_lemma,
            },
            variance_scale,
            gain,
            normalised,
        })
    }

    fn program(&self, id: NodeId) -> Result<&Certified, Error> {
        program(&self.circuit.node(id).kind).ok_or_else(|| self.unlike("an entry"))
    }

    /// A sum with its truncation.
    fn sum(&self, id: NodeId) -> Result<(&Sum, Lemma), Error> {
        match &self.circuit.node(id).kind {
            NodeKind::Sum(sum) => {
                sum.truncation.map(|lemma| (sum, lemma)).ok_or_else(|| self.unlike("a truncated sum"))
            }
            _ => Err(self.unlike("a truncated sum")),
        }
    }

    fn row(&self, row: usize) -> Result<u32, Error> {
        u32::try_from(row).map_err(|_| self.unlike("a row of less than 2^32 elements"))
    }

    fn refused(&self, reason: compose::SideCondition) -> Error {
        Error::Bound { site: self.group.name.clone(), reason }
    }

    fn unlike(&self, what: &str) -> Error {
        Error::Circuit(format!("{}: {what} is missing where its bound needs it", self.group.name))
    }
}

fn program(kind: &NodeKind) -> Option<&Certified> {
    if let NodeKind::Program { certified, .. } = kind { Some(certified) } else { None }
}

/// The real number that an integer stands for.
fn real(value: i128, bits: u8) -> RBig {
    RBig::from_parts(value.into(), UBig::ONE << usize::from(bits))
}
