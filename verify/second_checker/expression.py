"""Expressions (sections 2 and 8 of `proofs/FORMAT.md`): words in prefix order, their comment, and the named functions.

A node is a tuple: its word first, then its operands (nodes), or the numerator and denominator of `number` and `gaussian`.
"""

import re

from canonical import Misspelling, between

MAX_NODES = 256
LARGEST = (1 << 63) - 1
ARITY = {"x": 0, "pi": 0, "add": 2, "mul": 2, "exp": 1, "log": 1, "sin": 1, "reciprocal": 1, "rsqrt": 1, "positive": 1}
FRACTION = re.compile(r"(0|-?[1-9][0-9]{0,18})/([1-9][0-9]{0,18})\Z", re.ASCII)

ABSOLUTE = "add mul 2/1 positive x mul -1/1 x"
NORMAL = "add 1/2 mul rsqrt mul 2/1 pi gaussian 1/2"
LOGISTIC = "reciprocal add 1/1 exp mul -1/1 %s"
ELU = "add positive x mul %s add exp add x mul -1/1 positive x -1/1"
HARD_SIGMOID = "mul 1/6 add positive add x 3/1 mul -1/1 positive add x -3/1"
GELU_TANH = "mul mul 2/1 rsqrt mul 1/2 pi add x mul 44715/1000000 mul x mul x x"

# The table of section 8, read word by word.
TEXTS = {
    "exp": "exp x",
    "reciprocal": "reciprocal x",
    "rsqrt": "rsqrt x",
    "sigmoid": LOGISTIC % "x",
    "tanh": "add mul 2/1 reciprocal add 1/1 exp mul -2/1 x -1/1",
    "erf": "mul mul 2/1 rsqrt pi gaussian 1/1",
    "normal_cdf": NORMAL,
    "gelu": "mul x " + NORMAL,
    "silu": "mul x " + LOGISTIC % "x",
    "relu": "positive x",
    "exp2": "exp mul log 2/1 x",
    "log": "log x",
    "sqrt": "mul x rsqrt x",
    "sin": "sin x",
    "cos": "sin add x mul 1/2 pi",
    "normal_pdf": "mul rsqrt mul 2/1 pi exp mul -1/2 mul x x",
    "gelu_tanh": "mul x " + LOGISTIC % GELU_TANH,
    "softplus": "add positive x log add 1/1 exp mul -1/1 " + ABSOLUTE,
    "mish": "mul x add 1/1 mul -2/1 reciprocal add mul add 1/1 exp x add 1/1 exp x 1/1",
    "elu": ELU % "1/1",
    "selu": "mul 10507009873554805/10000000000000000 " + ELU % "16732632423543772/10000000000000000",
    "softsign": "mul x reciprocal add 1/1 " + ABSOLUTE,
    "isru": "mul x rsqrt add 1/1 mul x x",
    "hard_sigmoid": HARD_SIGMOID,
    "hard_swish": "mul x " + HARD_SIGMOID,
}


def read(words):
    """The expression that all the words spell."""
    position, nodes = 0, 0

    def node():
        nonlocal position, nodes
        nodes += 1
        if nodes > MAX_NODES:
            raise Misspelling("an expression has more than %d nodes" % MAX_NODES)
        if position == len(words):
            raise Misspelling("an expression ends too early")
        word = words[position]
        position += 1
        if word in ARITY:
            return (word, *(node() for _ in range(ARITY[word])))
        if word == "gaussian":
            if position == len(words):
                raise Misspelling("a Gaussian integral has no rate")
            position += 1
            rate = _fraction(words[position - 1])
            if rate[0] <= 0:
                raise Misspelling("a Gaussian integral's rate is not positive")
            return ("gaussian", *rate)
        return ("number", *_fraction(word))

    found = node()
    if position != len(words):
        raise Misspelling("an expression ends before its words do")
    return found


def _fraction(word):
    match = FRACTION.match(word)
    if not match:
        raise Misspelling("%r is no part of an expression" % word[:40])
    return between(match.group(1), -LARGEST, LARGEST), between(match.group(2), 1, LARGEST)


def write(node):
    """The words in prefix order, as one text."""
    kind = node[0]
    if kind == "number":
        return "%d/%d" % node[1:]
    if kind == "gaussian":
        return "gaussian %d/%d" % node[1:]
    return " ".join([kind] + [write(one) for one in node[1:]])


def notation(node):
    """The comment: the usual notation."""
    kind = node[0]
    if kind in ("x", "pi"):
        return kind
    if kind == "number":
        if node[2] == 1:
            return "(%d)" % node[1] if node[1] < 0 else "%d" % node[1]
        return "(%d/%d)" % node[1:]
    if kind == "gaussian":
        return "integral(0, x, exp(-u*u*%d/%d))" % node[1:]
    operands = [notation(one) for one in node[1:]]
    if kind == "add":
        return "(%s + %s)" % tuple(operands)
    if kind == "mul":
        return "%s*%s" % tuple(operands)
    return "%s(%s)" % ("relu" if kind == "positive" else kind, operands[0])


NAMED = {name: read(text.split(" ")) for name, text in TEXTS.items()}
