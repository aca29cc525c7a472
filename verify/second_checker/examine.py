"""The order of checks (sections 5, 9 and 10 of `proofs/FORMAT.md`): tiling, pieces, error inequality, parts, witness."""

from fractions import Fraction

import function
from canonical import CERTIFICATE_CONTEXT, ENTRY_CONTEXT, digest
from certificate import read_certificate
from enclosure import enclose
from entry import read_entry
from model import FRACTION
from polynomial import ceil_shift, multiple, negate, shift, subtract, upper, value_range
from rejection import Rejection
from walk import Walk

MAX_DEGREE = 40
MAX_WORK = 67108864
SIGN_HALVINGS = 2
ERROR_HALVINGS = 5


class Finding:
    """What a user may rely on: the entry, its output's range, the witness and the probability of failure.

    `parts` holds (approximation, rounding, remainder) as found for each piece, in units 2^-(s + FRACTION).
    """

    def __init__(self, entry, certificate):
        self.entry, self.certificate = entry, certificate
        self.output_range = None
        self.work = 0
        self.parts = []

    def failure(self):
        """At most this, over all truncations that may fail."""
        return _failure(self.entry)


def _failure(entry):
    total = Fraction(0)
    for one in entry.operations:
        if one.kind == "sum" and one.lemma is not None:
            bits = entry.lemmas[one.lemma].failure
            total += Fraction(0) if bits is None else Fraction(1, 1 << bits)
    return total


def examine(entry_bytes, certificate_bytes):
    """The Finding for a pair of files, or a Rejection."""
    entry = read_entry(entry_bytes)
    certificate = read_certificate(certificate_bytes)
    if certificate.digest != digest(ENTRY_CONTEXT, entry_bytes):
        raise Rejection("digest", "the certificate is of another entry")
    _claim(entry)
    _tiling(entry, certificate.pieces)
    if len(certificate.ranges) != len(entry.operations):
        raise Rejection("claim", "%d ranges for %d operations" % (len(certificate.ranges), len(entry.operations)))
    finding = Finding(entry, certificate)
    for piece in certificate.pieces:
        try:
            _piece(finding, piece)
        except Rejection as rejection:
            detail = "%s (piece %d to %d)" % (rejection.detail, piece.low, piece.high)
            raise Rejection(rejection.reason, detail) from None
    _witness(entry, certificate)
    return finding


def certificate_digest(data):
    """The digest of a certificate's bytes, for lists of files."""
    return digest(CERTIFICATE_CONTEXT, data)


def _claim(entry):
    half = 1 << entry.ring - 1
    low, high = entry.window
    if low > high or entry.fitted[0] > entry.fitted[1]:
        raise Rejection("claim", "the window or the fitted interval is empty")
    if not low <= entry.fitted[0] or not entry.fitted[1] <= high:
        raise Rejection("claim", "the window does not contain the fitted interval")
    if low < -half or high >= half:
        raise Rejection("claim", "the window is wider than the input's ring")
    absolute, relative = entry.absolute.mantissa, entry.relative.mantissa
    if absolute < 0 or relative < 0 or entry.bound.mantissa < 0:
        raise Rejection("claim", "a norm or a bound is negative")
    if not absolute and not relative:
        raise Rejection("claim", "the norm is zero")
    if _failure(entry) >= 1:
        raise Rejection("claim", "the failure probabilities add up to %s: nothing would be claimed" % _failure(entry))


def _tiling(entry, pieces):
    expected = entry.window[0]
    for piece in pieces:
        if piece.low != expected:
            raise Rejection("tiling", "a piece begins at %d and not at %d" % (piece.low, expected))
        if piece.low > piece.high:
            raise Rejection("piece", "%d to %d is empty" % (piece.low, piece.high))
        expected = piece.high + 1
    if expected != entry.window[1] + 1:
        raise Rejection("tiling", "the last piece ends at %d and the window at %d" % (expected - 1, entry.window[1]))


def _piece(finding, piece):
    entry, certificate = finding.entry, finding.certificate
    if piece.degree > MAX_DEGREE:
        raise Rejection("piece", "degree %d is beyond %d" % (piece.degree, MAX_DEGREE))
    walk = Walk(entry, piece.low, piece.high, piece.degree).run()
    square = (piece.degree + 2) ** 2
    q, error = enclose(entry, piece.low, piece.high, piece.degree, piece.tail)
    _error(entry, walk.outputs, q, error)
    scale = entry.output().scale + FRACTION
    parts = _parts(walk.outputs, q, error)
    finding.parts.append(parts)
    stated = (piece.approximation, piece.rounding, piece.remainder)
    for name, part, decimal in zip(("approximation", "rounding", "remainder"), parts, stated):
        if part > decimal.floor_at(scale):
            raise Rejection("part", "the %s is larger than %s" % (name, decimal.write()))
    for number, (found, known) in enumerate(zip(walk.ranges, certificate.ranges)):
        if found is not None and (known is None or found[0] < known[0] or found[1] > known[1]):
            raise Rejection("stated-range", "v%d goes from %d to %d" % (number, *found))
    finding.work += walk.work + function.work(entry.definition, piece.degree) + 32 * square * len(walk.outputs)
    if finding.work > MAX_WORK:
        raise Rejection("work", "the certificate costs more than %d" % MAX_WORK)
    low, high = walk.ranges[-1]
    known = finding.output_range or (low, high)
    finding.output_range = (min(low, known[0]), max(high, known[1]))


