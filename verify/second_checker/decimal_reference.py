"""For tests: the functions in decimal arithmetic of 90 digits, written from their definitions and not from enclosures."""

from decimal import Decimal, getcontext

DIGITS = 90
ONE = Decimal(1)


def prepare():
    """Sets the precision; to be called before the functions."""
    getcontext().prec = DIGITS + 20
    getcontext().Emin, getcontext().Emax = -10 ** 9, 10 ** 9


def pi():
    """By the Gauss-Legendre mean, not by Machin's formula."""
    a, b, t, p = ONE, ONE / Decimal(2).sqrt(), Decimal("0.25"), ONE
    for _ in range(8):
        a, b, t, p = (a + b) / 2, (a * b).sqrt(), t - p * ((a - b) / 2) ** 2, 2 * p
    return (a + b) ** 2 / (4 * t)


def erf(x):
    """By the alternating Taylor series, with digits to spare for its cancellation."""
    if abs(x) > 14:
        return ONE.copy_sign(x)
    before = getcontext().prec
    getcontext().prec = before + 200
    term = total = x
    k = 0
    while abs(term) > Decimal(10) ** -(before + 20):
        k += 1
        term = -term * x * x / k
        total += term / (2 * k + 1)
    getcontext().prec = before
    return 2 * total / pi().sqrt()


FUNCTIONS = {
    "exp": lambda x: x.exp(),
    "reciprocal": lambda x: 1 / x,
    "rsqrt": lambda x: 1 / x.sqrt(),
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "tanh": lambda x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp()),
    "erf": erf,
    "normal_cdf": lambda x: (1 + erf(x / Decimal(2).sqrt())) / 2,
    "gelu": lambda x: x * (1 + erf(x / Decimal(2).sqrt())) / 2,
    "silu": lambda x: x / (1 + (-x).exp()),
    "relu": lambda x: max(x, Decimal(0)),
}
