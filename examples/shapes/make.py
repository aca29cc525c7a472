"""Well-known architectures with seeded random weights, for timing: the shapes are real, the answers mean nothing.

    pip install onnx numpy
    python make.py SHAPE OUT         # OUT/SHAPE.onnx and OUT/SHAPE.npz, the same bytes on every machine

| SHAPE | what |
| --- | --- |
| bert-tiny, bert-base | encoder, 2 × 128 or 12 × 768, 128 tokens, GELU, embeddings in, a padding mask of −1e4 known to all |
| gpt2-tiny, gpt2-small | decoder, 2 × 128 or 12 × 768, 128 tokens, GELU in its tanh form, a causal mask of −inf, embeddings in |
| resnet18, resnet50 | 224 × 224, batch norms, basic or bottleneck blocks, mean pooling |
| vgg16-cifar, vgg16 | 32 × 32 with one dense layer of 512, or 224 × 224 with two of 4,096; max pooling |
| gelu | nothing but GELU of `--elements` numbers, to see what an element costs |

`--layers`, `--tokens` and `--side` make smaller ones, `--padding` masks other tokens. Weights are drawn so that headroom can be proved
as it would be for a trained model with clamps: dense layers of transformers with a deviation of 0.02 (GPT-2's with less
where it has less), kernels scaled so that no channel can grow by more than half. What is drawn decides no cost but the
widths of comparisons.
"""

import argparse
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

GROWTH, RESIDUAL_GROWTH, CLASSES = 1.5, 0.25, 1000


