"""Mutants of shipped pairs of files: each kind is rejected with its reason, or is true and is shown to be."""

import contextlib
import io
import pathlib
import random
import re
import runpy
import tempfile
import unittest
from decimal import Decimal
from unittest import mock

import decimal_reference
import examine as examining
from canonical import ENTRY_CONTEXT, digest
from corpus import read_case
from entry import read_entry
from examine import examine, replay
from rejection import Rejection

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NAMES = ("exp/k40-f13-w10-2e-3", "sigmoid/k64-f16-w9-1e-3", "reciprocal/k64-f24-o26-n64-1e-4", "gelu/k40-f13-w7-2e-3")


def files(name):
    """The texts of a shipped entry and its certificate."""
    return ((ROOT / "catalogs" / (name + ".entry")).read_text(encoding="utf-8"),
            (ROOT / "proofs" / (name + ".certificate")).read_text(encoding="utf-8"))


def verdict(entry, certificate, true_digest=True):
    """The reason for which a pair of texts is rejected, or `accepted`."""
    if true_digest:
        certificate = re.sub("^entry .*$", "entry " + digest(ENTRY_CONTEXT, entry.encode()), certificate, flags=re.M)
    try:
        examine(entry.encode(), certificate.encode())
        return "accepted"
    except Rejection as rejection:
        return rejection.reason


def lines_of_pieces(certificate):
    """The numbers of the lines that are pieces, and all lines."""
    lines = certificate.split("\n")
    return [n for n, line in enumerate(lines) if line.startswith(("piece ", "tail "))], lines


def changed(line, position, change):
    """A line with one word changed."""
    words = line.split(" ")
    words[position] = str(change(words[position]))
    return " ".join(words)


class Certificates(unittest.TestCase):
    def test_shipped_pairs_are_accepted(self):
        for name in NAMES:
            self.assertEqual(verdict(*files(name), true_digest=False), "accepted", name)

    def test_tilings(self):
        for name in NAMES:
            entry, certificate = files(name)
            numbers, lines = lines_of_pieces(certificate)

            def mutant(edit):
                copy = list(lines)
                edit(copy)
                return verdict(entry, "\n".join(copy))

            first, second, last = numbers[0], numbers[1], numbers[-1]
            self.assertEqual(mutant(lambda c: c.pop(second)), "tiling")
            self.assertEqual(mutant(lambda c: c.insert(second, c[second])), "tiling")
            self.assertEqual(mutant(lambda c: c.pop(last)), "tiling")
            for number, position, step in ((second, 1, 1), (second, 1, -1), (first, 1, 1), (first, 1, -1), (last, 2, -1), (last, 2, 1)):
                def moved(c, number=number, position=position, step=step):
                    c[number] = changed(c[number], position, lambda w: int(w) + step)
                self.assertEqual(mutant(moved), "tiling", (name, number, position, step))

            def swapped(c):
                c[first], c[second] = c[second], c[first]
            self.assertEqual(mutant(swapped), "tiling")

    def test_every_stated_number_is_as_small_as_it_can_be(self):
        """One unit less in the last digit of a part is rejected, so the prover's checker found these very integers; and a
        witness that states a thousandth more is rejected."""
        for name in NAMES[:2]:
            entry, certificate = files(name)
            numbers, lines = lines_of_pieces(certificate)
            for number in numbers:
                for position in (6, 8, 10):
                    if lines[number].split(" ")[position] == "0":
                        continue
                    copy = list(lines)
                    copy[number] = changed(copy[number], position, lambda w: less(w, -1))
                    self.assertEqual(verdict(entry, "\n".join(copy)), "part", copy[number])
            witness = next(n for n, line in enumerate(lines) if line.startswith("witness"))
            copy = list(lines)
            copy[witness] = changed(copy[witness], 3, lambda w: less(w, 1000))
            self.assertEqual(verdict(entry, "\n".join(copy)), "witness")

    def test_smaller_bounds(self):
        """One unit less where the norm is absolute; one part in a hundred where the search for the bound stops earlier."""
        for name in NAMES:
            entry, certificate = files(name)
            step = -1 if "relative 0\n" in entry else -10000
            lower = re.sub("^bound (.*)$", lambda m: "bound " + less(m.group(1), step), entry, flags=re.M)
            self.assertNotEqual(lower, entry)
            self.assertEqual(verdict(lower, certificate), "error", name)
            self.assertEqual(verdict(lower, certificate, true_digest=False), "digest", name)

    def test_ranges(self):
        for name in NAMES[:2]:
            entry, certificate = files(name)
            lines = certificate.split("\n")
            for number, line in enumerate(lines):
                if not line.startswith("range ") or line.endswith(" none"):
                    continue
                for position, step in ((2, 1), (3, -1)):
                    copy = list(lines)
                    copy[number] = changed(line, position, lambda w: int(w) + step)
                    self.assertEqual(verdict(entry, "\n".join(copy)), "stated-range", copy[number])

    def test_a_checker_without_one_of_its_checks_is_caught(self):
        """For each check there is a case of the corpus that is rejected for nothing else."""
        for check, case in (("_error", "reciprocal-bound-one-digit-below"), ("_tiling", "sigmoid-missing-piece"),
                            ("_witness", "sigmoid-witness-overstated"), ("_claim", "sigmoid-fitted-outside")):
            _, entry, certificate = read_case((ROOT / "verify/tests/corpus" / (case + ".case")).read_bytes())
            self.assertNotEqual(verdict(entry.decode(), certificate.decode(), true_digest=False), "accepted", case)
            with mock.patch.object(examining, check, lambda *arguments: None):
                self.assertEqual(verdict(entry.decode(), certificate.decode(), true_digest=False), "accepted", case)


