"""Enclosures of the functions over a piece (section 8 of `proofs/FORMAT.md`).

An enclosure is (q, error) at scale 2^-Q: |q(t) - f * 2^Q| <= error for all t of [-1, 1]. Recurrences only propose q; every
error is derived from a residual or from an explicit series, so a bad q costs tightness and never soundness.
"""

from math import isqrt

import ball
from polynomial import add, ceil_div, ceil_shift, derivative, norm, product, shift, subtract, value_range
from rejection import Rejection

DOMAIN_HALVINGS = 3
MAX_NODE_BITS = 1024


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

    def logarithm(self, inner):
        """log g, where g is positive; the residual is g*q' - g'."""
        g, inner_error = inner
        bits = self.bits
        least = value_range(g, DOMAIN_HALVINGS)[0] - inner_error
        if least <= 0 or g[0] <= 0:
            raise Rejection("function", "a logarithm's argument may not be positive")
        first, radius = ball.logarithm(g[0], bits)
        q = [first]
        for k in range(1, self.degree + 1):
            known = sum(g[j] * (k - j) * q[k - j] for j in range(1, min(k, len(g))))
            q.append(((k * g[k] << bits if k < len(g) else 0) - known) // (k * g[0]))
        predicted, lost = product(g, derivative(q), bits, None)
        residual = norm(subtract(predicted, derivative(g))) + lost
        return q, radius + ceil_div(residual + inner_error << bits, least)

    def sine(self, inner):
        """sin g, with its cosine p beside it; the residuals are q' - g'p and p' + g'q."""
        g, inner_error = inner
        bits = self.bits
        (sine, radius), (cosine, other_radius) = ball.sine_cosine(g[0], bits)
        q, p = [sine], [cosine]
        for k in range(1, self.degree + 1):
            terms = range(1, min(k, len(g) - 1) + 1)
            forward = sum(j * g[j] * p[k - j] for j in terms)
            backward = -sum(j * g[j] * q[k - j] for j in terms)
            q.append((forward >> bits) // k)
            p.append((backward >> bits) // k)
        slope = derivative(g)
        forward, lost = product(slope, p, bits, None)
        backward, also_lost = product(slope, q, bits, None)
        residual = norm(subtract(derivative(q), forward)) + lost + norm(add(derivative(p), backward)) + also_lost
        return q, radius + other_radius + residual + inner_error

    def positive(self, inner, of_x):
        """max(g, 0): the nearer of g and 0, off by what the other sign reaches; of x itself the sign is known."""
        if of_x and self.low >= 0:
            return inner
        if of_x and self.high <= 0:
            return [0], 0
        q, error = inner
        low, high = value_range(q, DOMAIN_HALVINGS)
        below, above = max(-low, 0), max(high, 0)
        return (q, error + below) if below <= above else ([0], error + above)

    def leaf(self, node):
        """x, a number, pi or a Gaussian integral."""
        kind = node[0]
        if kind == "x":
            return self.x()
        if kind == "pi":
            return self.pi()
        return self.rational(*node[1:]) if kind == "number" else self.gaussian(*node[1:])

    def of(self, node):
        """The enclosure of an expression."""
        kind = node[0]
        if kind not in OPERATIONS:
            return bounded(self.leaf(node), self.bits)
        return self.near(node, *(self.of(one) for one in node[1:]))

    def near(self, node, *operands):
        """A node whose operands are enclosed."""
        if node[0] == "positive":
            operands += (node[1] == ("x",),)
        return bounded(getattr(self, OPERATIONS[node[0]])(*operands), self.bits)


CHEAP = ("x", "number", "add", "mul", "positive")
OPERATIONS = {"add": "sum", "mul": "times", "exp": "exponential", "log": "logarithm", "sin": "sine",
              "reciprocal": "reciprocal", "rsqrt": "rsqrt", "positive": "positive"}


def bounded(enclosure, bits):
    """The enclosure, if it stays within what is followed."""
    q, error = enclosure
    if (norm(q) + error).bit_length() > bits + MAX_NODE_BITS:
        raise Rejection("function", "a node may exceed 2^%d" % MAX_NODE_BITS)
    return enclosure


def work(node, degree):
    """What the nodes of an expression cost, whatever the piece."""
    own = 2 * (degree + 2) ** 2 + (64 if node[0] in CHEAP else 16384 if node[0] == "gaussian" else 1024)
    return own + sum(work(one, degree) for one in node[1:] if isinstance(one, tuple))
