//! The one check that a node fits its operands: it computes the node's shape and format, or says what is wrong.

use super::node::{
    Coefficient, Constant, Convolution, Maximum, Movement, NodeId, NodeKind, Product, ProductKind, Sum, WeightSlot,
};
use super::shape::Shape;
use catalogs::protocol::Width;
use catalogs::protocol::rss3::{EXECUTED_BITS, MaximumCircuit};
use catalogs::{Format, Lemma, Ring, Scale};

/// What is known of earlier nodes.
pub(super) trait Known {
    /// Shape and format of an earlier node, or `None` if there is no such node or it has no value.
    fn value(&self, id: NodeId) -> Option<(&Shape, Format)>;
    /// The weights.
    fn weights(&self) -> &[WeightSlot];
}

type Inferred = Result<(Shape, Format), String>;

/// Shape and format of what `kind` computes. Rings that are not executed are refused, also those that only an entry uses.
pub(super) fn infer(kind: &NodeKind, known: &dyn Known) -> Inferred {
    match kind {
        NodeKind::Program { certified, .. } => executed(certified.program().widest_ring())?,
        NodeKind::Sum(sum) => executed(sum.ring)?,
        _ => {}
    }
    let (shape, format) = infer_node(kind, known)?;
    executed(format.ring)?;
    Ok((shape, format))
}

/// Refuses a ring whose elements are no machine words.
pub(super) fn executed(ring: Ring) -> Result<(), String> {
    match ring.bits() <= EXECUTED_BITS {
        true => Ok(()),
        false => {
            Err(format!("it computes in ring {ring}; this runtime executes rings of at most {EXECUTED_BITS} bits"))
        }
    }
}

fn infer_node(kind: &NodeKind, known: &dyn Known) -> Inferred {
    match kind {
        NodeKind::Input { shape, format, .. } => Ok((shape.clone(), *format)),
        NodeKind::Weight(id) => match known.weights().get(id.index()) {
            Some(slot) => Ok((slot.shape.clone(), slot.format)),
            None => Err(format!("there is no weight {}", id.0)),
        },
        NodeKind::Sum(sum) => infer_sum(sum, known),
        NodeKind::Program { certified, argument } => {
            let (shape, format) = operand(*argument, known)?;
            let (ring, scale) = certified.program().input();
            if format != (Format { ring, scale }) {
                return Err(format!("the entry takes ring {ring} scale {scale}, {argument} has {format}"));
            }
            let (ring, scale) = certified.program().output();
            Ok((shape.clone(), Format { ring, scale }))
        }
        NodeKind::Maximum(maximum) => infer_maximum(maximum, known),
        NodeKind::Movement { movement, operands } => infer_movement(movement, operands, known),
        NodeKind::Output { value, .. } => operand(*value, known).map(|(shape, format)| (shape.clone(), format)),
    }
}

fn operand(id: NodeId, known: &dyn Known) -> Result<(&Shape, Format), String> {
    known.value(id).ok_or_else(|| format!("{id} is not an earlier value"))
}

fn infer_sum(sum: &Sum, known: &dyn Known) -> Inferred {
    let mut shape: Option<Shape> = None;
    let mut scale: Option<u8> = None;
    let mut agree = |own: u32| match (u8::try_from(own).ok().filter(|&own| own <= Scale::MAX_BITS), scale) {
        (None, _) => Err(format!("a term of scale {own} exceeds {}", Scale::MAX_BITS)),
        (Some(own), Some(other)) if own != other => Err(format!("terms have the scales {other} and {own}")),
        (Some(own), _) => {
            scale = Some(own);
            Ok(())
        }
    };
    for product in &sum.products {
        let (left, right) = (operand(product.left, known)?, operand(product.right, known)?);
        check_factor(sum.ring, product.coefficient, &[left.1.ring, right.1.ring])?;
        agree(bits(left.1) + bits(right.1) + u32::from(product.coefficient.scale))?;
        let own = product_shape(product, left.0, right.0)?;
        match &shape {
            Some(other) if *other != own => return Err(format!("products have the shapes {other} and {own}")),
            _ => shape = Some(own),
        }
    }
    for term in &sum.linear {
        let (own, format) = operand(term.value, known)?;
        check_factor(sum.ring, term.coefficient, &[format.ring])?;
        agree(bits(format) + u32::from(term.coefficient.scale))?;
        shape = Some(match shape {
            Some(shape) if !sum.products.is_empty() && !own.broadcasts_to(&shape) => {
                return Err(format!("{} of shape {own} does not broadcast to {shape}", term.value));
            }
            Some(shape) => shape.broadcast(own)?,
            None => own.clone(),
        });
    }
    let (Some(shape), Some(scale)) = (shape, scale) else { return Err("a sum has at least one term".into()) };
    check_constant(&sum.constant, sum.ring, &shape)?;
    Ok((shape, sum_format(sum, scale)?))
}

