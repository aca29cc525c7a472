"""One sentence through MiniLM, by Chebyshare and by SPU's ABY3, in one run: the same weights, the same 32 tokens.

    python -m venv SPU && SPU/bin/pip install spu==0.9.5          # Python 3.10 or 3.11
    python beside_spu.py FOLDER --spu SPU/bin/python

FOLDER holds minilm.onnx and sentences.npz (export.py makes them) and minilm.plan.toml (README.md has the command); the
first sentence is taken. Both systems have three parties as processes on loopback and keep weights and embeddings
secret. Chebyshare's connections are mutual TLS, SPU's are plain. Sharing the weights, compiling and starting are left
out of every figure.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import numpy_helper


def ours(options, one, folder):
    output = folder / "private.npz"
    command = [options.program, "--json", "run", options.folder / "minilm.onnx", "--plan", options.plan]
    command += ["--input", one, "--output", output, "--local"]
    if options.network:
        command += ["--network", options.network]
    ended = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    if ended.returncode:
        raise SystemExit(f"chebyshare ended with {ended.returncode}")
    report = json.loads(ended.stdout)
    return {
        "name": "Chebyshare rss3",
        "bytes": report["bytes_total"], "steps": f"{report['rounds']} rounds",
        "cpu": report["run_cpu_seconds_total"], "seconds": report["run_seconds"],
        "memory": report["peak_memory_bytes"], "sentence": np.load(output)["sentence"],
    }


def spu(options, case, settings):
    under = pathlib.Path(__file__).with_name("under_spu.py")
    command = [options.spu, under, case, *(word for setting in settings for word in ("--set", setting))]
    ended = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    if ended.returncode:
        raise SystemExit(f"SPU's side ended with {ended.returncode}")
    report = json.loads(ended.stdout.splitlines()[-1])
    return {
        "name": " ".join(["SPU 0.9.5 ABY3", *settings]),
        "bytes": report["bytes_total"], "steps": f"{report['send_actions']} sends",
        "cpu": report["cpu_seconds"], "seconds": report["seconds"],
        "memory": report["peak_memory_bytes"], "sentence": np.array(report["sentence"]),
    }


def cosine(a, b):
    a, b = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--spu", type=pathlib.Path, metavar="PYTHON", help="the Python of an environment with spu")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="one more run of SPU, with these of its settings")
    parser.add_argument("--plan", type=pathlib.Path, help="by default FOLDER/minilm.plan.toml")
    parser.add_argument("--program", default="target/release/chebyshare")
    parser.add_argument("--network", help="lan, wan or a TOML file, imposed on Chebyshare's run only")
    options = parser.parse_args()
    options.plan = options.plan or options.folder / "minilm.plan.toml"
    arrays = np.load(options.folder / "sentences.npz")
    first = {name: arrays[name][:1] for name in ("embeddings", "mask")}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        np.savez(folder / "one.npz", **first)
        rows = [ours(options, folder / "one.npz", folder)]
        if options.spu:
            tensors = onnx.load(options.folder / "minilm.onnx").graph.initializer
            weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in tensors}
            weights = {name: value for name, value in weights.items() if name.startswith("layer")}
            np.savez(folder / "case.npz", embeddings=first["embeddings"], **weights)
            rows.append(spu(options, folder / "case.npz", []))
            if options.set:
                rows.append(spu(options, folder / "case.npz", options.set))
    print(f"{'':32} {'MB, all':>9} {'steps':>12} {'CPU s, all':>11} {'wall s':>7} {'MB a party':>11}  cosine")
    for row in rows:
        print(f"{row['name']:32} {row['bytes'] / 1e6:9.1f} {row['steps']:>12} {row['cpu']:11.2f} {row['seconds']:7.2f} "
              f"{row['memory'] / 1e6:11.0f}  {cosine(row['sentence'], arrays['sentence'][:1]):.8f}")
    if not options.spu:
        print("SPU WAS NOT RUN: name an environment that has it, --spu SPU/bin/python (pip install spu==0.9.5)",
              file=sys.stderr)


if __name__ == "__main__":
    main()
