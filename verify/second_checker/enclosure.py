"""The function of an entry over a piece, at the scale of the output's model (section 8 of `proofs/FORMAT.md`)."""

import tails
from function import Nodes
from model import FRACTION
from polynomial import ceil_shift, shift


def working_scale(entry, low, high):
    """Q of a piece."""
    whole = max(abs(low), abs(high)) >> entry.scale
    return max(entry.output().scale + FRACTION, entry.scale + 1) + 48 + 2 * whole.bit_length()


def enclose(entry, low, high, degree, tail):
    """The function of an entry over the integers of [low, high], at the scale of the output's model."""
    bits = working_scale(entry, low, high)
    if tail:
        q, error = tails.enclose(entry, low, high, bits, degree)
    else:
        q, error = Nodes(low, high, entry.scale, bits, degree).of(entry.definition)
    surplus = bits - entry.output().scale - FRACTION
    q, lost = shift(q, surplus)
    return q, ceil_shift(error, surplus) + lost