fn bits(format: Format) -> u32 {
    u32::from(format.scale.bits())
}

fn check_factor(ring: Ring, coefficient: Coefficient, operands: &[Ring]) -> Result<(), String> {
    if coefficient.value == 0 {
        return Err("a coefficient is zero; leave the term out".into());
    }
    match operands.iter().find(|&&operand| operand < ring) {
        Some(operand) => Err(format!("an operand in ring {operand} is narrower than the sum's ring {ring}")),
        None => Ok(()),
    }
}

fn check_constant(constant: &Constant, ring: Ring, shape: &Shape) -> Result<(), String> {
    let fits = |value: i64| ring.contains(i128::from(value));
    match constant {
        Constant::Scalar(value) if fits(*value) => Ok(()),
        Constant::Scalar(_) => Err(format!("the constant does not fit ring {ring}")),
        Constant::Tensor(tensor) if !tensor.shape().broadcasts_to(shape) => {
            Err(format!("a constant of shape {} does not broadcast to {shape}", tensor.shape()))
        }
        Constant::Tensor(tensor) if tensor.values().iter().all(|&value| fits(value)) => Ok(()),
        Constant::Tensor(_) => Err(format!("a constant does not fit ring {ring}")),
    }
}

fn sum_format(sum: &Sum, scale: u8) -> Result<Format, String> {
    let (ring, bits) = match sum.truncation {
        None => (sum.ring, Some(scale)),
        Some(lemma @ Lemma::Truncation { ring, target, shift, .. }) if ring == sum.ring && lemma.is_well_formed() => {
            (target, scale.checked_sub(shift))
        }
        Some(other) => return Err(format!("a sum in ring {} cannot use '{other}'", sum.ring)),
    };
    match bits.and_then(Scale::new) {
        Some(scale) => Ok(Format { ring, scale }),
        None => Err(format!("a sum of scale {scale} cannot be shifted that far")),
    }
}

/// The shape of a product.
fn product_shape(product: &Product, left: &Shape, right: &Shape) -> Result<Shape, String> {
    match &product.kind {
        ProductKind::Hadamard => left.broadcast(right),
        ProductKind::MatMul => {
            let mismatch = || format!("{left} and {right} cannot be multiplied as matrices");
            let ([a @ .., m, k], [b @ .., l, n]) = (left.extents(), right.extents()) else { return Err(mismatch()) };
            if k != l {
                return Err(mismatch());
            }
            let batch = Shape::new(a)?.broadcast(&Shape::new(b)?).map_err(|_| mismatch())?;
            Shape::new([batch.extents(), &[*m, *n]].concat())
        }
        ProductKind::Conv(convolution) => conv_shape(convolution, left, right),
    }
}

fn conv_shape(convolution: &Convolution, image: &Shape, weight: &Shape) -> Result<Shape, String> {
    let (&[batch, channels, height, width], &[outputs, group_channels, rows, columns]) =
        (image.extents(), weight.extents())
    else {
        return Err(format!("a convolution of {image} with {weight} is not two-dimensional"));
    };
    let groups = convolution.groups;
    if groups == 0 || outputs % groups != 0 || group_channels.checked_mul(groups) != Some(channels) {
        return Err(format!("weight {weight} with {groups} group(s) does not fit {image}"));
    }
    let [height, width] = convolution.output([height, width], [rows, columns])?;
    Shape::new([batch, outputs, height, width])
}

fn infer_maximum(maximum: &Maximum, known: &dyn Known) -> Inferred {
    let most = usize::from(MaximumCircuit::MAX_CANDIDATES);
    let Some((&first, others)) =
        maximum.candidates.split_first().filter(|(_, others)| (1..most).contains(&others.len()))
    else {
        return Err(format!("a maximum takes 2 to {most} candidates, not {}", maximum.candidates.len()));
    };
    let (shape, format) = operand(first, known)?;
    for &other in others {
        let found = operand(other, known)?;
        if found != (shape, format) {
            return Err(format!("{first} ({shape}, {format}) and {other} ({}, {}) differ", found.0, found.1));
        }
    }
    if !(1..=MaximumCircuit::MAX_JOINED).contains(&maximum.joined) {
        return Err(format!(
            "a maximum joins 1 to {} bits at once, not {}",
            MaximumCircuit::MAX_JOINED,
            maximum.joined
        ));
    }
    let Width { bits, dropped } = maximum.width;
    match bits <= format.ring.bits() && maximum.width.compared() >= 2 {
        true => Ok((shape.clone(), format)),
        false if dropped == 0 => Err(format!("{bits} bits cannot be compared in ring {}", format.ring)),
        false => Err(format!("{bits} bits without {dropped} cannot be compared in ring {}", format.ring)),
    }
}

