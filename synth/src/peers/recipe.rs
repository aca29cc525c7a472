//! Recipes: a published approximation as its authors write it, in real coefficients, with the arithmetic they use.
//!
//! A recipe is text, so that coefficients have a source beside them and no number hides in code. Head lines
//! (`function`, `title`, `source`, …) say what it is, `window` lines on what intervals it is audited, and after
//! `program` there is a statement per line; the last one is the result. [`fn@super::elaborate`] says what they mean.
//!
//! ```text
//! NAME [@ SCALE] = TERM [+ TERM …] [>> BITS]   a sum, truncated once if >> is there; TERM is C, C*a, a*b, C*a*b
//! NAME = less(a, C [, LOW, HIGH])              1 where a < C, else 0
//! NAME = bit(a, N)                             bit N of a's integer
//! NAME [@ SCALE] = steps(a [, LOW, HIGH]) V0, T1: V1, …    V0 below T1, V1 from T1 to T2, …
//! repeat N … end                               the lines between, N times; a name may be given again
//! ```
//! An operand may be read as divided by a power of two: `a/2^8`. Constants are decimals or fractions.

use rug::Rational;

/// What a truncation of the peer's protocol does, besides rounding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failing {
    /// Nothing inside a quarter of the ring's range.
    Never,
    /// Two additive shares are divided one by one: a value below 2^W fails with probability at most 2^(W+1) over the
    /// size of the ring.
    TwoShares,
    /// A value is opened under a mask without a correction of its wrap: at most 2^W over the size of the ring.
    MaskedOpening,
}

/// How a public real number becomes an integer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// The fraction is dropped.
    TowardsZero,
    /// To the nearest.
    Nearest,
}

/// An interval on which a recipe is audited.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Audited {
    /// Suffix of the entry's name.
    pub name: String,
    /// Least argument.
    pub low: Rational,
    /// Greatest argument.
    pub high: Rational,
}

/// A published approximation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recipe {
    /// Who published it, as people write the name.
    pub peer: String,
    /// The stem of its entries.
    pub stem: String,
    /// The function's name.
    pub function: String,
    /// What it is, in a few words.
    pub title: String,
    /// Repository and file, and paper.
    pub source: Vec<String>,
    /// Why the rounding set is theirs.
    pub truncation: String,
    /// What a reader should know beside.
    pub notes: Vec<String>,
    /// Why no program of ours beats it, where none does.
    pub why: Option<String>,
    /// What its own system was measured to send, or what its authors state.
    pub published: Option<String>,
    /// Bits of the ring.
    pub ring: u8,
    /// Fraction bits.
    pub scale: u8,
    /// How constants are encoded.
    pub encoding: Encoding,
    /// Least and greatest rounding error against the floor.
    pub rounding: (i8, i8),
    /// What else happens.
    pub failing: Failing,
    /// Weights of the norm, as decimals.
    pub norm: (String, String),
    /// Intervals that are audited.
    pub windows: Vec<Audited>,
    /// Arguments whose result is shown.
    pub probes: Vec<Rational>,
    /// The program.
    pub statements: Vec<Statement>,
}

/// A constant times none, one or two operands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Term {
    /// The constant.
    pub coefficient: Rational,
    /// Names, each with the power of two it is read as divided by.
    pub operands: Vec<Operand>,
}

/// A value, read as divided by 2^`divided`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operand {
    /// The value's name.
    pub name: String,
    /// The power of two.
    pub divided: i32,
}

/// The right-hand side of a statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Right {
    /// A sum with at most one truncation.
    Sum {
        /// What is added.
        terms: Vec<Term>,
        /// Bits that are dropped.
        shift: Option<i32>,
    },
    /// 1 where the value is smaller than the threshold.
    Less {
        /// The value.
        value: String,
        /// The threshold.
        threshold: Rational,
        /// Between what the value lies; known for the argument and its absolute value.
        range: Option<(Rational, Rational)>,
    },
    /// A bit of the integer.
    Bit {
        /// The value.
        value: String,
        /// Which bit.
        position: u8,
    },
    /// A function that is constant between thresholds.
    Steps {
        /// The value.
        value: String,
        /// As for a comparison.
        range: Option<(Rational, Rational)>,
        /// Below the first threshold.
        first: Rational,
        /// Thresholds, ascending, and what holds from there on.
        rest: Vec<(Rational, Rational)>,
    },
}

