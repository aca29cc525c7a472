"""Canonical spelling (section 1 of `proofs/FORMAT.md`): lines, integers, decimals, digests.

Every reader here is strict on its own; a file is moreover written again from what was read and must come out equal.
A `Misspelling` names what was found; the readers of files turn it into a rejection.
"""

import re
from fractions import Fraction

import blake3

MANTISSA_DIGITS = 37
EXPONENT_BOUND = 300
ENTRY_CONTEXT = "chebyshare 2026 entry 1"
CERTIFICATE_CONTEXT = "chebyshare 2026 certificate 1"

INTEGER = re.compile(r"(?:0|-?[1-9][0-9]{0,39})\Z", re.ASCII)
DECIMAL = re.compile(r"(-?)([0-9])(?:\.([0-9]{0,35}[1-9]))?(?:e(-?[1-9][0-9]{0,3}))?\Z", re.ASCII)
DIGEST = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)


class Misspelling(Exception):
    """Text is not what the format asks for at this place."""


def bytes_of(path, limit):
    """The bytes of a regular file, no more than tell that it is too long: a pipe or a device might never end."""
    if not path.is_file():
        raise ValueError("%s is not a file" % path)
    with open(path, "rb") as file:
        return file.read(limit + 1)


def lines_of(data, limit):
    """The lines of a file's bytes, without their line feeds."""
    if len(data) > limit:
        raise Misspelling("%d bytes are more than the limit of %d" % (len(data), limit))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Misspelling("not UTF-8 at byte %d" % error.start) from None
    if not text.endswith("\n"):
        raise Misspelling("the last line does not end with a line feed")
    return text[:-1].split("\n")


def signed(word, bits):
    """An integer of so many bits, in two's complement range."""
    value = whole(word)
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise Misspelling("%s does not fit %d bits" % (word, bits))
    return value


def whole(word):
    """An integer of at most forty digits, in its one spelling."""
    if not INTEGER.match(word):
        raise Misspelling("%r is not an integer in canonical spelling" % word[:60])
    return int(word)


def between(word, low, high):
    """An integer from `low` to `high`."""
    value = whole(word)
    if not low <= value <= high:
        raise Misspelling("%s is not from %d to %d" % (word, low, high))
    return value


class Decimal:
    """mantissa * 10^exponent, the mantissa not divisible by ten; zero is 0 * 10^0."""

    __slots__ = ("mantissa", "exponent")

    def __init__(self, mantissa, exponent):
        self.mantissa = mantissa
        self.exponent = exponent

    @classmethod
    def read(cls, word):
        """The decimal that a word spells."""
        match = DECIMAL.match(word)
        if not match:
            raise Misspelling("%r is not a decimal in canonical spelling" % word[:60])
        sign, lead, rest, exponent = match.groups()
        rest = rest or ""
        mantissa = int(sign + lead + rest)
        shifted = int(exponent or "0") - len(rest)
        if lead == "0":
            if word != "0":
                raise Misspelling("%r is not a decimal in canonical spelling" % word)
            return cls(0, 0)
        if abs(shifted) > EXPONENT_BOUND:
            raise Misspelling("the exponent of %r is beyond %d" % (word, EXPONENT_BOUND))
        return cls(mantissa, shifted)

    def write(self):
        """The one spelling of this decimal."""
        digits = str(abs(self.mantissa))
        exponent = self.exponent + len(digits) - 1
        text = "-" if self.mantissa < 0 else ""
        text += digits[0]
        if len(digits) > 1:
            text += "." + digits[1:]
        if exponent:
            text += "e%d" % exponent
        return text

    def value(self):
        """The exact rational."""
        return Fraction(self.mantissa) * Fraction(10) ** self.exponent

    def floor_at(self, bits):
        """floor(this * 2^bits)."""
        scaled = self.value() * (1 << bits)
        return scaled.numerator // scaled.denominator


def binary_fraction(numerator, scale):
    """numerator / 2^scale, written exactly in decimals without an exponent."""
    digits = str(abs(numerator) * 5 ** scale).rjust(scale + 1, "0")
    whole_part, rest = (digits[:-scale], digits[-scale:].rstrip("0")) if scale else (digits, "")
    return ("-" if numerator < 0 else "") + whole_part + ("." + rest if rest else "")


def digest(context, data):
    """The digest of a file as 64 hexadecimal digits."""
    return blake3.derive_key(context, data).hex()
