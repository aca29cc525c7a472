"""How alike two sentences are, without showing them to the model's owner or the weights to anybody.

    python similarity.py FOLDER "How do I bake bread?" "Bread for beginners"       # asks for them where none are given

FOLDER holds a form's model and plan (README.md has the commands). The sentences become tokens and, with --form padded,
embeddings on this machine, in the clear; then three processes compute on shares, and the client alone learns the two
sentence vectors, whose cosine it prints.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

import numpy as np

import export


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("texts", nargs="*")
    parser.add_argument("--form", choices=["padded", "lookup"], default="padded")
    parser.add_argument("--tokens", type=int, default=32, help="what the plan was tuned for")
    parser.add_argument("--program", default="target/release/chebyshare")
    parser.add_argument("--network", help="lan, wan or a TOML file, to imitate")
    options = parser.parse_intermixed_args()
    texts = options.texts or [input("first sentence:  "), input("second sentence: ")]
    if len(texts) != 2:
        raise SystemExit(f"two sentences are compared, {len(texts)} are given")
    arrays = export.inputs(export.weights(), options.form, options.tokens, texts)
    model = options.folder / f"{options.form}.onnx"
    with tempfile.TemporaryDirectory() as name:
        given, answer = pathlib.Path(name) / "given.npz", pathlib.Path(name) / "answer.npz"
        np.savez(given, **arrays)
        command = [options.program, "--json", "run", model, "--plan", model.with_suffix(".plan.toml")]
        command += ["--input", given, "--output", answer, "--local"]
        command += ["--network", options.network] if options.network else []
        ended = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
        if ended.returncode:
            raise SystemExit(f"chebyshare ended with {ended.returncode}")
        first, second = np.load(answer)["sentence"]
    report = json.loads(ended.stdout)
    print(f"similarity {first @ second / np.sqrt((first @ first) * (second @ second)):.4f}")
    print(f"{report['run_seconds']:.2f} s, {report['rounds']} rounds and {report['bytes_total'] / 1e6:.1f} MB of all "
          f"parties in {report['runs']} runs; weights once {report['preprocessing']['weight_bytes'] / 1e6:.1f} MB; "
          f"least cosine to the plain model {report['cosine']:.8f}")


if __name__ == "__main__":
    main()
