//! Products and injections on replicated shares: identities modulo 2^k with every share and mask symbolic.

use super::script::{Script, constant, extract, fold, zero_extend};
use super::{Expected, Query};
use catalogs::Ring;

const RESTS: &str = "Rests elsewhere: that the code computes these expressions is tied by exhaustive runs of the \
                     protocol on small rings; that its messages reveal nothing is argued in SECURITY.md and enumerated.";

/// A product of two shared values in `ring`, as every sum with products reshares it.
pub fn reshare_queries(ring: Ring) -> [Query; 2] {
    let k = u32::from(ring.bits());
    let name = format!("reshare-{k}");
    [Expected::Unsat, Expected::Sat].map(|expected| {
        let mut script = Script::new();
        script.declare(k, &["x1", "x2", "x3", "y1", "y2", "y3", "f1", "f2", "f3"]);
        script.comment("role i knows components i and i+1, and the streams fi and f(i+1)");
        for (i, j) in [(1, 2), (2, 3), (3, 1)] {
            let cross = if i == 3 && expected == Expected::Sat { String::new() } else { format!("(bvmul x{j} y{i}) ") };
            let local = format!("(bvadd (bvmul x{i} (bvadd y{i} y{j})) {cross}(bvsub f{i} f{j}))");
            script.define(k, &format!("z{i}"), local);
        }
        script.assert("(distinct (bvadd z1 z2 z3) (bvmul (bvadd x1 x2 x3) (bvadd y1 y2 y3)))");
        let statement = match expected {
            Expected::Unsat => format!(
                "Reshared product in Z_2^{k}: the local parts z1, z2, z3 of the three roles, each masked by the \
                 difference of two streams, sum to the product of the shared values, for all shares and streams. \
                 The query asks for a counterexample. Sums of products follow by adding such parts."
            ),
            Expected::Sat => {
                format!("Twin of reshare-{k}: role 3 forgets the cross product x1 * y3, and the sum can be wrong.")
            }
        };
        script.query(&name, vec![statement, RESTS.into()], expected)
    })
}

/// The square of a shared value in `ring`: the code has a cheaper local part for it.
pub fn square_queries(ring: Ring) -> [Query; 2] {
    let k = u32::from(ring.bits());
    let name = format!("reshare-square-{k}");
    [Expected::Unsat, Expected::Sat].map(|expected| {
        let mut script = Script::new();
        script.declare(k, &["x1", "x2", "x3", "f1", "f2", "f3"]);
        for (i, j) in [(1, 2), (2, 3), (3, 1)] {
            let twice = format!("(bvadd x{j} x{j})");
            let next = if i == 3 && expected == Expected::Sat { format!("x{j}") } else { twice };
            script.define(k, &format!("z{i}"), format!("(bvadd (bvmul x{i} (bvadd x{i} {next})) (bvsub f{i} f{j}))"));
        }
        script.assert("(distinct (bvadd z1 z2 z3) (bvmul (bvadd x1 x2 x3) (bvadd x1 x2 x3)))");
        let statement = match expected {
            Expected::Unsat => format!(
                "Reshared square in Z_2^{k}: the local parts of the three roles, each masked by the difference of two \
                 streams, sum to the square of the shared value, for all shares and streams. The query asks for a \
                 counterexample."
            ),
            Expected::Sat => {
                format!("Twin of reshare-square-{k}: role 3 takes the cross product once, and the sum can be wrong.")
            }
        };
        script.query(&name, vec![statement, RESTS.into()], expected)
    })
}

/// A shared bit to the ring element 0 or 1.
pub fn injection_queries(ring: Ring) -> [Query; 2] {
    let k = u32::from(ring.bits());
    let name = format!("injection-{k}");
    [Expected::Unsat, Expected::Sat].map(|expected| {
        let mut script = Script::new();
        script.comment("the bit is b1 xor b2 xor b3; role 1 knows m = b1 xor b2, roles 2 and 3 know n = b3");
        script.declare(1, &["b1", "b2", "b3"]);
        script.declare(k, &["s1", "v1", "v2"]);
        script.define(k, "m", zero_extend("(bvxor b1 b2)", k - 1));
        script.define(k, "n", zero_extend("b3", k - 1));
        script.comment("round 1: role 1 to role 2; s1 is a stream of roles 1 and 3");
        script.define(k, "s2", "(bvsub m s1)");
        script.comment("round 2: role 2 to role 3 and role 3 to role 2; v1 and v2 are streams with role 1");
        script.define(k, "sent32", "(bvsub (bvand s1 (bvneg n)) v1)");
        script.define(k, "sent23", "(bvsub (bvand s2 (bvneg n)) v2)");
        script.define(k, "v3", "(bvadd sent32 sent23)");
        script.comment("m + n - 2mn");
        let twice = |component: &str, product: &str| format!("(bvsub {component} (bvadd {product} {product}))");
        script.define(k, "result1", twice("s1", "v1"));
        script.define(k, "result2", twice("s2", "v2"));
        let third = if expected == Expected::Sat { "(bvsub n v3)".into() } else { twice("n", "v3") };
        script.define(k, "result3", third);
        let bit = zero_extend("(bvxor b1 b2 b3)", k - 1);
        script.assert(format!("(distinct (bvadd result1 result2 result3) {bit})"));
        let statement = match expected {
            Expected::Unsat => format!(
                "Injection of a shared bit into Z_2^{k}: the shares of the result sum to 0 or 1, exactly the bit, for \
                 all shares and streams. The query asks for a counterexample."
            ),
            Expected::Sat => {
                format!("Twin of injection-{k}: role 2 and 3's component takes the product once instead of twice.")
            }
        };
        script.query(&name, vec![statement, RESTS.into()], expected)
    })
}

/// A word from its bits, each injected by itself.
pub fn recomposition_queries(ring: Ring) -> [Query; 2] {
    let k = u32::from(ring.bits());
    let name = format!("b2a-{k}");
    [Expected::Unsat, Expected::Sat].map(|expected| {
        let mut script = Script::new();
        script.declare(k, &["word"]);
        let counted = if expected == Expected::Sat { k - 1 } else { k };
        let bit = |place: u32| zero_extend(&extract("word", place, place), k - 1);
        let terms: Vec<String> =
            (0..counted).map(|place| format!("(bvmul {} {})", constant(1 << place, k), bit(place))).collect();
        script.define(k, "sum", fold("bvadd", &terms));
        script.assert("(distinct sum word)");
        let statement = match expected {
            Expected::Unsat => format!(
                "Bits to arithmetic in Z_2^{k}: the injections of a word's {k} bits, times 2^0 to 2^{}, sum to the word. \
                 The query asks for a counterexample. That a shared bit is injected exactly is injection-{k}.",
                k - 1
            ),
            Expected::Sat => format!("Twin of {name}: the top bit is left out."),
        };
        script.query(&name, vec![statement], expected)
    })
}
