"""Rounding of negative numbers, spelling, and bounds of polynomials: each against exact rationals."""

import random
import unittest
from fractions import Fraction

import polynomial
from canonical import Decimal, Misspelling, binary_fraction, whole
from model import FRACTION, Model, constant, truncate


def evaluate(p, t):
    """p(t), exactly."""
    total = Fraction(0)
    for a in reversed(p):
        total = total * t + a
    return total


class Integers(unittest.TestCase):
    def test_shifts_round_down_and_ceilings_up(self):
        self.assertEqual([value >> 2 for value in (-5, -4, -1, 0, 3, 4)], [-2, -1, -1, 0, 0, 1])
        for value in range(-40, 41):
            for bits in range(5):
                exact = Fraction(value, 1 << bits)
                self.assertTrue(0 <= polynomial.ceil_shift(value, bits) - exact < 1)
                self.assertTrue(0 <= polynomial.ceil_div(value, 1 << bits) - exact < 1)
                (shifted,), lost = polynomial.shift([value], bits)
                self.assertTrue(0 <= exact - shifted <= lost)
                self.assertEqual(lost, int(exact.denominator != 1))

    def test_rounding_of_truncations_stays_within_the_symbol(self):
        """floor(V / 2^J) + delta at every fraction, for all kinds of rounding, is enclosed; and the ends are met."""
        for bits in (1, 3):
            for low, high in ((0, 1), (-1, 0), (-1, 2), (0, 0)):
                touched = set()
                for value in range(-20, 20):
                    model = truncate(constant(value), bits, low, high, 7)
                    centre, (radius,) = model.polynomial[0], model.symbols[7]
                    for delta in range(low, high + 1):
                        off = (value >> bits) + delta << FRACTION
                        self.assertLessEqual(abs(off - centre), radius + model.rest)
                        touched.add(abs(off - centre) == radius)
                self.assertIn(True, touched)

    def test_lost_bits_are_counted(self):
        model = truncate(Model([1, 2, 4, -3], {1: [5, 8]}, 9), 2, 0, 0, 2)
        self.assertEqual(model.rest, 3 + 3 + 1)


class Bounds(unittest.TestCase):
    def test_ranges_hold_and_are_close(self):
        source = random.Random(1)
        for degree in (0, 1, 2, 3, 7, 14):
            for halvings in (0, 2, 5):
                p = [source.randrange(-10 ** 9, 10 ** 9) for _ in range(degree + 1)]
                low, high = polynomial.value_range(p, halvings)
                values = [evaluate(p, Fraction(t, 64)) for t in range(-64, 65)]
                self.assertLessEqual(low, min(values))
                self.assertGreaterEqual(high, max(values))
                if halvings == 5:
                    spread = max(values) - min(values)
                    self.assertLessEqual(high - max(values), spread / 50 + degree + 2)

    def test_products_are_within_their_loss(self):
        source = random.Random(2)
        for _ in range(50):
            p, q = ([source.randrange(-10 ** 6, 10 ** 6) for _ in range(6)] for _ in range(2))
            r, lost = polynomial.product(p, q, 12, 4)
            self.assertLessEqual(len(r), 5)
            for t in (Fraction(-1), Fraction(-1, 3), Fraction(0), Fraction(5, 7), Fraction(1)):
                exact = evaluate(p, t) * evaluate(q, t) / 4096
                self.assertLessEqual(abs(evaluate(r, t) - exact), lost)


class Spelling(unittest.TestCase):
    def test_decimals_have_one_spelling(self):
        for word in ("0", "1", "-3e5", "2.8125e-4", "1e30", "9.99e-298", "-1.5"):
            self.assertEqual(Decimal.read(word).write(), word)
        for word in ("", "-0", "+1", "00", "01", "0.5", "1.0", "1.50", "10", "1e0", "1e+5", "1e05", "1E5", ".5", "1.", "1e-301", "9.99e-300",
                     "1e301", "1." + "1" * 37, "0e1", "1 ", "１", "nan", "1e99999999999", "1_0"):
            with self.assertRaises(Misspelling, msg=word):
                Decimal.read(word)
        self.assertEqual(len(str(Decimal.read("1." + "1" * 36).mantissa)), 37)

    def test_decimals_are_exact(self):
        self.assertEqual(Decimal.read("2.8125e-4").value(), Fraction(28125, 10 ** 8))
        self.assertEqual(Decimal.read("-1.5").floor_at(0), -2)
        self.assertEqual(Decimal.read("9.99e-1").floor_at(3), 7)

    def test_integers_have_one_spelling(self):
        self.assertEqual([whole(w) for w in ("0", "-7", "10")], [0, -7, 10])
        for word in ("", "-0", "+1", "00", "01", "1 ", "1_0", "٣", "0x1", "1" * 41, "--1"):
            with self.assertRaises(Misspelling, msg=word):
                whole(word)

    def test_comments_of_windows(self):
        self.assertEqual(binary_fraction(-460898, 16), "-7.032745361328125")
        self.assertEqual([binary_fraction(n, 1) for n in (-1, 0, 1, 2, -3)], ["-0.5", "0", "0.5", "1", "-1.5"])
        self.assertEqual(binary_fraction(-12, 0), "-12")


if __name__ == "__main__":
    unittest.main()
