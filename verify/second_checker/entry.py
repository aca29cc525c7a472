"""Entries (section 2 of `proofs/FORMAT.md`): reading, the conditions on lemmas and operations, writing again."""

import re

import expression
from canonical import Decimal, Misspelling, between, binary_fraction, lines_of, signed, whole
from rejection import Rejection

MAX_ENTRY_BYTES = 1048576
MAX_OPS = 1024
MAX_LEMMAS = 64
MAX_TERMS = 256
MAX_COEFFICIENT_BITS = 96
MAX_SCALE = 126
MAX_RING = 128

TERM = re.compile(r"([+-])([1-9][0-9]{0,39})\*v(0|[1-9][0-9]{0,3})(?:\*v(0|[1-9][0-9]{0,3}))?\Z", re.ASCII)


class Truncation:
    """`window` None is `any`; `failure` None is `never`."""

    kind = 0

    def __init__(self, ring, target, shift, window, low, high, failure):
        self.ring, self.target, self.shift, self.window = ring, target, shift, window
        self.low, self.high, self.failure = low, high, failure

    def key(self):
        """Where the lemma stands in an ascending list."""
        window = (0, 0) if self.window is None else (1, self.window)
        failure = (0, 0) if self.failure is None else (1, self.failure)
        return (0, self.ring, self.target, self.shift, window, self.low, self.high, failure)

    def write(self):
        """The line after `lemma I `."""
        return "truncation ring %d target %d shift %d window %s rounding %d %d failure %s" % (
            self.ring, self.target, self.shift, "any" if self.window is None else self.window,
            self.low, self.high, "never" if self.failure is None else self.failure)


class Sign:
    """Bit width - 1 of a value, with low bits dropped from each of so many summands."""

    kind = 1

    def __init__(self, width, dropped, operands):
        self.width, self.dropped, self.operands = width, dropped, operands

    def key(self):
        """Where the lemma stands in an ascending list."""
        return (1, self.width, self.dropped, self.operands)

    def write(self):
        """The line after `lemma I `."""
        return "sign width %d dropped %d operands %d" % (self.width, self.dropped, self.operands)

    def period(self):
        """The exponent P: the bit is bit P."""
        return self.width - 1

    def band(self):
        """Below this, modulo 2^P, the bit is the adversary's."""
        return (self.operands - 1) * ((1 << self.dropped) - 1)


class Injection:
    """A bit becomes a ring element."""

    kind = 2

    def __init__(self, ring):
        self.ring = ring

    def key(self):
        """Where the lemma stands in an ascending list."""
        return (2, self.ring)

    def write(self):
        """The line after `lemma I `."""
        return "injection ring %d" % self.ring


class Operation:
    """kind is `input`, `sum`, `sign` or `inject`; ring None is a bit; lemma is an index or None.

    Sums: constant, products [(coefficient, a, b)], linear [(coefficient, a)]. Others: operand, an operation's number.
    """

    def __init__(self, kind, ring, scale, lemma=None, operand=None, constant=0, products=(), linear=()):
        self.kind, self.ring, self.scale, self.lemma, self.operand = kind, ring, scale, lemma, operand
        self.constant, self.products, self.linear = constant, list(products), list(linear)
        self.sum_ring = ring


class Entry:
    """What an entry file says. LOW and HIGH are integers of the input ring; A, R and the bound are `Decimal`s.

    `function` is a name of section 8 or `expression`; `definition` is the expression in both cases.
    """

    def __init__(self):
        self.function = self.definition = self.ring = self.scale = None
        self.fitted = self.window = None
        self.absolute = self.relative = self.bound = None
        self.lemmas = []
        self.operations = []

    def output(self):
        """The last operation."""
        return self.operations[-1]

    def write(self):
        """The canonical text."""
        words = self.function
        if words == "expression":
            words += " %s # %s" % (expression.write(self.definition), expression.notation(self.definition))
        lines = ["chebyshare entry 1", "function " + words,
                 "input ring %d scale %d" % (self.ring, self.scale)]
        for name, (low, high) in (("fitted", self.fitted), ("window", self.window)):
            lines.append("%s %d %d # [%s, %s]" % (
                name, low, high, binary_fraction(low, self.scale), binary_fraction(high, self.scale)))
        lines.append("norm absolute %s relative %s" % (self.absolute.write(), self.relative.write()))
        lines.append("bound " + self.bound.write())
        lines += ["lemma %d %s" % (index, lemma.write()) for index, lemma in enumerate(self.lemmas)]
        lines.append("program")
        lines += ["v%d %s" % (index, self._operation(one)) for index, one in enumerate(self.operations)]
        lines.append("end")
        return "\n".join(lines) + "\n"

    def _operation(self, one):
        if one.kind == "input":
            return "input"
        if one.kind != "sum":
            return "%s by %d = v%d" % (one.kind, one.lemma, one.operand)
        words = ["sum ring %d scale %d by %s = %d" % (
            one.sum_ring, one.scale, "none" if one.lemma is None else one.lemma, one.constant)]
        words += ["%+d*v%d*v%d" % term for term in one.products]
        words += ["%+d*v%d" % term for term in one.linear]
        if one.lemma is not None:
            words.append("# >> %d" % self.lemmas[one.lemma].shift)
        return " ".join(words)


