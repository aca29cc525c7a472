//! The sign test: one chunk and one AND with all shares symbolic, then the carry tree at full width.
//!
//! The circuit's shape is `catalogs::protocol::rss3::SignCircuit`, the same data that the runtime executes.

use super::script::{Script, constant, extract, fold, zero_extend};
use super::{Expected, Query};
use catalogs::Ring;
use catalogs::protocol::rss3::{SignCircuit, SignNode};

const RESTS: &str = "Rests elsewhere: that the code computes these expressions is tied by exhaustive runs of the \
                     protocol on small rings; that its messages reveal nothing is argued in SECURITY.md and enumerated.";
/// The ring whose sign test has no ring in its name: the widest one, of which the others keep the low bits.
const WIDE: Ring = Ring::Z64;

/// All pairs that a sign test of `width` − `dropped` bits rests on, of shares in the widest ring that is executed; a wider
/// test is one of shares in the ring of its own width.
pub(super) fn queries(width: u8, dropped: u8, band: i128) -> Vec<Query> {
    let own = Ring::new(width).filter(|own| *own > WIDE);
    queries_in(own.unwrap_or(WIDE), width, dropped, band)
}

/// The same of shares in `ring`, which has at least `width` bits.
pub(super) fn queries_in(ring: Ring, width: u8, dropped: u8, band: i128) -> Vec<Query> {
    let circuit = SignCircuit::new(width - dropped);
    let mut queries: Vec<Query> = carry(ring, [width, dropped], band, &circuit).into();
    let mut sizes: Vec<u8> = circuit.chunks.iter().map(|&(_, size)| size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    queries.extend(sizes.into_iter().flat_map(|size| chunk(size, circuit.stride())));
    if !circuit.levels.is_empty() {
        queries.extend(and());
    }
    queries
}

/// The tree over generate and propagate bits is the bit that the lemma states.
fn carry(ring: Ring, [width, dropped]: [u8; 2], band: i128, circuit: &SignCircuit) -> [Query; 2] {
    let (w, s, k) = (u32::from(width), u32::from(dropped), u32::from(ring.bits()));
    let name = if ring == WIDE { format!("sign-{w}-{s}") } else { format!("sign-{w}-{s}-ring-{k}") };
    [Expected::Unsat, Expected::Sat].map(|expected| {
        let weakened = expected == Expected::Sat;
        let mut script = Script::new();
        script.declare(k, &["x1", "x2", "x3"]);
        script.define(k, "v", "(bvadd x1 x2 x3)");
        script.comment("role 1 knows m, roles 2 and 3 know n");
        script.define(k, "sum12", "(bvadd x1 x2)");
        script.define(w - s, "m", extract("sum12", w - 1, s));
        script.define(w - s, "n", extract("x3", w - 1, s));
        let carry = tree(&mut script, circuit, weakened && s == 0);
        let top = w - s - 1;
        script.define(1, "bit", format!("(bvxor {carry} {} {})", extract("m", top, top), extract("n", top, top)));
        script.comment("v less the low bits that are ignored, operand by operand");
        let low = |word: &str| zero_extend(&extract(word, s - 1, 0), k - s);
        let ignored = if s == 0 { constant(0, k) } else { format!("(bvadd {} {})", low("sum12"), low("x3")) };
        script.define(k, "ignored", ignored);
        script.define(k, "seen", "(bvsub v ignored)");
        let mut wrong = vec![
            format!("(distinct bit {})", extract("seen", w - 1, w - 1)),
            format!("(bvugt ignored {})", constant(2 * ((1i128 << s) - 1), k)),
        ];
        if s > 0 {
            wrong.push(format!("(distinct {} {})", extract("seen", s - 1, 0), constant(0, s)));
        }
        let first_exact = band - i128::from(weakened && s > 0);
        let outside = format!("(bvuge {} {})", extract("v", w - 2, 0), constant(first_exact, w - 1));
        wrong.push(format!("(and {outside} (distinct bit {}))", extract("v", w - 1, w - 1)));
        let mut inside = vec![outside];
        if w < k {
            inside.push(format!("(bvsge v {})", constant(-(1i128 << (w - 1)), k)));
            inside.push(format!("(bvslt v {})", constant(1i128 << (w - 1), k)));
        }
        wrong.push(format!("(and {} (distinct bit {}))", inside.join(" "), extract("v", k - 1, k - 1)));
        script.assert(format!("(or {})", wrong.join(" ")));
        script.query(&name, vec![statement(&name, [w, s, k], band, weakened), RESTS.into()], expected)
    })
}

fn statement(name: &str, [w, s, k]: [u32; 3], band: i128, weakened: bool) -> String {
    match (weakened, s) {
        (false, _) => format!(
            "Sign test of {w} bits, {s} of them ignored: for every sharing of v in Z_2^{k}, the tree over the \
             chunks' generate and propagate bits gives bit {top} of v' = v - e, where e, the sum of the two operands' \
             ignored low bits, has 0 <= e <= 2*(2^{s}-1) and v' = 0 mod 2^{s}. Hence the bit is bit {top} of v unless v mod \
             2^{top} < {band}, and the sign of v if moreover -2^{top} <= v < 2^{top}. In a narrower ring only the low {w} bits \
             exist, and only they enter the bit. The query asks for a counterexample to any of these. That the \
             shared bits of a chunk are its generate and propagate bits is sign-chunk-*, that a node of the tree on \
             shares computes its AND is sign-and.",
            top = w - 1
        ),
        (true, 0) => {
            format!("Twin of {name}: the lowest chunk's carry is left out of the tree, and the bit can be wrong.")
        }
        (true, _) => format!(
            "Twin of {name}: the band is taken to end one earlier, at v mod 2^{} < {}, and there the bit can be \
             wrong.",
            w - 1,
            band - 1
        ),
    }
}

/// Defines all nodes of the tree; returns the name of the carry out of the low bits.
fn tree(script: &mut Script, circuit: &SignCircuit, without_lowest: bool) -> String {
    script.comment("generate and propagate of every chunk");
    let mut nodes = Vec::new();
    for (index, &(first, size)) in circuit.chunks.iter().enumerate() {
        let (first, size) = (u32::from(first), u32::from(size));
        let part = |word: &str| extract(word, first + size - 1, first);
        let wide = |word: &str| zero_extend(&part(word), 1);
        let mut generate = extract(&format!("(bvadd {} {})", wide("m"), wide("n")), size, size);
        if index == 0 && without_lowest {
            generate = constant(0, 1);
        }
        script.define(1, &format!("g0_{index}"), generate);
        if index > 0 {
            let ones = constant(-1, size);
            let every = format!("(bvxor {} {})", part("m"), part("n"));
            script.define(1, &format!("p0_{index}"), format!("(bvcomp {every} {ones})"));
        }
        nodes.push((format!("g0_{index}"), format!("p0_{index}")));
    }
    for (level, shape) in circuit.levels.iter().enumerate() {
        script.comment("joined in pairs");
        let level = level + 1;
        let mut joined = Vec::new();
        for (index, node) in shape.iter().enumerate() {
            match *node {
                SignNode::Keep(previous) => joined.push(nodes[previous].clone()),
                SignNode::Join { low, propagate } => {
                    let ((low_g, low_p), (high_g, high_p)) = (&nodes[low], &nodes[low + 1]);
                    let names = (format!("g{level}_{index}"), format!("p{level}_{index}"));
                    script.define(1, &names.0, format!("(bvxor {high_g} (bvand {high_p} {low_g}))"));
                    if propagate {
                        script.define(1, &names.1, format!("(bvand {high_p} {low_p})"));
                    }
                    joined.push(names);
                }
            }
        }
        nodes = joined;
    }
    nodes[0].0.clone()
}

/// One chunk of `size` bits: shared monomials, inner products, two reshared bits.
fn chunk(size: u8, stride: u8) -> [Query; 2] {
    let (c, stride) = (u32::from(size), u32::from(stride));
    let name = format!("sign-chunk-{c}-of-{stride}");
    [Expected::Unsat, Expected::Sat].map(|expected| {
        let mut script = Script::new();
        script.declare(c, &["m", "n"]);
        script.comment("role 1 shares every monomial of m: s is a stream with role 3, the rest goes to role 2");
        for monomial in 1..1u32 << c {
            script.declare(1, &[&format!("s{monomial}")]);
            script.define(1, &format!("t{monomial}"), format!("(bvxor {} s{monomial})", product("m", monomial)));
        }
        script.comment("a chunk of fewer bits than the largest is filled up: m has no bits there, n has ones");
        let ones = constant(-1, stride - c);
        let padded = if c == stride { "n".to_owned() } else { format!("(concat {ones} n)") };
        script.define(stride, "padded", padded);
        let mut wrong = Vec::new();
        for (what, function) in [("g", generate as fn(u32, u32, u32) -> bool), ("p", propagate)] {
            script.comment("inner products with functions of n by roles 2 and 3, masked with streams and exchanged");
            let coefficients = coefficients(stride, function);
            let inner = |share: &str| {
                let terms: Vec<String> = (1..1usize << c)
                    .filter(|monomial| !coefficients[*monomial].is_empty())
                    .map(|monomial| format!("(bvand {share}{monomial} {})", polynomial("padded", &coefficients[monomial])))
                    .collect();
                fold("bvxor", &terms)
            };
            // The terms without m are role 2's.
            let public = match coefficients[0].as_slice() {
                [] => constant(0, 1),
                _ if expected == Expected::Sat => constant(0, 1),
                monomials => polynomial("padded", monomials),
            };
            script.declare(1, &[&format!("{what}1"), &format!("{what}2")]);
            script.define(1, &format!("{what}23"), format!("(bvxor {} {public} {what}2)", inner("t")));
            script.define(1, &format!("{what}32"), format!("(bvxor {} {what}1)", inner("s")));
            script.define(1, &format!("{what}3"), format!("(bvxor {what}23 {what}32)"));
            let bit = format!("(bvxor {what}1 {what}2 {what}3)");
            let truth = if what == "g" {
                let wide = |word: &str| zero_extend(word, 1);
                extract(&format!("(bvadd {} {})", wide("m"), wide("n")), c, c)
            } else {
                format!("(bvcomp (bvxor m n) {})", constant(-1, c))
            };
            wrong.push(format!("(distinct {bit} {truth})"));
        }
        script.assert(fold("or", &wrong));
        let statement = match expected {
            Expected::Unsat => format!(
                "One chunk of {c} bits of the sign test, filled up to {stride}: for all m known to role 1, all n known to roles 2 and 3, and \
                 all streams, the three components of each result sum (xor) to the chunk's generate bit, the carry out of \
                 m + n, and to its propagate bit, set if every bit of m differs from that of n. The query asks for a counterexample."
            ),
            Expected::Sat => format!(
                "Twin of {name}: the terms that depend on n alone are left out, and the propagate bit can be wrong."
            ),
        };
        script.query(&name, vec![statement, RESTS.into()], expected)
    })
}

fn generate(m: u32, n: u32, bits: u32) -> bool {
    m + n >= 1 << bits
}

fn propagate(m: u32, n: u32, bits: u32) -> bool {
    m + n == (1 << bits) - 1
}

/// For every monomial of m, the monomials of n in its coefficient: the algebraic normal form of `function`.
fn coefficients(bits: u32, function: fn(u32, u32, u32) -> bool) -> Vec<Vec<u32>> {
    let size = 1u32 << bits;
    let mut table: Vec<bool> = (0..size * size).map(|both| function(both / size, both % size, bits)).collect();
    for place in 0..2 * bits {
        for index in 0..table.len() {
            if index >> place & 1 == 1 {
                table[index] ^= table[index ^ (1 << place)];
            }
        }
    }
    (0..size).map(|m| (0..size).filter(|n| table[(m * size + n) as usize]).collect()).collect()
}

/// The product of the bits of `word` that `monomial` names.
fn product(word: &str, monomial: u32) -> String {
    let bits: Vec<String> =
        (0..u32::BITS).filter(|place| monomial >> place & 1 == 1).map(|place| extract(word, place, place)).collect();
    if bits.is_empty() { constant(1, 1) } else { fold("bvand", &bits) }
}

/// The xor of `monomials` of `word`.
fn polynomial(word: &str, monomials: &[u32]) -> String {
    fold("bvxor", &monomials.iter().map(|monomial| product(word, *monomial)).collect::<Vec<_>>())
}

/// One AND on replicated bits.
fn and() -> [Query; 2] {
    [Expected::Unsat, Expected::Sat].map(|expected| {
        let mut script = Script::new();
        script.declare(1, &["x1", "x2", "x3", "y1", "y2", "y3", "f1", "f2", "f3"]);
        for (i, j) in [(1, 2), (2, 3), (3, 1)] {
            let cross = if i == 3 && expected == Expected::Sat { String::new() } else { format!("(bvand x{j} y{i}) ") };
            let local = format!("(bvxor (bvand x{i} (bvxor y{i} y{j})) {cross}f{i} f{j})");
            script.define(1, &format!("z{i}"), local);
        }
        script.assert("(distinct (bvxor z1 z2 z3) (bvand (bvxor x1 x2 x3) (bvxor y1 y2 y3)))");
        let statement = match expected {
            Expected::Unsat => "One AND of replicated bits: the local parts of the three roles, each masked by two \
                                streams, sum (xor) to the AND of the shared bits, for all shares and streams. The query asks for a \
                                counterexample."
                .to_owned(),
            Expected::Sat => "Twin of sign-and: role 3 forgets the cross product x1 & y3, and the result can be wrong."
                .to_owned(),
        };
        script.query("sign-and", vec![statement, RESTS.into()], expected)
    })
}
