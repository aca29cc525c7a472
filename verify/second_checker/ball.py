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
    halvings = _halvings(x, scale)
    bits = (x >> scale).bit_length() if x > 0 else 0
    guard = 2 * halvings + 32 + (3 << bits)
    fine = scale + guard
    y = x << guard - halvings
    term = total = 1 << fine
    terms = 1
    while term not in (0, -1):
        term = (term * y >> fine) // terms
        total += term
        terms += 1
    ball = (total, 4 * (terms - 1) + 16)
    for _ in range(halvings):
        ball = times(ball, ball, fine)
    return coarser(ball, guard)


def _halvings(x, scale):
    """So many halvings make |x| at most 1/2."""
    if abs(x) > EXPONENT_LIMIT << scale:
        raise Rejection("function", "an argument is beyond %d" % EXPONENT_LIMIT)
    return max(0, abs(x).bit_length() + 1 - scale)


@lru_cache(maxsize=4096)
def sine_cosine(x, scale):
    """The balls of sin x and cos x for an argument at `scale`."""
    halvings = _halvings(x, scale)
    guard = 3 * halvings + 32
    fine = scale + guard
    y = x << guard - halvings
    term = 1 << fine
    sums, terms = [0, term], 1
    while term not in (0, -1):
        term = (term * y >> fine) // terms
        sums[1 - terms % 2] += -term if terms & 2 else term
        terms += 1
    sine, cosine = ((total, 4 * (terms - 1) + 16) for total in sums)
    for _ in range(halvings):
        square, crossed = times(sine, sine, fine), times(sine, cosine, fine)
        sine = 2 * crossed[0], 2 * crossed[1]
        cosine = (1 << fine) - 2 * square[0], 2 * square[1]
    return coarser(sine, guard), coarser(cosine, guard)


@lru_cache(maxsize=4096)
def logarithm(x, scale):
    """log x for an argument at `scale` that is positive."""
    if x <= 0:
        raise Rejection("function", "a logarithm's argument is not positive")
    bits = x.bit_length()
    if 3 * x < 1 << bits + 1:
        bits -= 1
    guard = 32 + max(bits, scale) - scale
    fine = scale + guard
    mantissa, one = x << fine - bits, 1 << fine
    main = _twice_artanh((mantissa - one << fine) // (mantissa + one), fine)
    two = _twice_artanh(one // 3, fine)
    exponent = bits - scale
    return coarser((main[0] + exponent * two[0], main[1] + abs(exponent) * two[1]), guard)


def _twice_artanh(z, scale):
    square = z * z >> scale
    power, total, k = z, 0, 0
    while power not in (0, -1):
        total += power // (2 * k + 1)
        power = power * square >> scale
        k += 1
    return 2 * total, 6 * k + 12


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