def read_entry(data):
    """The entry that the bytes of a file spell; a Rejection with reason `entry` if they do not."""
    try:
        found = _read(lines_of(data, MAX_ENTRY_BYTES))
        if found.write().encode("utf-8") != data:
            raise Misspelling("written again it is a different text")
        return found
    except Misspelling as error:
        raise Rejection("entry", str(error)) from None


def _shape(line, pattern):
    """The words of a line at the places where the pattern has `?`; all other words must be equal."""
    words, expected = line.split(" "), pattern.split(" ")
    if len(words) != len(expected) or any(e not in ("?", w) for w, e in zip(words, expected)):
        raise Misspelling("%r is not of the form %r" % (line[:80], pattern))
    return [w for w, e in zip(words, expected) if e == "?"]


def _read(lines):
    found = Entry()
    if len(lines) < 9:
        raise Misspelling("an entry has at least nine lines")
    _shape(lines[0], "chebyshare entry 1")
    found.function, found.definition = _function(lines[1])
    ring, scale = _shape(lines[2], "input ring ? scale ?")
    found.ring, found.scale = between(ring, 2, MAX_RING), between(scale, 0, MAX_SCALE)
    found.fitted = tuple(signed(w, 64) for w in _shape(lines[3], "fitted ? ? # ? ?")[:2])
    found.window = tuple(signed(w, 64) for w in _shape(lines[4], "window ? ? # ? ?")[:2])
    absolute, relative = _shape(lines[5], "norm absolute ? relative ?")
    found.absolute, found.relative = Decimal.read(absolute), Decimal.read(relative)
    found.bound = Decimal.read(_shape(lines[6], "bound ?")[0])
    position = 7
    while position < len(lines) and lines[position].startswith("lemma "):
        found.lemmas.append(_lemma(lines[position], len(found.lemmas)))
        position += 1
    if len(found.lemmas) > MAX_LEMMAS:
        raise Misspelling("more than %d lemmas" % MAX_LEMMAS)
    keys = [lemma.key() for lemma in found.lemmas]
    if any(before >= after for before, after in zip(keys, keys[1:])):
        raise Misspelling("the lemmas do not ascend")
    if position >= len(lines) or lines[position] != "program":
        raise Misspelling("`program` is missing after the lemmas")
    if lines[-1] != "end" or not 1 <= len(lines) - position - 2 <= MAX_OPS:
        raise Misspelling("a program of 1 to %d operations and `end` must follow `program`" % MAX_OPS)
    for line in lines[position + 1:-1]:
        found.operations.append(_operation(line, found))
    if found.output().ring is None:
        raise Misspelling("the last operation is a bit")
    used = {one.lemma for one in found.operations}
    if any(index not in used for index in range(len(found.lemmas))):
        raise Misspelling("a lemma is not used")
    return found


def _function(line):
    words = line.split("#")[0].split()
    if words[:2] == ["function", "expression"]:
        return "expression", expression.read(words[2:])
    (name,) = _shape(line, "function ?")
    if name not in expression.NAMED:
        raise Misspelling("no function is named %r" % name[:40])
    return name, expression.NAMED[name]


