"""Tails: inequalities for functions far from zero (section 8 of `proofs/FORMAT.md`).

Each rule puts f between two functions that differ by a constant; b = high < 0 on the left, a = low > 0 on the right.
"""

import ball
import coarse
from polynomial import add, ceil_div, ceil_shift
from rejection import Rejection


RULED = ("exp", "sigmoid", "tanh", "silu", "gelu", "normal_cdf", "erf")


def enclose(entry, low, high, bits, degree):
    """(q, error) at scale 2^-bits over the integers of [low, high]; functions without a rule are enclosed coarsely."""
    function, scale = entry.function, entry.scale
    if function not in RULED:
        return coarse.enclose(entry.definition, low, high, scale, bits, degree)
    if high < 0:
        near, right = -high, False
    elif low > 0:
        near, right = low, True
    else:
        raise Rejection("function", "a tail piece touches zero")
    one = 1 << bits
    near <<= bits - scale
    if function in ("silu", "normal_cdf", "erf") and near < one:
        raise Rejection("function", "the tail rule holds from one on")

    def decay(argument):
        """At least e^-argument."""
        return ball.upper_exponential(-min(argument, ball.EXPONENT_LIMIT << bits), bits)

    half = bits - scale - 1
    x = [low + high << half, high - low << half]
    if function == "exp" and not right:
        return _above([], decay(near))
    if function == "sigmoid":
        return _below([one], decay(near)) if right else _above([], decay(near))
    if function == "tanh":
        return _below([one], 2 * decay(2 * near)) if right else _above([-one], 2 * decay(2 * near))
    if function == "silu":
        return _below(x if right else [], ceil_shift(near * decay(near), bits))
    if function == "gelu":
        return _below(x if right else [], ceil_div(decay(near * near >> bits + 1), 2))
    if function == "normal_cdf":
        width = ceil_div(decay(near * near >> bits + 1), 2)
        return _below([one], width) if right else _above([], width)
    if function == "erf":
        width = decay(near * near >> bits)
        return _below([one], width) if right else _above([-one], width)
    raise Rejection("function", "no tail rule for %s on this side" % function)


def _above(bound, width):
    """bound <= f <= bound + width."""
    half = ceil_div(width, 2)
    return add(bound, [half]), half + 1


def _below(bound, width):
    """bound - width <= f <= bound."""
    half = ceil_div(width, 2)
    return add(bound, [-half]), half + 1