class Graph:
    """Nodes and seeded tensors, appended in order."""

    def __init__(self, seed=0):
        self.random = np.random.Generator(np.random.Philox(seed))
        self.nodes, self.initializers = [], []

    def constant(self, name, value):
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, operator, inputs, name, **attributes):
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def normal(self, name, shape, deviation):
        return self.constant(name, self.random.standard_normal(shape, np.float32) * np.float32(deviation))

    def dense(self, x, inputs, outputs, name, deviation=0.02):
        weight = self.normal(name + ".weight", (inputs, outputs), deviation)
        bias = self.normal(name + ".bias", (outputs,), 0.02)
        return self.node("Add", [self.node("MatMul", [x, weight], name + ".product"), bias], name)

    def norm(self, x, width, name):
        gamma = self.constant(name + ".gamma", 1 + self.random.standard_normal(width, np.float32) * np.float32(0.1))
        beta = self.normal(name + ".beta", (width,), 0.1)
        return self.node("LayerNormalization", [x, gamma, beta], name, axis=-1, epsilon=1e-5)

    def kernel(self, name, shape, growth):
        """Weights [outputs, …] of which each output's absolute values add up to `growth`."""
        drawn = self.random.standard_normal(shape, np.float32)
        sums = np.abs(drawn.astype(np.float64)).sum(tuple(range(1, len(shape))), keepdims=True)
        return self.constant(name, (drawn * (growth / sums)).astype(np.float32))

    def conv(self, x, inputs, outputs, size, stride, name, growth=GROWTH, normed=True):
        weight = self.kernel(name + ".weight", (outputs, inputs, size, size), growth)
        pads, bias = [size // 2] * 4, [] if normed else [self.normal(name + ".bias", (outputs,), 0.02)]
        x = self.node("Conv", [x, weight, *bias], name, kernel_shape=[size] * 2, strides=[stride] * 2, pads=pads)
        if not normed:
            return x
        tensors = [np.ones(outputs), self.random.standard_normal(outputs) * 0.02, np.zeros(outputs), np.ones(outputs)]
        parts = ("scale", "bias", "mean", "variance")
        named = [self.constant(f"{name}.{part}", value.astype(np.float32)) for part, value in zip(parts, tensors)]
        return self.node("BatchNormalization", [x, *named], name + ".norm", epsilon=1e-5)

    def classes(self, x, inputs, outputs, name):
        weight = self.kernel(name + ".weight", (outputs, inputs), GROWTH)
        return self.node("Gemm", [x, weight, self.normal(name + ".bias", (outputs,), 0.02)], name, transB=1)

    def model(self, name, inputs, output, shape):
        """Closes the graph; its last node gives the output."""
        self.nodes[-1].output[0] = output
        value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        values = [value(input_, shape_) for input_, shape_ in inputs]
        graph = helper.make_graph(self.nodes, name, values, [value(output, shape)], self.initializers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def attention(graph, x, name, width, heads, tokens, mask, deviation):
    split = graph.constant(name + "split", np.array([0, 0, heads, width // heads], np.int64))
    merged = graph.constant(name + "merged", np.array([0, 0, width], np.int64))
    scale = graph.constant(name + "scale", np.float32((width // heads) ** -0.5))
    parts = []
    for part, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
        projected = graph.dense(x, width, width, name + part)
        rows = graph.node("Reshape", [projected, split], f"{name}{part}.heads")
        parts.append(graph.node("Transpose", [rows], f"{name}{part}.rows", perm=order))
    scores = graph.node("MatMul", parts[:2], name + "products")
    scores = graph.node("Mul", [scores, scale], name + "scores")
    scores = graph.node("Add", [scores, mask], name + "masked")
    weights = graph.node("Softmax", [scores], name + "attention", axis=-1)
    context = graph.node("MatMul", [weights, parts[2]], name + "context")
    rows = graph.node("Transpose", [context], name + "context.rows", perm=[0, 2, 1, 3])
    return graph.dense(graph.node("Reshape", [rows, merged], name + "context.merged"), width, width, name + "output",
                       deviation)


def mlp(graph, x, name, width, approximate, deviation):
    wide = graph.dense(x, width, 4 * width, name + "up")
    wide = graph.node("Gelu", [wide], name + "gelu", approximate=approximate)
    return graph.dense(wide, 4 * width, width, name + "down", deviation)


def transformer(options, layers, width, heads, decoder):
    graph, tokens = Graph(), options.tokens
    layers = options.layers or layers
    if decoder:
        mask = np.where(np.tri(tokens, dtype=bool), 0, -np.inf).astype(np.float32)[None, None]
    else:
        mask = np.where(np.arange(tokens) < tokens - options.padding, 0, -1e4).astype(np.float32)[None, None, None]
    mask, x = graph.constant("mask", mask), "embeddings"
    # GPT-2 draws what is added to the residual stream the smaller, the more layers add to it.
    residual = 0.02 / np.sqrt(2 * layers) if decoder else 0.02
    for layer in range(layers):
        name = f"layer{layer}."
        if decoder:
            normed = graph.norm(x, width, name + "norm1")
            attended = attention(graph, normed, name, width, heads, tokens, mask, residual)
            x = graph.node("Add", [x, attended], name + "sum1")
            wide = mlp(graph, graph.norm(x, width, name + "norm2"), name, width, "tanh", residual)
            x = graph.node("Add", [x, wide], name + "sum2")
        else:
            x = graph.node("Add", [x, attention(graph, x, name, width, heads, tokens, mask, residual)], name + "sum1")
            x = graph.norm(x, width, name + "norm1")
            x = graph.node("Add", [x, mlp(graph, x, name, width, "none", residual)], name + "sum2")
            x = graph.norm(x, width, name + "norm2")
    if decoder:
        graph.norm(x, width, "last")
    rows = np.random.Generator(np.random.Philox(1)).standard_normal((options.inputs, tokens, width)).astype(np.float32)
    shape = ["batch", tokens, width]
    return graph.model(options.shape, [("embeddings", shape)], "hidden", shape), {"embeddings": rows}


def pictures(options):
    drawn = np.random.Generator(np.random.Philox(1)).random((options.inputs, 3, options.side, options.side))
    return {"image": drawn.astype(np.float32)}


def vgg16(options, dense):
    graph, x, channels = Graph(), "image", 3
    index, side = 0, options.side
    for outputs, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            x = graph.conv(x, channels, outputs, 3, 1, f"conv{index}", normed=False)
            x, channels, index = graph.node("Relu", [x], f"relu{index}"), outputs, index + 1
        x, side = graph.node("MaxPool", [x], f"pool{index}", kernel_shape=[2, 2], strides=[2, 2]), side // 2
    x, inputs = graph.node("Flatten", [x], "flat"), channels * side * side
    for number, outputs in enumerate(dense):
        x = graph.classes(x, inputs, outputs, f"dense{number}")
        inputs = outputs
        if number + 1 < len(dense):
            x = graph.node("Relu", [x], f"dense{number}.relu")
    return graph.model(options.shape, [("image", ["batch", 3, options.side, options.side])], "scores",
                       ["batch", dense[-1]]), pictures(options)


def residual(graph, x, inputs, outputs, stride, bottleneck, name):
    inner = outputs // 4 if bottleneck else outputs
    sizes = [(inputs, inner, 1, 1), (inner, inner, 3, stride), (inner, outputs, 1, 1)] if bottleneck else [
        (inputs, outputs, 3, stride), (outputs, outputs, 3, 1)]
    y = x
    for index, (before, after, size, step) in enumerate(sizes):
        last = index + 1 == len(sizes)
        growth = RESIDUAL_GROWTH / GROWTH ** index if last else GROWTH
        y = graph.conv(y, before, after, size, step, f"{name}conv{index}", growth)
        y = y if last else graph.node("Relu", [y], f"{name}relu{index}")
    if inputs != outputs or stride != 1:
        x = graph.conv(x, inputs, outputs, 1, stride, name + "shortcut", 1.0)
    return graph.node("Relu", [graph.node("Add", [x, y], name + "sum")], name + "relu")


def resnet(options, blocks, bottleneck):
    graph = Graph()
    x = graph.node("Relu", [graph.conv("image", 3, 64, 7, 2, "stem")], "stem.relu")
    x = graph.node("MaxPool", [x], "pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = 64
    for stage, count in enumerate(blocks):
        outputs = 64 * 2 ** stage * (4 if bottleneck else 1)
        for block in range(count):
            stride = 2 if stage > 0 and block == 0 else 1
            x = residual(graph, x, channels, outputs, stride, bottleneck, f"stage{stage}.{block}.")
            channels = outputs
    x = graph.node("Flatten", [graph.node("GlobalAveragePool", [x], "mean")], "flat")
    graph.classes(x, channels, CLASSES, "classes")
    return graph.model(options.shape, [("image", ["batch", 3, options.side, options.side])], "scores",
                       ["batch", CLASSES]), pictures(options)


def gelu(options):
    graph, count = Graph(), options.elements
    graph.node("Gelu", ["numbers"], "gelu", approximate="none")
    numbers = np.random.Generator(np.random.Philox(1)).standard_normal((options.inputs, count)).astype(np.float32) * 3
    return graph.model("gelu", [("numbers", ["batch", count])], "values", ["batch", count]), {"numbers": numbers}


SHAPES = {
    "bert-tiny": lambda options: transformer(options, 2, 128, 2, False),
    "bert-base": lambda options: transformer(options, 12, 768, 12, False),
    "gpt2-tiny": lambda options: transformer(options, 2, 128, 2, True),
    "gpt2-small": lambda options: transformer(options, 12, 768, 12, True),
    "resnet18": lambda options: resnet(options, (2, 2, 2, 2), False),
    "resnet50": lambda options: resnet(options, (3, 4, 6, 3), True),
    "vgg16-cifar": lambda options: vgg16(options, (512, 10)),
    "vgg16": lambda options: vgg16(options, (4096, 4096, CLASSES)),
    "gelu": gelu,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--layers", type=int, help="blocks of a transformer; by default those of the architecture")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--padding", type=int, help="tokens that BERT's mask leaves out; by default an eighth of them")
    parser.add_argument("--side", type=int)
    parser.add_argument("--elements", type=int, default=1 << 16)
    parser.add_argument("--inputs", type=int, default=2, help="inputs that are drawn")
    options = parser.parse_args()
    options.padding = options.tokens // 8 if options.padding is None else options.padding
    options.side = options.side or (32 if options.shape == "vgg16-cifar" else 224)
    options.out.mkdir(parents=True, exist_ok=True)
    made, inputs = SHAPES[options.shape](options)
    onnx.save(made, options.out / f"{options.shape}.onnx")
    np.savez_compressed(options.out / f"{options.shape}.npz", **inputs)


if __name__ == "__main__":
    main()