def _lemma(line, index):
    kind = (line.split(" ") + ["", ""])[2]
    if kind == "truncation":
        words = _shape(line, "lemma ? truncation ring ? target ? shift ? window ? rounding ? ? failure ?")
        ring = between(words[1], 2, MAX_RING)
        low = between(words[5], -4, 4)
        found = Truncation(
            ring, between(words[2], 2, MAX_RING), between(words[3], 1, ring - 1),
            None if words[4] == "any" else between(words[4], 0, ring - 1),
            low, between(words[6], low, 4), None if words[7] == "never" else between(words[7], 0, 255))
    elif kind == "sign":
        words = _shape(line, "lemma ? sign width ? dropped ? operands ?")
        width = between(words[1], 2, MAX_RING)
        found = Sign(width, between(words[2], 0, width - 2), between(words[3], 1, 4))
    elif kind == "injection":
        words = _shape(line, "lemma ? injection ring ?")
        found = Injection(between(words[1], 2, MAX_RING))
    else:
        raise Misspelling("%r is no kind of lemma" % kind[:40])
    if words[0] != str(index):
        raise Misspelling("lemma %d is numbered %s" % (index, words[0][:40]))
    return found


def _lemma_of(word, kind, lemmas):
    index = between(word, 0, len(lemmas) - 1)
    if lemmas[index].kind != kind:
        raise Misspelling("lemma %d is of another kind" % index)
    return index


def _ring_of(number, earlier):
    if not 0 <= number < len(earlier):
        raise Misspelling("v%d is not an earlier operation" % number)
    ring = earlier[number].ring
    if ring is None:
        raise Misspelling("v%d is a bit" % number)
    return ring


def _operation(line, found):
    earlier = found.operations
    prefix = "v%d " % len(earlier)
    if not line.startswith(prefix):
        raise Misspelling("%r does not begin with %r" % (line[:40], prefix))
    line = line[len(prefix):]
    if (line == "input") != (not earlier):
        raise Misspelling("operation 0, and only it, is the input")
    if line == "input":
        return Operation("input", found.ring, found.scale)
    if line.startswith("sum "):
        return _sum(line, found)
    kind, lemma, operand = _shape(line, "? by ? = ?")
    if kind not in ("sign", "inject") or not operand.startswith("v"):
        raise Misspelling("%r is no operation" % line[:60])
    number = between(operand[1:], 0, len(earlier) - 1)
    if kind == "sign":
        index = _lemma_of(lemma, 1, found.lemmas)
        if _ring_of(number, earlier) < found.lemmas[index].width:
            raise Misspelling("a sign is wider than the ring of v%d" % number)
        return Operation("sign", None, None, lemma=index, operand=number)
    index = _lemma_of(lemma, 2, found.lemmas)
    if earlier[number].ring is not None:
        raise Misspelling("v%d is injected but not a bit" % number)
    return Operation("inject", found.lemmas[index].ring, 0, lemma=index, operand=number)


def _sum(line, found):
    words = line.split(" ")
    if len(words) < 9:
        raise Misspelling("%r is too short for a sum" % line[:60])
    ring, scale, lemma, constant = _shape(" ".join(words[:9]), "sum ring ? scale ? by ? = ?")
    ring, scale = between(ring, 2, MAX_RING), between(scale, 0, MAX_SCALE)
    limit = (1 << MAX_COEFFICIENT_BITS) - 1
    terms = words[9:]
    index = None
    if lemma != "none":
        index = _lemma_of(lemma, 0, found.lemmas)
        if found.lemmas[index].ring != ring:
            raise Misspelling("the truncation is of another ring")
        if len(terms) < 3 or terms[-3:-1] != ["#", ">>"]:
            raise Misspelling("a truncated sum ends with its shift")
        terms = terms[:-3]
    if len(terms) > MAX_TERMS:
        raise Misspelling("more than %d terms" % MAX_TERMS)
    products, linear = [], []
    for word in terms:
        match = TERM.match(word)
        if not match:
            raise Misspelling("%r is no term" % word[:60])
        coefficient = between(match.group(1).replace("+", "") + match.group(2), -limit, limit)
        operands = [whole(number) for number in match.groups()[2:] if number is not None]
        if any(_ring_of(number, found.operations) < ring for number in operands):
            raise Misspelling("a sum has a larger ring than an operand")
        (products if len(operands) == 2 else linear).append((coefficient, *operands))
    one = Operation("sum", ring, scale, lemma=index, constant=between(constant, -limit, limit),
                    products=products, linear=linear)
    if index is not None:
        one.ring = found.lemmas[index].target
    return one