/// One value of the program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statement {
    /// Its name.
    pub name: String,
    /// Its scale, if it is not the recipe's.
    pub scale: Option<i32>,
    /// What it is.
    pub right: Right,
}

/// Why a text is no recipe.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct RecipeError {
    /// Counted from 1; 0 if a line is missing.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

/// The most statements of a recipe, repetitions unrolled.
const MAX_STATEMENTS: usize = 1000;

impl Recipe {
    /// Reads a recipe. Empty lines and lines that begin with `#` are skipped. What is not said is as in our runtime: a ring
    /// of 64 bits with 16 fraction bits, constants to the nearest, truncations that give the floor or the next integer and
    /// never fail, the absolute error.
    pub fn parse(text: &str) -> Result<Recipe, RecipeError> {
        let lines: Vec<(usize, &str)> =
            text.lines().enumerate().map(|(index, line)| (index + 1, line.trim())).collect();
        let lines: Vec<(usize, &str)> =
            lines.into_iter().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect();
        let split = lines.iter().position(|(_, line)| *line == "program");
        let split = split.ok_or_else(|| missing("program"))?;
        let mut recipe = head(&lines[..split])?;
        recipe.statements = statements(&mut lines[split + 1..].iter().copied(), false)?;
        if recipe.statements.is_empty() || recipe.statements.len() > MAX_STATEMENTS {
            return Err(RecipeError { line: 0, reason: format!("a program has 1 to {MAX_STATEMENTS} statements") });
        }
        Ok(recipe)
    }
}

fn missing(what: &str) -> RecipeError {
    RecipeError { line: 0, reason: format!("the line '{what} …' is missing") }
}

fn head(lines: &[(usize, &str)]) -> Result<Recipe, RecipeError> {
    let known = [
        "peer",
        "stem",
        "function",
        "title",
        "source",
        "truncation",
        "note",
        "why",
        "published",
        "format",
        "encoding",
        "rounding",
        "failure",
        "norm",
        "window",
        "probe",
    ];
    let all = |key: &'static str| {
        lines.iter().filter_map(move |(line, text)| {
            let (word, rest) = text.split_once(' ')?;
            (word == key).then(|| (*line, rest.trim()))
        })
    };
    if let Some((line, text)) =
        lines.iter().find(|(_, text)| !known.contains(&text.split(' ').next().unwrap_or_default()))
    {
        return Err(RecipeError { line: *line, reason: format!("'{}' is none of {}", clip(text), known.join(", ")) });
    }
    let one = |key: &'static str| all(key).next().ok_or_else(|| missing(key));
    let or = |key: &'static str, usual: &'static str| all(key).next().unwrap_or((0, usual));
    let texts = |key: &'static str| all(key).map(|(_, text)| text.to_owned()).collect::<Vec<String>>();
    let (line, format) = or("format", "ring 64 scale 16");
    let (ring, scale) = match format.split(' ').collect::<Vec<_>>()[..] {
        ["ring", ring, "scale", scale] => (small(line, ring)?, small(line, scale)?),
        _ => return Err(RecipeError { line, reason: "'format ring K scale F' expected".into() }),
    };
    let encoding = match or("encoding", "nearest") {
        (_, "towards-zero") => Encoding::TowardsZero,
        (_, "nearest") => Encoding::Nearest,
        (line, other) => return Err(RecipeError { line, reason: format!("'{}' is not an encoding", clip(other)) }),
    };
    let failing = match or("failure", "never") {
        (_, "never") => Failing::Never,
        (_, "two-shares") => Failing::TwoShares,
        (_, "masked-opening") => Failing::MaskedOpening,
        (line, other) => return Err(RecipeError { line, reason: format!("'{}' is not a failure", clip(other)) }),
    };
    let (line, rounding) = or("rounding", "0 1");
    let rounding = match rounding.split(' ').map(|word| small(line, word)).collect::<Result<Vec<i8>, _>>()?[..] {
        [low, high] => (low, high),
        _ => return Err(RecipeError { line, reason: "'rounding LOW HIGH' expected".into() }),
    };
    let (line, norm) = or("norm", "1 0");
    let norm = norm.split_once(' ').ok_or(RecipeError { line, reason: "'norm ABSOLUTE RELATIVE' expected".into() })?;
    let windows = all("window").map(|(line, text)| match text.split(' ').collect::<Vec<_>>()[..] {
        [name, low, high] => {
            let (low, high) = (number(line, low)?, number(line, high)?);
            Ok(Audited { name: name.to_owned(), low, high })
        }
        _ => Err(RecipeError { line, reason: "'window NAME LOW HIGH' expected".into() }),
    });
    let windows = windows.collect::<Result<Vec<Audited>, RecipeError>>()?;
    if windows.is_empty() {
        return Err(missing("window"));
    }
    Ok(Recipe {
        peer: or("peer", "").1.to_owned(),
        stem: one("stem")?.1.to_owned(),
        function: one("function")?.1.to_owned(),
        title: or("title", "").1.to_owned(),
        source: texts("source"),
        truncation: or("truncation", "").1.to_owned(),
        notes: texts("note"),
        why: all("why").next().map(|(_, text)| text.to_owned()),
        published: all("published").next().map(|(_, text)| text.to_owned()),
        ring,
        scale,
        encoding,
        rounding,
        failing,
        norm: (norm.0.to_owned(), norm.1.to_owned()),
        windows,
        probes: all("probe").map(|(line, text)| number(line, text)).collect::<Result<_, _>>()?,
        statements: Vec::new(),
    })
}