def less(word, step):
    """A decimal with its last digit, or a digit more, changed by `step` units."""
    from canonical import Decimal as Spelled
    one = Spelled.read(word)
    mantissa, exponent = one.mantissa, one.exponent
    while len(str(abs(mantissa))) < 6:
        mantissa, exponent = 10 * mantissa, exponent - 1
    mantissa += step
    while mantissa % 10 == 0:
        mantissa, exponent = mantissa // 10, exponent + 1
    return Spelled(mantissa, exponent).write()


class Entries(unittest.TestCase):
    def test_coefficients_by_one(self):
        """With the old digest all are rejected; with a true one the few that pass keep their claim at points at random."""
        decimal_reference.prepare()
        source = random.Random(5)
        rejected = passed = 0
        for name in NAMES[:3]:
            entry, certificate = files(name)
            for match in list(re.finditer(r"([+-])(\d+)\*v|= (-?)(\d+)", entry)):
                group = 2 if match.group(2) else 4
                for step in (-1, 1):
                    value = int(match.group(group)) + step
                    if value <= 0:
                        continue
                    mutant = entry[:match.start(group)] + str(value) + entry[match.end(group):]
                    self.assertEqual(verdict(mutant, certificate, true_digest=False), "digest")
                    found = verdict(mutant, certificate)
                    if found == "accepted":
                        passed += 1
                        self.assertTrue(holds_somewhere(mutant, source, 40), (name, match.group(0), step))
                    else:
                        self.assertIn(found, ("error", "part", "range", "stated-range", "witness"))
                        rejected += 1
        self.assertGreater(rejected, 60)

    def test_lemmas_and_functions(self):
        entry, certificate = files(NAMES[1])
        for old, new, reasons in (
                ("function sigmoid", "function tanh", ("error",)), ("rounding 0 1", "rounding -1 2", ("error", "part", "stated-range")),
                ("operands 2", "operands 4", ("range", "error")), ("lemma 0", "lemma 1", ("entry",)),
                ("width 27", "width 25", ("range", "error", "stated-range")), ("window 38", "window 37", ("accepted", "range")),
                ("absolute 1", "absolute -1", ("claim",)), ("fitted -4", "fitted 4", ("entry",)),
                ("window -33554431 33554431 #", "window -33554431 33554431  #", ("entry",))):
            mutant = entry.replace(old, new)
            self.assertNotEqual(mutant, entry)
            self.assertIn(verdict(mutant, certificate), reasons, new)

    def test_text(self):
        entry, certificate = files(NAMES[1])
        for mutant in (entry[:-1], entry + "\n", entry.replace("\n", "\r\n"), entry + "end\n", " " + entry, "\ufeff" + entry,
                       entry.replace("input ring 64", "input ring 064"), entry.replace("+1*v0\n", "+1*v0 \n"),
                       entry.replace(" # >> 17", ""), entry.replace(" # >> 17", " # >> 16"), entry.replace("program\n", "program\n\n"),
                       entry.replace("+1*v0*v0", "+1*v00*v0"), entry.replace("+1*v0*v0", "+" + "9" * 5000 + "*v0*v0")):
            self.assertNotEqual(mutant, entry)
            self.assertEqual(verdict(mutant, certificate), "entry", mutant[:60])
        for mutant in (certificate[:-1], certificate + "end\n", certificate.replace("range v0", "range v1"), "",
                       certificate.replace("degree 14", "degree 014"), certificate.replace("tail", "tail #")):
            self.assertEqual(verdict(entry, mutant), "certificate", mutant[:60])
        with self.assertRaises(Rejection):
            examine(b"\xff\xfe\x00", b"")


