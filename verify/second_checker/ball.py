"""Balls: a number as centre and radius, integers at a scale (section 8 of `proofs/FORMAT.md`).

Each function states the scale of its argument; the true value is within the radius of the centre, in units of 2^-scale.
"""

from functools import lru_cache

from polynomial import ceil_div, ceil_shift
from rejection import Rejection

EXPONENT_LIMIT = 256
GAUSSIAN_LIMIT = 16


def times(a, b, scale):
    """The product of two balls."""
    (c, r), (d, s) = a, b
    return c * d >> scale, ceil_shift(abs(c) * s + abs(d) * r + r * s, scale) + 1


def coarser(a, bits):
    """The same ball at a scale that has so many bits less."""
    return a[0] >> bits, ceil_shift(a[1], bits) + 1


@lru_cache(maxsize=4096)
def exponential(x, scale):
    """e^x for an argument at `scale`."""
    if abs(x) > EXPONENT_LIMIT << scale:
        raise Rejection("function", "an exponential's argument is beyond %d" % EXPONENT_LIMIT)
    halvings = max(0, abs(x).bit_length() + 1 - scale)
    bits = (x >> scale).bit_length() if x > 0 else 0
    guard = 2 * halvings + 32 + (3 << bits)
    fine = scale + guard
    y = x << guard >> halvings
    term = total = 1 << fine
    terms = 1
    while term not in (0, -1):
        term = (term * y >> fine) // terms
        total += term
        terms += 1
    ball = (total, 4 * terms + 16)
    for _ in range(halvings):
        ball = times(ball, ball, fine)
    return coarser(ball, guard)


def upper_exponential(x, scale):
    """At least e^x."""
    centre, radius = exponential(x, scale)
    return centre + radius


@lru_cache(maxsize=64)
def pi(scale):
    """pi, by Machin's formula."""
    guard = 16
    fine = scale + guard
    centre = radius = 0
    for weight, inverse in ((16, 5), (-4, 239)):
        power, total, terms = (1 << fine) // inverse, 0, 0
        while power:
            term = power // (2 * terms + 1)
            total += -term if terms & 1 else term
            power //= inverse * inverse
            terms += 1
        centre += weight * total
        radius += abs(weight) * (2 * terms + 2)
    return coarser((centre, radius), guard)


@lru_cache(maxsize=4096)
def gaussian_integral(centre, a, b, scale):
    """The integral of exp(-u^2 a/b) from 0 to `centre`, which is at `scale`."""
    if abs(centre) > GAUSSIAN_LIMIT << scale:
        raise Rejection("function", "a Gaussian integral's centre is beyond %d" % GAUSSIAN_LIMIT)
    bound = ceil_div(ceil_shift(centre * centre * a, 2 * scale), b)
    if bound > EXPONENT_LIMIT:
        raise Rejection("function", "a Gaussian's exponent is beyond %d" % EXPONENT_LIMIT)
    guard = 64 + 2 * bound
    fine = scale + guard
    term = abs(centre) << guard
    exponent = (term * term >> fine) * a // b
    short = ceil_div(a, b) + 1
    total, error, errors, k = term, 1, 1, 0
    while not (term <= 1 and 4 * (exponent + short) <= 2 * k + 3 << fine):
        divisor = 2 * k + 3
        error = ceil_div(ceil_shift(error * 2 * (exponent + short) + term * 2 * short, fine) + 1, divisor) + 1
        term = (term * 2 * exponent >> fine) // divisor
        total += term
        errors += error
        k += 1
    c, r = exponential(-exponent, fine)
    c, r = coarser(times((total, errors + error + 4), (c, r + short), fine), guard)
    return (-c if centre < 0 else c), r