/// Statements up to the end, or up to the `end` of the repetition that they are `inside` of.
fn statements(lines: &mut dyn Iterator<Item = (usize, &str)>, inside: bool) -> Result<Vec<Statement>, RecipeError> {
    let mut found = Vec::new();
    while let Some((line, text)) = lines.next() {
        if text == "end" && inside {
            return Ok(found);
        }
        if let Some(times) = text.strip_prefix("repeat ") {
            let times: u8 = small(line, times)?;
            if inside {
                return Err(RecipeError { line, reason: "a repetition inside a repetition".into() });
            }
            let body = statements(lines, true)?;
            for _ in 0..times {
                found.extend(body.iter().cloned());
            }
        } else {
            found.push(statement(line, text)?);
        }
    }
    if inside { Err(RecipeError { line: 0, reason: "'end' of a repetition is missing".into() }) } else { Ok(found) }
}

fn statement(line: usize, text: &str) -> Result<Statement, RecipeError> {
    let fail = |reason: String| RecipeError { line, reason };
    let (left, right) = text.split_once('=').ok_or_else(|| fail(format!("'{}' has no '='", clip(text))))?;
    let (name, scale) = match left.split_once('@') {
        Some((name, scale)) => (name.trim(), Some(small::<i32>(line, scale.trim())?)),
        None => (left.trim(), None),
    };
    check_name(line, name)?;
    let right = right.trim();
    let inside = |prefix: &str| right.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(')'));
    let right = if let Some(arguments) = inside("less(") {
        let (value, rest) = arguments.split_once(',').ok_or_else(|| fail("'less(VALUE, C)' expected".into()))?;
        let (threshold, range) = match rest.split_once(',') {
            Some((threshold, range)) => (threshold, Some(bounds(line, range)?)),
            None => (rest, None),
        };
        Right::Less { value: value.trim().to_owned(), threshold: number(line, threshold.trim())?, range }
    } else if let Some(arguments) = inside("bit(") {
        let (value, position) = arguments.split_once(',').ok_or_else(|| fail("'bit(VALUE, N)' expected".into()))?;
        Right::Bit { value: value.trim().to_owned(), position: small(line, position.trim())? }
    } else if let Some(rest) = right.strip_prefix("steps(") {
        let (value, list) = rest.split_once(')').ok_or_else(|| fail("'steps(VALUE) …' expected".into()))?;
        let (value, range) = match value.split_once(',') {
            Some((value, range)) => (value, Some(bounds(line, range)?)),
            None => (value, None),
        };
        let mut parts = list.split(',').map(str::trim);
        let first = number(line, parts.next().unwrap_or_default())?;
        let rest = parts.map(|part| {
            let (threshold, level) =
                part.split_once(':').ok_or_else(|| fail(format!("'{}': 'T: V' expected", clip(part))))?;
            Ok((number(line, threshold.trim())?, number(line, level.trim())?))
        });
        Right::Steps { value: value.trim().to_owned(), range, first, rest: rest.collect::<Result<_, RecipeError>>()? }
    } else {
        let (sum, shift) = match right.rsplit_once(">>") {
            Some((sum, bits)) => (sum, Some(small::<i32>(line, bits.trim())?)),
            None => (right, None),
        };
        Right::Sum { terms: terms(line, sum)?, shift }
    };
    Ok(Statement { name: name.to_owned(), scale, right })
}

