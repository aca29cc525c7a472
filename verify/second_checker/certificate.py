"""Certificates (section 4 of `proofs/FORMAT.md`): reading and writing again."""

from canonical import DIGEST, Decimal, Misspelling, between, lines_of, signed
from rejection import Rejection

MAX_CERTIFICATE_BYTES = 16777216
MAX_PIECES = 65536
MAX_STATED_DEGREE = 255


class Piece:
    """All integers of [low, high]; the three parts are `Decimal`s in real units."""

    def __init__(self, tail, low, high, degree, approximation, rounding, remainder):
        self.tail, self.low, self.high, self.degree = tail, low, high, degree
        self.approximation, self.rounding, self.remainder = approximation, rounding, remainder

    def write(self):
        """The piece's line."""
        return "%s %d %d degree %d approximation %s rounding %s remainder %s" % (
            "tail" if self.tail else "piece", self.low, self.high, self.degree,
            self.approximation.write(), self.rounding.write(), self.remainder.write())


class Certificate:
    """What a certificate file says. A range is (low, high) or None."""

    def __init__(self, digest, ranges, point, error, choices, pieces):
        self.digest, self.ranges, self.point, self.error = digest, ranges, point, error
        self.choices, self.pieces = choices, pieces

    def write(self):
        """The canonical text."""
        lines = ["chebyshare certificate 1", "entry " + self.digest]
        lines += ["range v%d %s" % (index, "none" if one is None else "%d %d" % one)
                  for index, one in enumerate(self.ranges)]
        lines.append(" ".join(["witness %d error %s choices" % (self.point, self.error.write())]
                              + [str(choice) for choice in self.choices]))
        lines += [piece.write() for piece in self.pieces]
        lines.append("end")
        return "\n".join(lines) + "\n"


def read_certificate(data):
    """The certificate that the bytes spell; a Rejection with reason `certificate` if they do not."""
    try:
        found = _read(lines_of(data, MAX_CERTIFICATE_BYTES))
        if found.write().encode("utf-8") != data:
            raise Misspelling("written again it is a different text")
        return found
    except Misspelling as error:
        raise Rejection("certificate", str(error)) from None


def _read(lines):
    if len(lines) < 4 or lines[0] != "chebyshare certificate 1" or not lines[1].startswith("entry "):
        raise Misspelling("a certificate begins with its name and the digest of its entry")
    digest = lines[1][len("entry "):]
    if not DIGEST.match(digest):
        raise Misspelling("%r is not a digest" % digest[:80])
    if lines[-1] != "end":
        raise Misspelling("the last line is not `end`")
    position = 2
    ranges = []
    while position < len(lines) and lines[position].startswith("range "):
        ranges.append(_range(lines[position].split(" "), len(ranges)))
        position += 1
    words = lines[position].split(" ")
    if len(words) < 5 or words[0] != "witness" or words[2] != "error" or words[4] != "choices":
        raise Misspelling("the witness is missing after the ranges")
    choices = [signed(word, 8) for word in words[5:]]
    body = lines[position + 1:-1]
    if len(body) > MAX_PIECES:
        raise Misspelling("more than %d pieces" % MAX_PIECES)
    return Certificate(digest, ranges, signed(words[1], 64), Decimal.read(words[3]), choices,
                       [_piece(line.split(" ")) for line in body])


def _range(words, index):
    if len(words) < 3 or words[1] != "v%d" % index:
        raise Misspelling("range %d is out of place" % index)
    if words[2:] == ["none"]:
        return None
    if len(words) != 4:
        raise Misspelling("a range has two ends")
    return signed(words[2], 128), signed(words[3], 128)


def _piece(words):
    if len(words) != 11 or words[0] not in ("piece", "tail") \
            or words[3::2] != ["degree", "approximation", "rounding", "remainder"]:
        raise Misspelling("%r is no piece" % " ".join(words)[:80])
    return Piece(words[0] == "tail", signed(words[1], 64), signed(words[2], 64),
                 between(words[4], 0, MAX_STATED_DEGREE), *(Decimal.read(word) for word in words[6::2]))
