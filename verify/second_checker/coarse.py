"""Coarse enclosures for tails without a rule (end of section 8 of `proofs/FORMAT.md`).

A node is (q, error), near a polynomial, or a `Beyond`: at least a number, without an upper bound.
"""

from math import isqrt

import ball
from function import MAX_NODE_BITS, Nodes, bounded
from polynomial import ceil_div, value_range
from rejection import Rejection

RANGE_HALVINGS = 3


class Beyond:
    """At least `low`, an integer at the working scale."""

    def __init__(self, low):
        self.low = low


def enclose(definition, low, high, scale, bits, degree):
    """(q, error) of an expression over the integers of [low, high]; a Rejection if it is not bounded."""
    found = _Coarse(Nodes(low, high, scale, bits, degree)).of(definition)
    if isinstance(found, Beyond):
        raise Rejection("function", "no coarse enclosure: the function may grow beyond every bound")
    return found


def _interval(low, high):
    """Everything from low to high."""
    middle = low + high >> 1
    return [middle], max(high - middle, middle - low)


def _bounds(found):
    """(lower end, upper end or None)."""
    if isinstance(found, Beyond):
        return found.low, None
    q, error = found
    low, high = value_range(q, RANGE_HALVINGS)
    return low - error, high + error


class _Coarse:
    def __init__(self, nodes):
        self.nodes, self.bits = nodes, nodes.bits

    def of(self, node):
        """What is known of a node."""
        kind = node[0]
        if not hasattr(self, "_" + kind):
            return self.nodes.of(node)
        found = getattr(self, "_" + kind)(node, *(self.of(one) for one in node[1:]))
        if isinstance(found, Beyond):
            return Beyond(min(found.low, 1 << self.bits + MAX_NODE_BITS))
        return bounded(found, self.bits)

    def _sin(self, *_):
        return _interval(-1 << self.bits, 1 << self.bits)

    def _add(self, node, one, other):
        if not isinstance(one, Beyond) and not isinstance(other, Beyond):
            return self.nodes.near(node, one, other)
        return Beyond(_bounds(one)[0] + _bounds(other)[0])

    def _mul(self, node, one, other):
        if not isinstance(one, Beyond) and not isinstance(other, Beyond):
            return self.nodes.near(node, one, other)
        for factor in (one, other):
            low, _ = _bounds(factor)
            if low < 0 or low == 0 and not isinstance(factor, Beyond):
                raise Rejection("function", "no coarse enclosure: a factor of something unbounded is not positive")
        return Beyond(_bounds(one)[0] * _bounds(other)[0] >> self.bits)

    def _exp(self, _, inner):
        low, high = _bounds(inner)
        limit = ball.EXPONENT_LIMIT << self.bits
        least = 0
        if low >= -limit:
            centre, radius = ball.exponential(min(low, limit), self.bits)
            least = max(0, centre - radius)
        if high is None or high > limit:
            return Beyond(least)
        return _interval(least, ball.upper_exponential(max(high, -limit), self.bits))

    def _log(self, _, inner):
        low, high = _bounds(inner)
        centre, radius = ball.logarithm(low, self.bits)
        if high is None:
            return Beyond(centre - radius)
        upper, other = ball.logarithm(high, self.bits)
        return _interval(centre - radius, upper + other)

    def _reciprocal(self, _, inner):
        low, high = _bounds(inner)
        square = 1 << 2 * self.bits
        if low > 0:
            return _interval(0 if high is None else square // high, ceil_div(square, low))
        if high is not None and high < 0:
            return _interval(-ceil_div(square, -high), -(square // -low))
        raise Rejection("function", "a divisor may be zero")

    def _rsqrt(self, _, inner):
        low, high = _bounds(inner)
        if low <= 0:
            raise Rejection("function", "a root's argument may not be positive")
        cube = 1 << 3 * self.bits
        return _interval(0 if high is None else isqrt(cube // high), isqrt(cube // low) + 1)

    def _positive(self, node, inner):
        if isinstance(inner, Beyond):
            return Beyond(max(inner.low, 0))
        return self.nodes.near(node, inner)