/// `LOW, HIGH`.
fn bounds(line: usize, text: &str) -> Result<(Rational, Rational), RecipeError> {
    let fail = || RecipeError { line, reason: format!("'{}': 'LOW, HIGH' expected", clip(text)) };
    let (low, high) = text.split_once(',').ok_or_else(fail)?;
    Ok((number(line, low.trim())?, number(line, high.trim())?))
}

/// Terms are separated by ` + ` and ` - `; the first may carry a sign.
fn terms(line: usize, text: &str) -> Result<Vec<Term>, RecipeError> {
    let mut found = Vec::new();
    let mut negative = false;
    for word in text.split_whitespace() {
        match word {
            "+" => negative = false,
            "-" => negative = true,
            _ => {
                let mut term = term(line, word)?;
                if negative {
                    term.coefficient = -term.coefficient;
                }
                negative = false;
                found.push(term);
            }
        }
    }
    if found.is_empty() { Err(RecipeError { line, reason: "a sum has at least one term".into() }) } else { Ok(found) }
}

fn term(line: usize, word: &str) -> Result<Term, RecipeError> {
    let mut coefficient = Rational::from(1);
    let mut operands = Vec::new();
    for (index, factor) in word.split('*').enumerate() {
        let bare = factor.strip_prefix('-').unwrap_or(factor);
        if bare.starts_with(|c: char| c.is_ascii_digit()) {
            if index > 0 {
                return Err(RecipeError { line, reason: format!("'{}': the constant comes first", clip(word)) });
            }
            coefficient = number(line, factor)?;
            continue;
        }
        if bare.len() < factor.len() {
            coefficient = -coefficient;
        }
        let (name, divided) = match bare.split_once("/2^") {
            Some((name, power)) => (name, small(line, power)?),
            None => (bare, 0),
        };
        check_name(line, name)?;
        operands.push(Operand { name: name.to_owned(), divided });
    }
    if operands.len() > 2 {
        return Err(RecipeError { line, reason: format!("'{}' has more than two operands", clip(word)) });
    }
    Ok(Term { coefficient, operands })
}

fn check_name(line: usize, name: &str) -> Result<(), RecipeError> {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if plain { Ok(()) } else { Err(RecipeError { line, reason: format!("'{}' is not a name", clip(name)) }) }
}

fn small<T: std::str::FromStr>(line: usize, word: &str) -> Result<T, RecipeError> {
    word.parse().map_err(|_| RecipeError { line, reason: format!("'{}' is not a small integer", clip(word)) })
}

/// A decimal such as `-0.25` or `2e-3`, or a fraction of two integers.
fn number(line: usize, word: &str) -> Result<Rational, RecipeError> {
    let fail = || RecipeError { line, reason: format!("'{}' is not a decimal or a fraction", clip(word)) };
    if word.len() > 60 {
        return Err(fail());
    }
    if let Some((numerator, denominator)) = word.split_once('/') {
        let (numerator, denominator): (i64, i64) =
            (numerator.parse().map_err(|_| fail())?, denominator.parse().map_err(|_| fail())?);
        return if denominator > 0 { Ok(Rational::from((numerator, denominator))) } else { Err(fail()) };
    }
    let (mantissa, exponent) = match word.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| fail())?),
        None => (word, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let integer = rug::Integer::from_str_radix(&digits, 10).map_err(|_| fail())?;
    if exponent.abs() > 100 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(fail());
    }
    let power = exponent - fraction.len() as i32;
    let ten = Rational::from(rug::Integer::from(rug::Integer::u_pow_u(10, power.unsigned_abs())));
    Ok(if power >= 0 { Rational::from(integer) * ten } else { Rational::from(integer) / ten })
}

fn clip(text: &str) -> String {
    text.chars().take(60).collect()
}