def holds_somewhere(text, source, points):
    """Whether the claim holds at so many points and roundings at random."""
    entry = read_entry(text.encode())
    low, high = entry.fitted
    scale = entry.output().scale
    absolute, relative, bound = (Decimal(d.mantissa).scaleb(d.exponent) for d in (entry.absolute, entry.relative, entry.bound))
    for _ in range(points):
        point = source.randint(low, high)
        choices = [0] * len(entry.operations)
        for number, one in enumerate(entry.operations):
            if one.kind == "sum" and one.lemma is not None:
                choices[number] = source.randint(0, 1)
        try:
            value = replay(entry, point, choices)
        except Rejection:
            continue
        true = decimal_reference.FUNCTIONS[entry.function](Decimal(point) / 2 ** entry.scale)
        if abs(Decimal(value) / 2 ** scale - true) > bound * (absolute + relative * abs(true)):
            return False
    return True


class Command(unittest.TestCase):
    def run_command(self, *arguments):
        output = io.StringIO()
        with mock.patch("sys.argv", ["second_checker", *map(str, arguments)]), contextlib.redirect_stdout(output), \
                contextlib.redirect_stderr(output), self.assertRaises(SystemExit) as caught:
            runpy.run_path(str(HERE), run_name="__main__")
        return caught.exception.code, output.getvalue()

    def test_the_corpus_agrees_in_verdict_and_reason(self):
        code, output = self.run_command("--corpus", ROOT / "verify/tests/corpus")
        self.assertEqual(code, 0, output)
        self.assertNotIn("another reason", output)

    def test_entries(self):
        folders = ("--catalog", ROOT / "catalogs", "--proofs", ROOT / "proofs")
        code, output = self.run_command("relu/k40-f13-w9", *folders)
        self.assertEqual(code, 0, output)
        self.assertIn("1 of 1 hold", output)
        code, output = self.run_command("relu/no-such-entry", *folders)
        self.assertEqual(code, 1, output)
        with tempfile.TemporaryDirectory() as folder:
            code, output = self.run_command("--catalog", folder, "--proofs", folder)
            self.assertEqual(code, 1)
            self.assertIn("no entries", output)
            code, output = self.run_command("--corpus", folder)
            self.assertEqual(code, 1)

    def test_an_index_that_is_not_that_of_the_files(self):
        with tempfile.TemporaryDirectory() as folder:
            place = pathlib.Path(folder)
            folders = ("--catalog", place / "catalogs", "--proofs", place / "proofs")
            for suffix, source in ((".entry", "catalogs"), (".certificate", "proofs")):
                target = place / source / ("relu/k40-f13-w9" + suffix)
                target.parent.mkdir(parents=True)
                target.write_bytes((ROOT / source / ("relu/k40-f13-w9" + suffix)).read_bytes())
            code, output = self.run_command(*folders)
            self.assertEqual(code, 0, output)
            self.assertIn("NOT CHECKED", output)
            shipped = (ROOT / "catalogs/INDEX").read_text().split("\n")
            line = next(line for line in shipped if line.endswith(" relu/k40-f13-w9")) + "\n"
            index = place / "catalogs/INDEX"
            index.write_text(line)
            code, output = self.run_command(*folders)
            self.assertEqual(code, 0, output)
            self.assertIn("root", output)
            for bad in (line + line, line[:-1], "", line.replace(" relu", "  relu"), ("1" if line[0] == "0" else "0") + line[1:]):
                index.write_text(bad)
                code, output = self.run_command(*folders)
                self.assertEqual(code, 1, output)
                self.assertIn("does not say what the files are", output)

    def test_an_entry_in_another_functions_folder(self):
        with tempfile.TemporaryDirectory() as folder:
            for suffix, source in ((".entry", "catalogs"), (".certificate", "proofs")):
                target = pathlib.Path(folder) / ("sigmoid/one" + suffix)
                target.parent.mkdir(exist_ok=True)
                target.write_bytes((ROOT / source / ("relu/k40-f13-w9" + suffix)).read_bytes())
            code, output = self.run_command("--catalog", folder, "--proofs", folder)
            self.assertEqual(code, 1, output)
            self.assertIn("another function's folder", output)


if __name__ == "__main__":
    unittest.main()
