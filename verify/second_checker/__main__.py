"""The command: checks entries against their certificates, or the rejection corpus against its recorded verdicts."""

import argparse
import pathlib
import sys
import time

import index
from canonical import bytes_of
from certificate import MAX_CERTIFICATE_BYTES
from corpus import read_case
from entry import MAX_ENTRY_BYTES
from examine import examine
from rejection import Rejection

ROW = "%-48s %-9s %-13s %8s  %s"


def main(arguments):
    """The exit code: 0 if everything holds, 1 otherwise."""
    parser = argparse.ArgumentParser(
        prog="second_checker", description="a second checker of certified entries, written from proofs/FORMAT.md alone")
    parser.add_argument("entries", nargs="*", metavar="ENTRY", help="FUNCTION/NAME or the path of a file; all if none")
    parser.add_argument("--catalog", default="catalogs", type=pathlib.Path, help="folder of FUNCTION/NAME.entry")
    parser.add_argument("--proofs", default="proofs", type=pathlib.Path, help="folder of FUNCTION/NAME.certificate")
    parser.add_argument("--corpus", type=pathlib.Path, help="check this folder of *.case files instead")
    options = parser.parse_args(arguments)
    try:
        rows = _corpus(options.corpus) if options.corpus else _catalog(options)
        good = total = 0
        begun = time.monotonic_ns()
        for row, holds in rows:
            print(row, flush=True)
            good += holds
            total += 1
    except (OSError, ValueError) as error:
        print("error: %s" % error, file=sys.stderr)
        return 1
    print("%d of %d hold, %s s" % (good, total, _seconds(begun)))
    return 0 if good == total and total else 1


def _seconds(begun):
    hundredths = (time.monotonic_ns() - begun) // 10000000
    return "%d.%02d" % divmod(hundredths, 100)


def _judge(entry, certificate):
    """(the Finding or None, the reason's word, words for the reader)."""
    try:
        return examine(entry, certificate), "accepted", ""
    except Rejection as rejection:
        return None, rejection.reason, "%s: %s" % (rejection.reason, rejection.detail)


def _catalog(options):
    names = options.entries or sorted(
        path.relative_to(options.catalog).with_suffix("").as_posix() for path in options.catalog.glob("*/*.entry"))
    if not names:
        raise ValueError("no entries under %s" % options.catalog)
    if not options.entries:
        for path in sorted(options.proofs.glob("*/*.certificate")):
            name = path.relative_to(options.proofs).with_suffix("").as_posix()
            if name not in names:
                raise ValueError("the certificate %s has no entry" % name)
        root = index.root_of(options.catalog, options.proofs)
        print("the index is that of the files, root %s" % root if root else "NOT CHECKED: there is no INDEX in %s" % options.catalog)
    print(ROW % ("entry", "verdict", "bound", "seconds", "reason"))
    for name in names:
        path = options.catalog / (name + ".entry")
        if name.endswith(".entry"):
            path = pathlib.Path(name)
            name = path.parent.name + "/" + path.stem
        begun = time.monotonic_ns()
        proof = options.proofs / (name + ".certificate")
        if not proof.is_file():
            yield ROW % (name, "rejected", "-", _seconds(begun), "certificate: there is no file %s" % proof), False
            continue
        finding, _, note = _judge(bytes_of(path, MAX_ENTRY_BYTES), bytes_of(proof, MAX_CERTIFICATE_BYTES))
        if finding and not index.may_lie_in(finding.entry.function, name.split("/")[0]):
            finding, note = None, "entry: it is of %s and lies in another function's folder" % finding.entry.function
        if finding:
            note = _facts(finding)
        yield ROW % (name, "accepted" if finding else "rejected", finding.entry.bound.write() if finding else "-",
                     _seconds(begun), note), finding is not None


def _facts(finding):
    """What is known beside the bound."""
    failure = finding.failure()
    return "output %d to %d, %s" % (*finding.output_range, "fails with at most %s" % failure if failure else "never fails")


def _corpus(folder):
    paths = sorted(folder.glob("*.case"))
    if not paths:
        raise ValueError("no cases under %s" % folder)
    print(ROW % ("case", "verdict", "expected", "seconds", "reason"))
    for path in paths:
        begun = time.monotonic_ns()
        expected, entry, certificate = read_case(path.read_bytes())
        finding, reason, note = _judge(entry, certificate)
        agrees = reason == expected
        if not agrees:
            note = "DISAGREES " + note
        yield ROW % (path.stem, "accepted" if finding else "rejected", expected, _seconds(begun), note), agrees


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