fn infer_movement(movement: &Movement, operands: &[NodeId], known: &dyn Known) -> Inferred {
    let Some((&first, others)) = operands.split_first() else { return Err("a movement needs an operand".into()) };
    let (shape, format) = operand(first, known)?;
    if !others.is_empty() && !matches!(movement, Movement::Concat { .. }) {
        return Err(format!("a movement takes 1 operand, not {}", operands.len()));
    }
    let result = match movement {
        Movement::Reshape { shape: target } if target.lanes() == shape.lanes() => target.clone(),
        Movement::Reshape { shape: target } => return Err(format!("{shape} cannot be reshaped to {target}")),
        Movement::Transpose { permutation } => {
            let mut sorted = permutation.clone();
            sorted.sort_unstable();
            if !sorted.iter().copied().eq(0..shape.rank()) {
                return Err(format!("{permutation:?} is no permutation of the axes of {shape}"));
            }
            Shape::new(permutation.iter().map(|&axis| shape.extents()[axis]).collect::<Vec<_>>())?
        }
        Movement::Slice { axis, start, length, step } => {
            let extent = *shape.extents().get(*axis).ok_or_else(|| format!("{shape} has no axis {axis}"))?;
            let last = length.saturating_sub(1) as i128 * *step as i128 + *start as i128;
            if *start >= extent || !(0..extent as i128).contains(&last) {
                return Err(format!("{length} positions from {start} by {step} lie outside of axis {axis} of {shape}"));
            }
            shape.with_extent(*axis, *length)?
        }
        Movement::Gather { axis, indices } => {
            let extent = *shape.extents().get(*axis).ok_or_else(|| format!("{shape} has no axis {axis}"))?;
            if let Some(index) = indices.iter().find(|&&index| index >= extent) {
                return Err(format!("position {index} lies outside of axis {axis} of {shape}"));
            }
            shape.with_extent(*axis, indices.len())?
        }
        Movement::Concat { axis } => concat_shape(*axis, shape, format, others, known)?,
        Movement::Broadcast { shape: target } if shape.broadcasts_to(target) => target.clone(),
        Movement::Broadcast { shape: target } => return Err(format!("{shape} does not broadcast to {target}")),
        Movement::Pad { before, after } => pad_shape(shape, before, after)?,
        Movement::SumAxis { axis } => shape.with_extent(*axis, 1)?,
        Movement::Replace { replaced, .. } if replaced.len() != shape.lanes() => {
            return Err(format!("{} flags do not fit {shape}", replaced.len()));
        }
        Movement::Replace { value, .. } if !format.ring.contains(i128::from(*value)) => {
            return Err(format!("the replacement does not fit ring {}", format.ring));
        }
        Movement::Replace { .. } => shape.clone(),
        Movement::Narrow { ring } if *ring > format.ring => {
            return Err(format!("ring {ring} is wider than ring {}", format.ring));
        }
        Movement::Narrow { ring } => return Ok((shape.clone(), Format { ring: *ring, scale: format.scale })),
    };
    Ok((result, format))
}

fn concat_shape(
    axis: usize,
    first: &Shape,
    format: Format,
    others: &[NodeId],
    known: &dyn Known,
) -> Result<Shape, String> {
    let mut extents = first.extents().to_vec();
    if axis >= extents.len() {
        return Err(format!("{first} has no axis {axis}"));
    }
    for &other in others {
        let (shape, own) = operand(other, known)?;
        let fits = shape.rank() == first.rank()
            && (0..first.rank()).all(|i| i == axis || shape.extents()[i] == first.extents()[i]);
        if !fits || own != format {
            return Err(format!("{first} in {format} and {shape} in {own} cannot be joined along axis {axis}"));
        }
        extents[axis] = extents[axis].saturating_add(shape.extents()[axis]);
    }
    Shape::new(extents)
}

fn pad_shape(shape: &Shape, before: &[usize], after: &[usize]) -> Result<Shape, String> {
    if before.len() != shape.rank() || after.len() != shape.rank() {
        return Err(format!("the padding does not name every axis of {shape}"));
    }
    let grown = shape.extents().iter().zip(before).zip(after);
    Shape::new(grown.map(|((extent, a), b)| extent.saturating_add(*a).saturating_add(*b)).collect::<Vec<_>>())
}
