#!/usr/bin/env python3
"""Writes rational.txt: errors of best fractions, computed with nothing of this project (needs mpmath).

The exchange of Maehly and Werner in 60 digits. On a reference of p + q + 2 points the levelled fraction follows from
a symmetric eigenproblem: with the weights w of the divided difference, which annihilate all polynomials of degree
p + q, sum w x^k (f - s E) Q = 0 for k = 0 ... q. Of its q + 1 solutions the one with a denominator of one sign counts.
"""
import sys
import mpmath as mp

mp.mp.dps = 60
CASES = [
    ("exp", lambda x: mp.e**x, -1, 1, [(1, 1), (2, 2), (3, 3), (4, 4), (5, 4), (2, 1), (1, 3)]),
    ("exp", lambda x: mp.e**x, -10, 0, [(2, 2), (3, 3), (4, 4), (5, 4)]),
    ("rsqrt", lambda x: 1 / mp.sqrt(x), 1, 64, [(1, 1), (2, 2), (3, 3), (4, 4)]),
    ("sqrt", mp.sqrt, 1, 64, [(2, 1), (3, 2), (4, 3)]),
    ("log", mp.log, 1, 64, [(1, 1), (2, 2), (3, 3), (5, 4)]),
    ("sigmoid", lambda x: 1 / (1 + mp.e**-x), 0, 8, [(2, 2), (3, 3), (4, 4), (5, 4)]),
    ("tanh", mp.tanh, 0, 4, [(3, 2), (3, 3), (5, 4)]),
    ("erf", mp.erf, 0, 4, [(3, 2), (3, 3), (5, 4)]),
    ("gelu", lambda x: x * mp.ncdf(x), 0, 4, [(3, 2), (4, 3), (5, 4)]),
    ("silu", lambda x: x / (1 + mp.e**-x), 0, 8, [(3, 2), (4, 3), (5, 4)]),
    ("softplus", lambda x: mp.log(1 + mp.e**x), 0, 8, [(3, 2), (4, 4)]),
    ("sin", mp.sin, 0, 3, [(3, 2), (4, 3)]),
    ("cos", mp.cos, 0, 1, [(2, 2), (3, 1)]),
]


def levelled(f, points, p, q):
    """Candidates (level, numerator, denominator) on a reference; coefficients of 1, t, t^2, ..."""
    count = len(points)
    weights = [1 / mp.fprod(x - y for y in points if y != x) for x in points]
    values = [f(x) for x in points]
    moments = [mp.fsum(w * v * x**k for w, v, x in zip(weights, values, points)) for k in range(2 * q + 1)]
    signs = [mp.fsum((-1) ** i * w * x**k for i, (w, x) in enumerate(zip(weights, points))) for k in range(2 * q + 1)]
    matrix = mp.matrix(q + 1, q + 1)
    metric = mp.matrix(q + 1, q + 1)
    flip = 1 if signs[0] > 0 else -1
    for k in range(q + 1):
        for l in range(q + 1):
            matrix[k, l] = flip * moments[k + l]
            metric[k, l] = flip * signs[k + l]
    root = mp.cholesky(metric)
    inverse = root**-1
    levels, vectors = mp.eigsy(inverse * matrix * inverse.T)
    for index in range(q + 1):
        below = list(inverse.T * vectors[:, index])
        at = [mp.polyval(below[::-1], x) for x in points]
        if all(v > 0 for v in at) or all(v < 0 for v in at):
            level = levels[index]
            system = mp.matrix(count, p + 1)
            right = mp.matrix(count, 1)
            for i, x in enumerate(points):
                for k in range(p + 1):
                    system[i, k] = x**k
                right[i] = (values[i] - (-1) ** i * level) * at[i]
            above = list(mp.lu_solve(system[: p + 1, :], right[: p + 1, :]))
            yield level, above, below


def best(f, low, high, p, q):
    middle, radius = mp.mpf(low + high) / 2, mp.mpf(high - low) / 2
    scaled = lambda t: f(middle + radius * t)
    count = p + q + 2
    points = [-mp.cos(mp.pi * i / (count - 1)) for i in range(count)]
    grid = [-mp.cos(mp.pi * i / (24 * count)) for i in range(24 * count + 1)]
    for _ in range(60):
        solved = None
        for level, above, below in levelled(scaled, points, p, q):
            error = lambda t: scaled(t) - mp.polyval(above[::-1], t) / mp.polyval(below[::-1], t)
            if solved is None or abs(level) < abs(solved[0]):
                solved = (level, error)
        if solved is None:
            raise ArithmeticError("no fraction without a pole on the reference")
        level, error = solved
        errors = [error(t) for t in grid]
        runs = []
        for i, e in enumerate(errors):
            if not runs or (e > 0) != (errors[runs[-1]] > 0):
                runs.append(i)
            elif abs(e) > abs(errors[runs[-1]]):
                runs[-1] = i
        peaks = [refined(error, grid, i) for i in runs]
        while len(peaks) > count:
            ends = (abs(error(peaks[0])), abs(error(peaks[-1])))
            peaks.pop(0 if ends[0] < ends[1] else -1)
        if len(peaks) < count:
            raise ArithmeticError("the error alternates too rarely")
        largest = max(abs(error(t)) for t in peaks)
        points = peaks
        if largest <= abs(level) * (1 + mp.mpf(10) ** -16):
            return largest
    raise ArithmeticError("no convergence")


def refined(error, grid, index):
    low, high = grid[max(index - 1, 0)], grid[min(index + 1, len(grid) - 1)]
    sign = 1 if error(grid[index]) > 0 else -1
    ratio = (mp.sqrt(5) - 1) / 2
    for _ in range(58):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        if sign * error(a) < sign * error(b):
            low = a
        else:
            high = b
    candidates = [grid[index], (low + high) / 2, grid[max(index - 1, 0)], grid[min(index + 1, len(grid) - 1)]]
    return max(candidates, key=lambda t: sign * error(t))


def main():
    with open(sys.argv[1] if len(sys.argv) > 1 else "rational.txt", "w") as out:
        for name, f, low, high, degrees in CASES:
            for p, q in degrees:
                try:
                    error = mp.nstr(best(f, low, high, p, q), 20)
                except ArithmeticError as reason:
                    print(f"{name} [{low}, {high}] ({p},{q}) left out: {reason}", file=sys.stderr)
                    continue
                print(name, low, high, p, q, error, file=out, flush=True)


main()