def _error(entry, outputs, q, error):
    """The error inequality of section 9 for every output model."""
    bound = entry.bound.value()
    allowed = _floor(bound * entry.absolute.value() * (1 << entry.output().scale + FRACTION))
    relative = _floor(bound * entry.relative.value() * (1 << FRACTION))
    low, high = value_range(q, SIGN_HALVINGS)
    sign = 1 if low >= error else -1 if -high >= error else 0
    credit, lost = shift(multiple(q, sign * relative), FRACTION)
    if sign:
        error += ceil_shift(relative * error, FRACTION)
    for model in outputs:
        around = model.spread() + model.rest + error + lost
        difference = subtract(model.polynomial, q)
        for one in (difference, negate(difference)):
            if upper(subtract(one, credit), ERROR_HALVINGS) + around > allowed:
                raise Rejection("error", "the bound %s is not proved" % entry.bound.write())


def _parts(outputs, q, error):
    """The largest approximation, rounding and remainder over the output models."""
    found = [0, 0, 0]
    for index, model in enumerate(outputs):
        low, high = value_range(subtract(model.polynomial, q), ERROR_HALVINGS)
        parts = (max(-low, high), model.spread(), model.rest + error)
        found = list(parts) if not index else [max(pair) for pair in zip(found, parts)]
    return tuple(found)


def _floor(rational):
    return rational.numerator // rational.denominator


def _residue(value, ring):
    """The signed residue."""
    half = 1 << ring - 1
    return (value + half) % (1 << ring) - half


def _witness(entry, certificate):
    """The stated lower bound of the worst error holds at the stated point."""
    point = certificate.point
    if not entry.window[0] <= point <= entry.window[1]:
        raise Rejection("witness", "%d is outside the window" % point)
    if len(certificate.choices) != len(entry.operations):
        raise Rejection("witness", "there must be as many choices as operations")
    output = replay(entry, point, certificate.choices)
    tail = any(piece.tail and piece.low <= point <= piece.high for piece in certificate.pieces)
    q, error = enclose(entry, point, point, 0, tail)
    centre = q[0]
    least = max(0, abs((output << FRACTION) - centre) - error)
    unit = entry.absolute.value() * (1 << entry.output().scale + FRACTION)
    unit += entry.relative.value() * (abs(centre) + error)
    if certificate.error.mantissa < 0:
        raise Rejection("witness", "the error is negative")
    if not unit and certificate.error.mantissa:
        raise Rejection("witness", "the norm is zero at %d, and no error so many times as large" % point)
    if least < certificate.error.value() * unit:
        raise Rejection("witness", "the error at %d is not shown to be %s" % (point, certificate.error.write()))


def replay(entry, point, choices):
    """Runs the program on a point with the adversary's choices; a Rejection if a choice is not the adversary's to make."""
    values = []
    for number, one in enumerate(entry.operations):
        asked = False
        choice = choices[number]
        if one.kind == "input":
            value = point
        elif one.kind == "inject":
            value = values[one.operand]
        elif one.kind == "sign":
            lemma = entry.lemmas[one.lemma]
            operand = values[one.operand]
            asked = operand % (1 << lemma.period()) < lemma.band()
            value = choice if asked else operand >> lemma.period() & 1
            if value not in (0, 1):
                raise Rejection("witness", "choice %d is no bit" % number)
        else:
            value = one.constant + sum(c * values[a] * values[b] for c, a, b in one.products)
            value = _residue(value + sum(c * values[a] for c, a in one.linear), one.sum_ring)
            if one.lemma is not None:
                lemma = entry.lemmas[one.lemma]
                asked = lemma.window is None or -(1 << lemma.window) <= value < 1 << lemma.window
                if asked:
                    if not lemma.low <= choice <= lemma.high:
                        raise Rejection("witness", "choice %d is not in its lemma's rounding" % number)
                    value = (value >> lemma.shift) + choice
                value = _residue(value, lemma.target)
        if not asked and choice != 0:
            raise Rejection("witness", "choice %d was not asked for" % number)
        values.append(value)
    return values[-1]
