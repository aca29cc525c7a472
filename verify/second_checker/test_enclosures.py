"""Enclosures against decimal arithmetic: every function, narrow and wide pieces, tails, poles, and a weakened checker."""

import unittest
from decimal import Decimal
from types import SimpleNamespace
from unittest import mock

import ball
import decimal_reference
import enclosure
import expression
import function
from model import FRACTION
from rejection import Rejection

SCALE = 16
OUTPUT_SCALE = 20
UNIT = 1 << SCALE
SERIES = [(-3 * UNIT, -2 * UNIT + 5), (-9, 7), (UNIT // 2, UNIT // 2), (3 * UNIT // 2, 2 * UNIT), (7 * UNIT, 8 * UNIT)]
POSITIVE = [(1, 1), (77, 79), (UNIT // 2, UNIT), (1000 * UNIT, 1200 * UNIT)]
CASES = {
    "exp": SERIES + [(-200 * UNIT, -199 * UNIT), (20 * UNIT, 20 * UNIT + 9)], "reciprocal": POSITIVE + [(-2 * UNIT, -UNIT)],
    "rsqrt": POSITIVE, "sigmoid": SERIES, "tanh": SERIES, "erf": SERIES[:4], "normal_cdf": SERIES, "gelu": SERIES,
    "silu": SERIES, "relu": [(0, 50), (-60, 0), (UNIT, 3 * UNIT), (-60, 9)],
    "log": POSITIVE, "sqrt": POSITIVE, "exp2": SERIES, "sin": SERIES + [(-200 * UNIT, -199 * UNIT)], "cos": SERIES,
    "normal_pdf": SERIES, "gelu_tanh": SERIES[1:4] + [(6 * UNIT, 6 * UNIT + 99)], "softplus": SERIES, "mish": SERIES,
    "elu": SERIES, "selu": SERIES, "softsign": SERIES, "isru": SERIES, "hard_sigmoid": SERIES + [(-4 * UNIT, -2 * UNIT)],
    "hard_swish": SERIES + [(2 * UNIT, 4 * UNIT)],
}
NARROW_ONLY = ("rsqrt", "reciprocal", "sigmoid", "tanh", "silu", "log", "sqrt", "gelu_tanh", "softplus", "mish", "softsign", "isru")


def entry_of(name):
    return SimpleNamespace(function=name, definition=expression.NAMED[name], scale=SCALE, output=lambda: SimpleNamespace(scale=OUTPUT_SCALE))


def excess(name, low, high, degree, tail):
    """How far the enclosure misses the function at nine points, in its own units; at most zero if it holds. And its width."""
    q, error = enclosure.enclose(entry_of(name), low, high, degree, tail)
    worst = None
    for k in range(9):
        x = low + (high - low) * k // 8
        t = Decimal(2 * x - low - high) / Decimal(high - low) if high > low else Decimal(0)
        value = Decimal(0)
        for a in reversed(q):
            value = value * t + a
        true = decimal_reference.FUNCTIONS[name](Decimal(x) / UNIT) * 2 ** (OUTPUT_SCALE + FRACTION)
        miss = abs(value - true) - error
        worst = miss if worst is None else max(worst, miss)
    return worst, error


class Enclosures(unittest.TestCase):
    def setUp(self):
        decimal_reference.prepare()

    def test_every_function_is_enclosed(self):
        for name, pieces in CASES.items():
            for low, high in pieces:
                for degree in (2, 12):
                    if degree == 2 and name in NARROW_ONLY and high - low > UNIT:
                        continue
                    miss, _ = excess(name, low, high, degree, False)
                    self.assertLessEqual(miss, 0, (name, low, high, degree))

    def test_enclosures_of_points_are_narrow(self):
        for name in CASES:
            x = 5 * UNIT // 4 + 1
            miss, error = excess(name, x, x, 0, False)
            self.assertLessEqual(miss, 0, name)
            self.assertLessEqual(error, 8, name)

    def test_tails_hold_from_their_first_point(self):
        applied = 0
        for name in CASES:
            for near in (UNIT, UNIT + 1, 3 * UNIT, 40 * UNIT, 300 * UNIT):
                for side in (-1, 1):
                    low, high = sorted((side * near, side * (near + 9 * UNIT)))
                    try:
                        miss = excess(name, low, high, 4, True)[0]
                    except Rejection:
                        continue
                    applied += 1
                    self.assertLessEqual(miss, 0, (name, low))
        self.assertGreater(applied, 180)

    def test_no_coarse_enclosure_of_what_is_undefined(self):
        """The sine lies in [-1, 1] whatever its argument is; but there must be one."""
        for words in ("sin log x", "mul 0/1 rsqrt x", "exp log x"):
            entry = SimpleNamespace(function="expression", definition=expression.read(words.split(" ")), scale=SCALE,
                                    output=lambda: SimpleNamespace(scale=OUTPUT_SCALE))
            with self.assertRaises(Rejection, msg=words):
                enclosure.enclose(entry, -9 * UNIT, -UNIT, 4, True)
            enclosure.enclose(entry, UNIT, 9 * UNIT, 4, True)

    def test_named_functions_are_all_tested(self):
        self.assertEqual(set(CASES), set(expression.NAMED))
        self.assertEqual(set(CASES), set(decimal_reference.FUNCTIONS))

    def test_what_cannot_be_enclosed_is_rejected(self):
        for name, low, high, tail in (
                ("reciprocal", -1, 1, False), ("reciprocal", 0, 5, False), ("rsqrt", 0, 5, False), ("rsqrt", -5, -5, False),
                ("exp", 257 * UNIT, 257 * UNIT, False), ("exp", 1, 2, True),
                ("sigmoid", -1, 0, True), ("sigmoid", 0, 1, True), ("silu", UNIT - 1, UNIT, True),
                ("erf", 17 * UNIT, 17 * UNIT, False), ("reciprocal", 0, 2, True), ("log", 0, 2, True),
                ("erf", -UNIT, 1 - UNIT, True), ("normal_cdf", UNIT - 1, UNIT, True)):
            with self.assertRaises(Rejection, msg=(name, low, high)) as caught:
                enclosure.enclose(entry_of(name), low, high, 8, tail)
            self.assertEqual(caught.exception.reason, "function")

    def test_balls(self):
        for scale in (40, 200):
            true = decimal_reference.pi() * 2 ** scale
            centre, radius = ball.pi(scale)
            self.assertLessEqual(abs(centre - true), radius)
            for x in (0, 1, -1, 3 << scale, -(3 << scale) - 1, 256 << scale, -256 << scale, (1 << scale) // 3):
                centre, radius = ball.exponential(x, scale)
                decimal_reference.getcontext().prec = 300
                true = (Decimal(x) / 2 ** scale).exp() * 2 ** scale
                self.assertLessEqual(abs(centre - true), radius, (scale, x))
                self.assertLessEqual(radius, 3, (scale, x))
            for x in (0, 1, 3 << scale, -(2 << scale) - 1, 9 << scale):
                centre, radius = ball.gaussian_integral(x, 1, 1, scale)
                decimal_reference.getcontext().prec = 110
                true = decimal_reference.erf(Decimal(x) / 2 ** scale) * decimal_reference.pi().sqrt() / 2 * 2 ** scale
                self.assertLessEqual(abs(centre - true), radius, (scale, x))
                self.assertLessEqual(radius, 3, (scale, x))

    def test_a_checker_without_the_residual_is_caught(self):
        with mock.patch.object(function, "norm", lambda p: 0):
            self.assertGreater(excess("exp", UNIT, 2 * UNIT, 3, False)[0], 0)
            self.assertGreater(excess("rsqrt", UNIT, 2 * UNIT, 3, False)[0], 0)


if __name__ == "__main__":
    unittest.main()
