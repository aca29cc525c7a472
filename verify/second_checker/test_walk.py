"""Walks against running programs: what a model says holds for inputs and roundings at random, all at once."""

import pathlib
import random
import unittest
from fractions import Fraction
from unittest import mock

import model
import walk
from certificate import read_certificate
from entry import read_entry
from examine import _residue, replay
from rejection import Rejection

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEAD = """chebyshare entry 1
function exp
input ring 64 scale 16
fitted 0 1 # [0, 0.0000152587890625]
window 0 1 # [0, 0.0000152587890625]
norm absolute 1 relative 0
bound 1
"""


def program(*lines):
    """An entry with these lemmas and operations."""
    return read_entry((HEAD + "\n".join(lines) + "\nend\n").encode())


def evaluate(p, t):
    """p(t), exactly."""
    return sum((a * t ** k for k, a in enumerate(p)), Fraction(0))


def contained(entry, walked, low, high, point, source):
    """Runs the program with choices at random; whether some output model meets the value and every range holds."""
    choices, values = [], []
    for number, one in enumerate(entry.operations):
        for choice in source.sample((-1, 0, 1, 2), 4) + [0]:
            prefix = entry.operations[:number + 1]
            try:
                values.append(replay(_Prefix(entry, prefix), point, choices + [choice]))
                choices.append(choice)
                break
            except Rejection:
                continue
    t = Fraction(2 * point - low - high, high - low) if high > low else Fraction(0)
    for number, found in enumerate(walked.ranges):
        if found and entry.operations[number].kind != "sum" and not found[0] <= values[number] <= found[1]:
            return False
    off = [abs((values[-1] << model.FRACTION) - evaluate(m.polynomial, t)) - m.spread() - m.rest for m in walked.outputs]
    return min(off) <= 0


class _Prefix:
    """The first operations of an entry, for running them."""

    def __init__(self, entry, operations):
        self.lemmas, self.operations = entry.lemmas, operations


class Containment(unittest.TestCase):
    def misses(self, names, points):
        source = random.Random(3)
        missed = 0
        for name in names:
            entry = read_entry((ROOT / "catalogs" / (name + ".entry")).read_bytes())
            proof = read_certificate((ROOT / "proofs" / (name + ".certificate")).read_bytes())
            for piece in proof.pieces[::3]:
                walked = walk.Walk(entry, piece.low, piece.high, piece.degree).run()
                for _ in range(points):
                    point = source.choice((piece.low, piece.high, source.randint(piece.low, piece.high)))
                    missed += not contained(entry, walked, piece.low, piece.high, point, source)
        return missed

    NAMES = ("exp/k64-f16-w10-split-1e-4", "sigmoid/k64-f16-w9-1e-4", "rsqrt/k64-f24-o20-e-10-10-2e-4", "gelu/k40-f13-w7-2e-3")

    def test_values_stay_in_their_models(self):
        self.assertEqual(self.misses(self.NAMES, 12), 0)

    def test_a_smaller_rounding_radius_is_caught(self):
        def narrow(one, bits, low, high, number):
            return model.truncate(one, bits, low, high - 1, number)
        with mock.patch.object(walk, "truncate", narrow):
            self.assertGreater(self.misses(self.NAMES[:2], 12), 0)

    def test_symbols_of_one_rounding_cancel(self):
        """v1 - v1 is exactly zero, whatever the rounding: the same symbol on both sides."""
        entry = program("lemma 0 truncation ring 64 target 64 shift 4 window 62 rounding 0 1 failure never", "program", "v0 input",
                        "v1 sum ring 64 scale 16 by 0 = 0 +1*v0 # >> 4", "v2 sum ring 64 scale 16 by none = 0 +1*v1 -1*v1")
        (output,) = walk.Walk(entry, 0, 1000, 4).run().outputs
        self.assertTrue(output.is_zero())


