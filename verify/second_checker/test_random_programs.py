"""Random programs in small rings against an adversary who also chooses freely outside windows and inside bands.

The interpreter here is a second reading of section 3 and shares nothing with `examine.replay`.
"""

import random
import unittest
from fractions import Fraction
from unittest import mock

import model
import walk
from entry import Injection, Operation, Sign, Truncation
from rejection import Rejection


class Program:
    """What a walk needs of an entry."""

    def __init__(self, lemmas, operations):
        self.lemmas, self.operations = lemmas, operations

    def output(self):
        return self.operations[-1]


def random_program(source):
    """Some six operations over rings of 6 to 12 bits, which end in a sum."""
    ring = source.randint(6, 12)
    lemmas, operations = [], [Operation("input", ring, 0)]
    for _ in range(source.randint(2, 6)):
        elements = [n for n, one in enumerate(operations) if one.ring is not None]
        bits = [n for n, one in enumerate(operations) if one.ring is None]
        kind = source.choice(("sum", "sum", "truncated", "sign", "inject"))
        if kind == "sign":
            operand = source.choice(elements)
            width = source.randint(2, operations[operand].ring)
            lemmas.append(Sign(width, source.randint(0, width - 2), source.choice((1, 2, 2, 3))))
            operations.append(Operation("sign", None, None, len(lemmas) - 1, operand))
            kind, bits = "inject", [len(operations) - 1]
        if kind == "inject" and bits:
            lemmas.append(Injection(source.randint(6, 12)))
            operations.append(Operation("inject", lemmas[-1].ring, 0, len(lemmas) - 1, source.choice(bits)))
        elif kind not in ("sign", "inject"):
            operations.append(random_sum(source, operations, elements, lemmas if kind == "truncated" else None))
    elements = [n for n, one in enumerate(operations) if one.ring is not None]
    operations.append(random_sum(source, operations, elements, None))
    if elements[-1] and operations[elements[-1]].ring >= operations[-1].ring:
        operations[-1].linear.append((source.choice((-1, 1)), elements[-1]))
    return Program(lemmas, operations)


def random_sum(source, operations, elements, lemmas):
    """A sum of up to three terms of either kind, often with the same operand twice; truncated if lemmas are given."""
    products = [(source.choice((-2, -1, 1, 3)), source.choice(elements), source.choice(elements))
                for _ in range(source.choice((0, 0, 1)))]
    linear = [(source.choice((-3, -1, 1, 1, 2)), source.choice(elements)) for _ in range(source.randint(1, 3))]
    ring = min(operations[n].ring for term in products + linear for n in term[1:])
    ring = source.choice((ring, ring, max(2, ring - 2)))
    one = Operation("sum", ring, 0, None, None, source.randint(-9, 9), products, linear)
    if lemmas is not None:
        shift = source.randint(1, ring - 1)
        low = source.randint(-2, 1)
        target = source.choice((ring, ring, max(2, ring - shift), source.randint(2, 64)))
        lemmas.append(Truncation(ring, target, shift, source.choice((None, ring - 1, ring - 1, ring - 2)),
                                 low, source.randint(low, 2), None))
        one.lemma, one.ring = len(lemmas) - 1, target
    return one


def signed(value, ring):
    """The representative in [-2^(ring-1), 2^(ring-1))."""
    value %= 1 << ring
    return value - (1 << ring) if value >> ring - 1 else value


def play(program, point, source):
    """The output for one adversary."""
    values = []
    for one in program.operations:
        lemma = None if one.lemma is None else program.lemmas[one.lemma]
        if one.kind == "input":
            values.append(point)
        elif one.kind == "inject":
            values.append(values[one.operand])
        elif one.kind == "sign":
            within = values[one.operand] % 2 ** (lemma.width - 1)
            if within < (lemma.operands - 1) * (2 ** lemma.dropped - 1):
                values.append(source.randint(0, 1))
            else:
                values.append(int(values[one.operand] % 2 ** lemma.width >= 2 ** (lemma.width - 1)))
        else:
            total = one.constant
            for coefficient, left, right in one.products:
                total += coefficient * values[left] * values[right]
            for coefficient, operand in one.linear:
                total += coefficient * values[operand]
            total = signed(total, one.sum_ring)
            if lemma is not None:
                if lemma.window is None or -2 ** lemma.window <= total < 2 ** lemma.window:
                    total = total // 2 ** lemma.shift + source.choice((lemma.low, lemma.high, source.randint(lemma.low, lemma.high)))
                else:
                    total = source.randrange(2 ** lemma.target)
                total = signed(total, lemma.target)
            values.append(total)
    return values[-1]


def violations(seed, programs, plays):
    """(programs whose walk succeeds, outputs outside the found range or outside every output model)."""
    source = random.Random(seed)
    walked = bad = 0
    for _ in range(programs):
        program = random_program(source)
        half = 1 << program.operations[0].ring - 1
        reach = half >> source.choice((0, 2, 3, 4))
        low = source.randint(-reach, reach - 1)
        high = min(half - 1, low + source.choice((0, 1, 5, 40)))
        try:
            found = walk.Walk(program, low, high, source.choice((0, 1, 3))).run()
        except Rejection:
            continue
        walked += 1
        for _ in range(plays):
            point = source.choice((low, high, source.randint(low, high)))
            value = play(program, point, source)
            t = Fraction(2 * point - low - high, high - low) if high > low else Fraction(0)
            inside = any(abs((value << model.FRACTION) - sum(a * t ** k for k, a in enumerate(m.polynomial)))
                         <= m.spread() + m.rest for m in found.outputs)
            bad += not (inside and found.ranges[-1][0] <= value <= found.ranges[-1][1])
    return walked, bad


class Soundness(unittest.TestCase):
    def test_no_adversary_leaves_the_models(self):
        walked, bad = violations(11, 900, 12)
        self.assertEqual(bad, 0)
        self.assertGreater(walked, 150)

    def test_weakened_walks_are_caught(self):
        """A smaller radius, a forgotten centre, no window, no band, an output that may wrap."""
        def narrow(one, bits, low, high, number):
            return model.truncate(one, bits, low, high - 1, number)

        def shifted(one, bits, low, high, number):
            return model.truncate(one, bits, low + 1, high + 1, number)

        def windowless(self, value, lemma, number):
            return model.truncate(value, lemma.shift, lemma.low, lemma.high, number)

        def wrapping(self, value):
            if value is walk.POISONED:
                raise Rejection("range", "the output is unknown")
            self.outputs.append(value)

        for target, name, weak in ((walk, "truncate", narrow), (walk, "truncate", shifted), (walk.Walk, "_truncate", windowless),
                                   (Sign, "band", lambda self: 0), (walk.Walk, "_finish", wrapping)):
            with mock.patch.object(target, name, weak):
                self.assertGreater(violations(11, 900, 12)[1], 0, name)


if __name__ == "__main__":
    unittest.main()
