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


def sine(x):
    """By the Taylor series, with digits to spare for its cancellation."""
    before = getcontext().prec
    getcontext().prec = before + 40
    x = x % (2 * pi())
    term, total, k = x, x, 1
    while abs(term) > Decimal(10) ** -(before + 20):
        term = -term * x * x / ((k + 1) * (k + 2))
        total += term
        k += 2
    getcontext().prec = before
    return +total


def softplus(x):
    """log(1 + e^x)."""
    return max(x, Decimal(0)) + (1 + (-abs(x)).exp()).ln()


def tanh(x):
    """Of any x, without overflow."""
    power = (-2 * abs(x)).exp()
    return ((1 - power) / (1 + power)).copy_sign(x)


def phi(x):
    """The standard normal distribution function."""
    return (1 + erf(x / Decimal(2).sqrt())) / 2


def gelu_tanh(x):
    """The form with tanh, as it is usually written."""
    return x / 2 * (1 + tanh((2 / pi()).sqrt() * (x + Decimal("0.044715") * x ** 3)))


def elu(x, alpha=ONE):
    """x above zero, alpha (e^x - 1) below."""
    return x if x > 0 else alpha * (x.exp() - 1)


def hard_sigmoid(x):
    """(x + 3)/6 between 0 and 1."""
    return min(max(x + 3, Decimal(0)), Decimal(6)) / 6


FUNCTIONS = {
    "exp": lambda x: x.exp(),
    "reciprocal": lambda x: 1 / x,
    "rsqrt": lambda x: 1 / x.sqrt(),
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "tanh": tanh,
    "erf": erf,
    "normal_cdf": phi,
    "gelu": lambda x: x * phi(x),
    "silu": lambda x: x / (1 + (-x).exp()),
    "relu": lambda x: max(x, Decimal(0)),
    "exp2": lambda x: Decimal(2) ** x,
    "log": lambda x: x.ln(),
    "sqrt": lambda x: x.sqrt(),
    "sin": sine,
    "cos": lambda x: sine(x + pi() / 2),
    "normal_pdf": lambda x: (-x * x / 2).exp() / (2 * pi()).sqrt(),
    "gelu_tanh": gelu_tanh,
    "softplus": softplus,
    "mish": lambda x: x * tanh(softplus(x)),
    "elu": elu,
    "selu": lambda x: Decimal("1.0507009873554805") * elu(x, Decimal("1.6732632423543772")),
    "softsign": lambda x: x / (1 + abs(x)),
    "isru": lambda x: x / (1 + x * x).sqrt(),
    "hard_sigmoid": hard_sigmoid,
    "hard_swish": lambda x: x * hard_sigmoid(x),
}