class Signs(unittest.TestCase):
    def test_bits_at_both_sides_of_a_band(self):
        entry = program("lemma 0 sign width 8 dropped 2 operands 2", "lemma 1 injection ring 64", "program", "v0 input",
                        "v1 sign by 0 = v0", "v2 inject by 1 = v1")
        for low, high, bits in ((3, 127, {0}), (2, 5, {0, 1}), (128, 130, {0, 1}), (131, 255, {1}), (127, 128, {0, 1}),
                                (-128, -126, {0, 1}), (-125, -1, {1}), (-1, 0, {0, 1}), (259, 383, {0})):
            found = walk.Walk(entry, low, high, 4).run()
            self.assertEqual({m.polynomial[0] >> 64 for m in found.outputs}, bits, (low, high))
            for point in range(low, high + 1):
                for choice in (0, 1):
                    try:
                        self.assertIn(replay(entry, point, [0, choice, 0]), bits)
                    except Rejection:
                        self.assertEqual(choice, 1)

    def test_too_many_undecided_bits(self):
        lines = ["lemma 0 sign width 8 dropped 0 operands 1", "lemma 1 injection ring 64", "program", "v0 input"]
        for k in range(7):
            lines += ["v%d sign by 0 = v0" % (2 * k + 1), "v%d inject by 1 = v%d" % (2 * k + 2, 2 * k + 1)]
        with self.assertRaises(Rejection) as caught:
            walk.Walk(program(*lines), -1, 1, 1).run()
        self.assertEqual(caught.exception.reason, "piece")
        self.assertEqual(len(walk.Walk(program(*lines[:-2]), -1, 1, 1).run().outputs), 64)


class Lanes(unittest.TestCase):
    TRUNCATION = "lemma 0 truncation ring 64 target 64 shift 4 window %s rounding 0 1 failure never"

    def outcome(self, window, *lines, low=0, high=1000):
        try:
            return walk.Walk(program(self.TRUNCATION % window, "program", "v0 input", *lines), low, high, 4).run().ranges[-1]
        except Rejection as rejection:
            return rejection.reason

    def test_beyond_the_window_nothing_is_known(self):
        line = "v1 sum ring 64 scale 16 by 0 = 0 +1*v0 # >> 4"
        self.assertEqual(self.outcome("9", line), "range")
        self.assertEqual(self.outcome("10", line), (0, 63))
        whole = {"low": -(1 << 63), "high": (1 << 63) - 1}
        self.assertEqual(self.outcome("any", line, **whole), (-(1 << 59), 1 << 59))
        self.assertEqual(self.outcome("any", line.replace("= 0", "= 1"), **whole), "range")

    def test_a_dead_lane_may_hold_anything(self):
        lines = ("v1 sum ring 64 scale 16 by 0 = 0 +1*v0 # >> 4", "v2 sum ring 64 scale 16 by none = 0 +1*v0 -1*v0",
                 "v3 sum ring 64 scale 16 by none = 5 +1*v1*v2")
        self.assertEqual(self.outcome("9", *lines), (5, 5))
        self.assertEqual(self.outcome("9", *lines[:2], "v3 sum ring 64 scale 16 by none = 5 +1*v2*v2 +1*v1"), "range")

    def test_any_window_needs_no_proof_when_the_target_is_narrow(self):
        entry = program("lemma 0 truncation ring 64 target 60 shift 4 window any rounding 0 1 failure never", "program", "v0 input",
                        "v1 sum ring 64 scale 16 by none = 9223372036854775807 +1*v0", "v2 sum ring 64 scale 16 by 0 = 0 +1*v1 # >> 4",
                        "v3 sum ring 60 scale 16 by none = -576460752303423488 +1*v2")
        found = walk.Walk(entry, 0, 160, 4).run().ranges[-1]
        for point in range(161):
            for choice in (0, 1):
                value = replay(entry, point, [0, 0, choice, 0])
                self.assertTrue(found[0] <= value <= found[1])
        self.assertEqual(_residue(1 << 59, 60), -(1 << 59))

    def test_outputs_that_wrap(self):
        entry = program("program", "v0 input", "v1 sum ring 8 scale 16 by none = 0 +1*v0")
        self.assertEqual(walk.Walk(entry, -128, 127, 1).run().ranges[-1], (-128, 127))
        for low, high in ((-129, 0), (0, 128)):
            with self.assertRaises(Rejection) as caught:
                walk.Walk(entry, low, high, 1).run()
            self.assertEqual(caught.exception.reason, "range")


if __name__ == "__main__":
    unittest.main()
