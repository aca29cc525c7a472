"""The walk of a program over a piece (section 7 of `proofs/FORMAT.md`).

Every operation's value is a model of an integer congruent to the ring element (live), unknown (POISONED), or a known bit.
A sign that the range does not decide is walked with either bit; each way through is one combination.
"""

from model import Model, add_multiple, constant, input_model, multiply, truncate
from rejection import Rejection

MAX_CASES = 64
MAX_VALUE_BITS = 512
MAX_PIECE_WORK = 4194304

POISONED = "poisoned"


class Walk:
    """After `run`: the output's model of every combination, and per operation the joined integer range or None."""

    def __init__(self, entry, low, high, degree):
        self.entry, self.low, self.high, self.degree = entry, low, high, degree
        self.outputs = []
        self.ranges = [None] * len(entry.operations)
        self.work = 0
        self.cases = 1

    def run(self):
        """Walks all combinations; a Rejection if the output may be unknown or wrap, or if it is too much work."""
        pending = [[]]
        while pending:
            values = pending.pop()
            while len(values) < len(self.entry.operations):
                pending.extend(self._step(values))
            self._finish(values[-1])
        return self

    def _spend(self, work):
        self.work += work
        if self.work > MAX_PIECE_WORK:
            raise Rejection("piece", "a piece's walk costs more than %d" % MAX_PIECE_WORK)

    def _step(self, values):
        """Appends the value of the next operation; returns the other combination if a bit is undecided."""
        number = len(values)
        one = self.entry.operations[number]
        if one.kind == "sign":
            return self._sign(values, one)
        if one.kind == "input":
            value = input_model(self.low, self.high)
        elif one.kind == "inject":
            value = constant(values[one.operand])
        else:
            value = self._sum(values, one)
            if value is not POISONED and one.lemma is not None:
                value = self._truncate(value, self.entry.lemmas[one.lemma], number)
        if value is not POISONED:
            self._spend(8 * len(value.polynomial) ** 2)
            self._join(number, value.integer_range())
        values.append(value)
        return []

    def _join(self, number, found):
        known = self.ranges[number]
        self.ranges[number] = found if known is None else (min(known[0], found[0]), max(known[1], found[1]))

    def _sum(self, values, one):
        total = constant(one.constant)
        for coefficient, left, right in one.products:
            a, b = values[left], values[right]
            if any(v is not POISONED and v.is_zero() for v in (a, b)):
                continue
            if a is POISONED or b is POISONED:
                return POISONED
            self._spend((len(a.polynomial) + 4) * b.size() + (len(b.polynomial) + 4) * a.size())
            add_multiple(total, coefficient, multiply(a, b, self.degree))
        for coefficient, operand in one.linear:
            a = values[operand]
            if a is POISONED:
                return POISONED
            self._spend(a.size())
            add_multiple(total, coefficient, a)
        return POISONED if total.magnitude().bit_length() > MAX_VALUE_BITS else total

    def _truncate(self, value, lemma, number):
        window = lemma.window
        if window is None and lemma.target > lemma.ring - lemma.shift:
            window = lemma.ring - 1
        if window is not None:
            low, high = value.integer_range()
            if low < -(1 << window) or high >= 1 << window:
                return POISONED
        return truncate(value, lemma.shift, lemma.low, lemma.high, number)

    def _sign(self, values, one):
        lemma = self.entry.lemmas[one.lemma]
        value = values[one.operand]
        if value is not POISONED:
            low, high = value.integer_range()
            first = low - lemma.band() >> lemma.period()
            if first == high >> lemma.period():
                values.append(first & 1)
                return []
        self.cases += 1
        if self.cases > MAX_CASES:
            raise Rejection("piece", "more than %d combinations of undecided bits" % MAX_CASES)
        self._spend(sum(v.size() if isinstance(v, Model) else 1 for v in values))
        other = values + [1]
        values.append(0)
        return [other]

    def _finish(self, value):
        if value is POISONED:
            raise Rejection("range", "the output is unknown")
        low, high = value.integer_range()
        half = 1 << self.entry.output().ring - 1
        if low < -half or high >= half:
            raise Rejection("range", "the output may wrap: %d to %d" % (low, high))
        self.outputs.append(value)
