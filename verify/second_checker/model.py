"""Models: Taylor polynomials of followed integers with one symbol per rounding (section 6 of `proofs/FORMAT.md`).

A model encloses an integer V if V * 2^FRACTION = p(t) + sum of e_i * S_i(t) + e * R with all e in [-1, 1], where e_i is
the same number wherever operation i's rounding occurs.
"""

from polynomial import add, ceil_shift, multiple, norm, product, shift, value_range

FRACTION = 64
SYMBOL_DEGREE = 3
RANGE_HALVINGS = 2


class Model:
    """`symbols` maps the number of a truncation to its polynomial; `rest` is R."""

    __slots__ = ("polynomial", "symbols", "rest")

    def __init__(self, polynomial, symbols=None, rest=0):
        self.polynomial = polynomial
        self.symbols = symbols or {}
        self.rest = rest

    def is_zero(self):
        """Whether the only integer it encloses is zero."""
        return not (any(self.polynomial) or self.spread() or self.rest)

    def spread(self):
        """The sum of |S_i|: what the roundings can do to first order."""
        return sum(norm(s) for s in self.symbols.values())

    def magnitude(self):
        """At least |V|."""
        return ceil_shift(norm(self.polynomial) + self.spread() + self.rest, FRACTION)

    def size(self):
        """The number of coefficients of p and of all S_i together."""
        return len(self.polynomial) + sum(map(len, self.symbols.values()))

    def integer_range(self):
        """The least and the largest integer that may be enclosed."""
        low, high = value_range(self.polynomial, RANGE_HALVINGS)
        width = self.spread() + self.rest
        return ceil_shift(low - width, FRACTION), (high + width) >> FRACTION


def constant(value):
    """The model of a known integer."""
    return Model([value << FRACTION])


def input_model(low, high):
    """The model of x on the integers of [low, high]."""
    half = FRACTION - 1
    return Model([low + high << half, high - low << half])


def add_multiple(total, coefficient, one):
    """Adds coefficient * one to `total`, in place: sums are long and a copy for each term would not be counted as work."""
    for i, s in one.symbols.items():
        total.symbols[i] = add(total.symbols.get(i, []), multiple(s, coefficient))
    total.polynomial = add(total.polynomial, multiple(one.polynomial, coefficient))
    total.rest += abs(coefficient) * one.rest


def multiply(a, b, degree):
    """The product; second order terms in the roundings and everything cut go to the remainder."""
    polynomial, lost = product(a.polynomial, b.polynomial, FRACTION, degree)
    symbols = {}
    for p, others in ((a.polynomial, b.symbols), (b.polynomial, a.symbols)):
        for i, s in others.items():
            part, error = product(p, s, FRACTION, SYMBOL_DEGREE)
            lost += error
            symbols[i] = add(symbols.get(i, []), part)
    m, n = norm(a.polynomial), norm(b.polynomial)
    s, u = a.spread(), b.spread()
    rest = s * u + (m + s) * b.rest + (n + u) * a.rest + a.rest * b.rest
    return Model(polynomial, symbols, lost + ceil_shift(rest, FRACTION))


def truncate(one, bits, low, high, number):
    """floor(V / 2^bits) + delta for any integer delta of [low, high], as the rounding of operation `number`."""
    polynomial, lost = shift(one.polynomial, bits)
    symbols = {}
    for i, s in one.symbols.items():
        symbols[i], error = shift(s, bits)
        lost += error
    unit = 1 << FRACTION - 1 - bits if bits < FRACTION else 0
    centre = (low + high - 1 << FRACTION - 1) + unit
    symbols[number] = [(high - low + 1 << FRACTION - 1) - unit]
    return Model(add(polynomial, [centre]), symbols, ceil_shift(one.rest, bits) + lost)
