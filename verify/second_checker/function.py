"""Enclosures of the functions over a piece (section 8 of `proofs/FORMAT.md`).

An enclosure is (q, error) at scale 2^-Q: |q(t) - f * 2^Q| <= error for all t of [-1, 1]. Recurrences only propose q; every
error is derived from a residual or from an explicit series, so a bad q costs tightness and never soundness.
"""

from math import isqrt

import ball
import tails
from model import FRACTION
from polynomial import add, ceil_div, ceil_shift, derivative, norm, product, shift, subtract, value_range
from rejection import Rejection

DOMAIN_HALVINGS = 3


class Nodes:
    """The nodes of expressions over the integers of [low, high] at input scale `scale`, at working scale `bits`."""

    def __init__(self, low, high, scale, bits, degree):
        self.low, self.high, self.bits, self.degree = low, high, bits, degree
        half = bits - scale - 1
        self.centre = low + high << half
        self.half_width = high - low << half

    def x(self):
        """The input."""
        return [self.centre, self.half_width], 0

    def rational(self, a, b=1):
        """a/b."""
        return [(a << self.bits) // b], 1

    def pi(self):
        """The constant pi."""
        centre, radius = ball.pi(self.bits)
        return [centre], radius

    def sum(self, one, other):
        """one + other."""
        return add(one[0], other[0]), one[1] + other[1]

    def times(self, one, other):
        """one * other."""
        (p, e), (q, d) = one, other
        r, lost = product(p, q, self.bits, self.degree)
        return r, lost + ceil_shift(norm(p) * d + norm(q) * e + e * d, self.bits)

    def exponential(self, inner):
        """exp(g): y' = g'y and a ball at the centre, then Gronwall."""
        g, inner_error = inner
        bits = self.bits
        start = g[0]
        first, radius = ball.exponential(start, bits)
        weighted = [j * a for j, a in enumerate(g)]
        q = [first]
        for k in range(1, self.degree + 1):
            total = sum(weighted[j] * q[k - j] for j in range(1, min(k, len(g) - 1) + 1))
            q.append((total >> bits) // k)
        slope = derivative(g)
        predicted, lost = product(slope, q, bits, None)
        residual = norm(subtract(derivative(q), predicted)) + lost
        growth = ball.upper_exponential(norm(g) - abs(start), bits)
        error = ceil_shift((radius + residual) * growth, bits)
        if inner_error:
            grown = ball.upper_exponential(inner_error, bits) - (1 << bits)
            error += ceil_shift((norm(q) + error) * grown, bits)
        return q, error

    def reciprocal(self, inner):
        """1/g, where g keeps its sign; the residual is g*q - 1."""
        g, inner_error = inner
        low, high = value_range(g, DOMAIN_HALVINGS)
        least = max(low, -high) - inner_error
        if least <= 0:
            raise Rejection("function", "a divisor may be zero")
        bits = self.bits
        q = [(1 << 2 * bits) // g[0]]
        for k in range(1, self.degree + 1):
            q.append(-sum(g[j] * q[k - j] for j in range(1, min(k, len(g) - 1) + 1)) // g[0])
        predicted, lost = product(g, q, bits, None)
        residual = norm(subtract(predicted, [1 << bits])) + lost + ceil_shift(norm(q) * inner_error, bits)
        return q, ceil_div(residual << bits, least)

    def rsqrt(self, inner):
        """g^(-1/2), where g is positive; the residual is g*q^2 - 1 and q must be positive."""
        g, inner_error = inner
        bits = self.bits
        least = value_range(g, DOMAIN_HALVINGS)[0] - inner_error
        if least <= 0:
            raise Rejection("function", "a root's argument may not be positive")
        q = [isqrt((1 << 3 * bits) // g[0])]
        for k in range(1, self.degree + 1):
            total = sum((2 * (k - j) + j) * g[j] * q[k - j] for j in range(1, min(k, len(g) - 1) + 1))
            q.append(-total // (2 * k * g[0]))
        if value_range(q, DOMAIN_HALVINGS)[0] <= 0:
            raise Rejection("function", "the series of a root is not positive on the piece")
        square, square_error = product(q, q, bits, None)
        predicted, lost = product(g, square, bits, None)
        residual = norm(subtract(predicted, [1 << bits])) + lost
        residual += ceil_shift((norm(square) + square_error) * inner_error + norm(g) * square_error, bits)
        return q, ceil_div(residual << bits, isqrt(least << bits))

    def gaussian(self, a, b):
        """The integral of exp(-u^2 a/b) from 0 to x: a ball at the centre, then the density's integral."""
        bits = self.bits
        start, radius = ball.gaussian_integral(self.centre, a, b, bits)
        x = self.x()
        density, density_error = self.exponential(self.times(self.rational(-a, b), self.times(x, x)))
        eta = self.half_width
        q = [start] + [(y * eta >> bits) // (k + 1) for k, y in enumerate(density)]
        return q, radius + ceil_shift(density_error * abs(eta), bits) + 2 * len(q)

    def logistic(self, steepness):
        """1/(1 + exp(-steepness * x))."""
        power = self.exponential(self.times(self.rational(-steepness), self.x()))
        return self.reciprocal(self.sum(self.rational(1), power))

    def normal(self):
        """1/2 + rsqrt(2 pi) * G(1, 2)."""
        density = self.rsqrt(self.times(self.rational(2), self.pi()))
        return self.sum(self.rational(1, 2), self.times(density, self.gaussian(1, 2)))

    def rectified(self):
        """max(x, 0); across zero the nearer of x and 0, off by what the other sign reaches."""
        if self.low >= 0:
            return self.x()
        if self.high <= 0:
            return [0], 0
        q, error = self.x()
        low, high = value_range(q, 3)
        below, above = max(-low, 0), max(high, 0)
        return (q, error + below) if below <= above else ([0], error + above)

    def of(self, name):
        """The function's expression, by its name."""
        return {
            "exp": lambda: self.exponential(self.x()),
            "reciprocal": lambda: self.reciprocal(self.x()),
            "rsqrt": lambda: self.rsqrt(self.x()),
            "sigmoid": lambda: self.logistic(1),
            "tanh": lambda: self.sum(self.times(self.rational(2), self.logistic(2)), self.rational(-1)),
            "erf": lambda: self.times(self.times(self.rational(2), self.rsqrt(self.pi())), self.gaussian(1, 1)),
            "normal_cdf": self.normal,
            "gelu": lambda: self.times(self.x(), self.normal()),
            "silu": lambda: self.times(self.x(), self.logistic(1)),
            "relu": self.rectified,
        }[name]()


def working_scale(entry, low, high):
    """Q of a piece."""
    whole = max(abs(low), abs(high)) >> entry.scale
    return max(entry.output().scale + FRACTION, entry.scale + 1) + 48 + 2 * whole.bit_length()


def enclose(entry, low, high, degree, tail):
    """The function of an entry over the integers of [low, high], at the scale of the output's model."""
    bits = working_scale(entry, low, high)
    if tail:
        q, error = tails.enclose(entry.function, low, high, entry.scale, bits)
    else:
        q, error = Nodes(low, high, entry.scale, bits, degree).of(entry.function)
    surplus = bits - entry.output().scale - FRACTION
    q, lost = shift(q, surplus)
    return q, ceil_shift(error, surplus) + lost
