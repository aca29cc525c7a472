"""Polynomials with integer coefficients on [-1, 1] (section 6 of `proofs/FORMAT.md`).

A polynomial is a list of integers, constant coefficient first. Zeros at its end stay: the work that a walk is charged counts
the coefficients that its operations make, whatever their values.
Functions that round return the rounded polynomial and a bound of what was lost, as a polynomial's largest absolute value.
"""

from functools import lru_cache
from math import comb


def ceil_div(numerator, denominator):
    """The ceiling of a quotient, for integers of either sign and a positive denominator."""
    return -(-numerator // denominator)


def ceil_shift(value, bits):
    """ceil(value / 2^bits)."""
    return -(-value >> bits)


def trim(p):
    """The list without zeros at its end."""
    count = len(p)
    while count and p[count - 1] == 0:
        count -= 1
    return p[:count]


def norm(p):
    """The sum of the absolute values of the coefficients."""
    return sum(map(abs, p))


def add(p, q):
    """p + q."""
    if len(p) < len(q):
        p, q = q, p
    return [a + b for a, b in zip(p, q)] + p[len(q):]


def negate(p):
    """-p."""
    return [-a for a in p]


def subtract(p, q):
    """p - q."""
    return add(p, negate(q))


def multiple(p, factor):
    """factor * p."""
    return [factor * a for a in p]


def shift(p, bits):
    """Every coefficient divided by 2^bits and rounded down; the loss is below one for each that does not divide."""
    mask = (1 << bits) - 1
    return [a >> bits for a in p], sum(1 for a in p if a & mask)


def multiply(p, q):
    """p * q, exact."""
    if not p or not q:
        return []
    out = [0] * (len(p) + len(q) - 1)
    for i, a in enumerate(p):
        if a:
            for j, b in enumerate(q):
                out[i + j] += a * b
    return out


def product(p, q, fraction, degree):
    """p * q of two polynomials at scale 2^-fraction, cut at a degree (None: not cut), at the same scale; and the loss."""
    exact = multiply(p, q)
    lost = 0
    if degree is not None and len(exact) > degree + 1:
        lost = ceil_shift(norm(exact[degree + 1:]), fraction)
        exact = exact[:degree + 1]
    rounded, error = shift(exact, fraction)
    return rounded, lost + error


def derivative(p):
    """dp/dt."""
    return [k * a for k, a in enumerate(p)][1:]


@lru_cache(maxsize=None)
def _binomials(degree):
    """Row i, column k: C(i, k)."""
    return [[comb(i, k) for k in range(i + 1)] for i in range(degree + 1)]


def upper(p, halvings):
    """At least the maximum of p on [-1, 1]: the largest Bernstein coefficient after halving so many times."""
    p = trim(p)
    degree = len(p) - 1
    if degree <= 0:
        return p[0] if p else 0
    binomials = _binomials(degree)
    powers = [sum(a * binomials[k][j] * (-1) ** (k - j) for k, a in enumerate(p[j:], j)) << j for j in range(degree + 1)]
    columns = [[binomials[i][k] * powers[k] // binomials[degree][k] for k in range(i + 1)] for i in range(degree + 1)]
    scale = degree * halvings
    points = [sum(column) << scale for column in columns]
    attained = [max(points[0], points[-1])]
    return ceil_shift(_bound(points, halvings, attained), scale) + degree + 1


def _bound(points, halvings, attained):
    """At least the maximum of a Bernstein form; `attained` holds the largest value known to be attained."""
    largest = max(points)
    if not halvings or largest <= attained[0]:
        return largest
    left, right = [points[0]], [points[-1]]
    row = points
    for level in range(1, len(points)):
        row = [a + b for a, b in zip(row, row[1:])]
        left.append(row[0] >> level)
        right.append(row[-1] >> level)
    right.reverse()
    attained[0] = max(attained[0], left[0], right[0], right[-1])
    return max(_bound(left, halvings - 1, attained), _bound(right, halvings - 1, attained))


def value_range(p, halvings):
    """Two integers between which p stays on [-1, 1]."""
    return -upper(negate(p), halvings), upper(p, halvings)
