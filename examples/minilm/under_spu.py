"""MiniLM under SPU's ABY3: three processes on loopback, 64-bit ring, every weight and the embeddings secret.

    PYTHON under_spu.py CASE.npz          # PYTHON has `pip install spu==0.9.5`; beside_spu.py writes the case and calls this

Prints one JSON object: bytes and send actions as SPU's own log counts them, CPU and wall seconds of `Runtime.run` alone
(compiling, sharing and opening are left out), and the embedding that came out. SPU's settings are its defaults; one
that is named with `--set`, such as `fxp_exp_iters=10`, is changed.
"""

import argparse
import json
import pathlib
import pickle
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time

import numpy as np

PARTIES, HEADS, EPSILON = 3, 12, 1e-12
SENT = re.compile(r"send bytes (\d+), recv bytes \d+, send actions (\d+)")


def encoder(weights, x):
    """The graph of export.py, as JAX. jax.nn.gelu goes through erfc, for which SPU sends twice as much as for erf."""
    import jax
    import jax.numpy as jnp

    def dense(x, name):
        return x @ weights[name + ".weight"] + weights[name + ".bias"]

    def norm(x, name):
        centred = x - jnp.mean(x, -1, keepdims=True)
        variance = jnp.mean(centred * centred, -1, keepdims=True)
        return centred * jax.lax.rsqrt(variance + EPSILON) * weights[name + ".gamma"] + weights[name + ".beta"]

    def heads(x):
        return x.reshape(*x.shape[:2], HEADS, -1).transpose(0, 2, 1, 3)

    layers = len({name.split(".")[0] for name in weights})
    for layer in (f"layer{index}." for index in range(layers)):
        query, key, value = (heads(dense(x, layer + part)) for part in ("query", "key", "value"))
        scores = query @ key.transpose(0, 1, 3, 2) * query.shape[-1] ** -0.5
        context = (jax.nn.softmax(scores, -1) @ value).transpose(0, 2, 1, 3).reshape(x.shape)
        x = norm(x + dense(context, layer + "output"), layer + "norm1")
        wide = dense(x, layer + "up")
        wide = 0.5 * wide * (1.0 + jax.lax.erf(wide * 0.5 ** 0.5))
        x = norm(x + dense(wide, layer + "down"), layer + "norm2")
    return x.mean(1)


def configuration(settings):
    from spu import libspu

    config = libspu.RuntimeConfig(protocol=libspu.ProtocolKind.ABY3, field=libspu.FieldType.FM64)
    config.enable_hal_profile = True
    for setting in settings:
        name, value = setting.split("=", 1)
        if not hasattr(config, name):
            raise SystemExit(f"SPU has no setting '{name}'")
        kind = type(getattr(config, name))
        setattr(config, name, value == "true" if kind is bool else kind(int(value)))
    return config


def ports():
    """Free ones; another program may take one before SPU does, and SPU then says so."""
    sockets = [socket.socket() for _ in range(PARTIES)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    found = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return found


def party(folder, rank):
    """One party: its shares in, its shares and its measurements out."""
    import spu
    from spu import libspu

    job = pickle.loads((folder / "job").read_bytes())
    executable = libspu.Executable()
    executable.ParseFromString(job["executable"])
    link = libspu.link.Desc()
    link.recv_timeout_ms = 600_000
    for index, port in enumerate(job["ports"]):
        link.add_party(f"party{index}", f"127.0.0.1:{port}")
    options = libspu.logging.LogOptions()
    options.enable_console_logger = True
    libspu.logging.setup_logging(options)
    context = libspu.link.create_brpc(link, rank)
    runtime = spu.Runtime(context, configuration(job["settings"]))
    for name, share in pickle.loads((folder / f"shares{rank}").read_bytes()).items():
        runtime.set_var(name, share)
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    runtime.run(executable)
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    outcome = {
        "seconds": seconds, "cpu": cpu, "peak_bytes": after.ru_maxrss * 1024,
        "shares": [runtime.get_var(name) for name in executable.output_names],
    }
    (folder / f"outcome{rank}").write_bytes(pickle.dumps(outcome))
    context.stop_link()


def compiled(weights, embeddings):
    import jax
    import spu.utils.frontend as frontend
    from spu import libspu

    leaves = jax.tree_util.tree_leaves((weights, embeddings))
    names = [f"in{index}" for index in range(len(leaves))]
    executable, _ = frontend.compile(
        frontend.Kind.JAX, encoder, [weights, embeddings], {}, names,
        [libspu.Visibility.VIS_SECRET] * len(leaves), lambda outputs: [f"out{index}" for index in range(len(outputs))],
    )
    return executable, dict(zip(names, leaves))


def run(case, settings):
    import spu
    from spu import libspu

    arrays = dict(np.load(case))
    embeddings = arrays.pop("embeddings")
    executable, inputs = compiled(arrays, embeddings)
    exchange = spu.Io(PARTIES, configuration(settings))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        job = {"executable": executable.SerializeToString(), "ports": ports(), "settings": settings}
        (folder / "job").write_bytes(pickle.dumps(job))
        shared = {key: exchange.make_shares(np.asarray(value), libspu.Visibility.VIS_SECRET)
                  for key, value in inputs.items()}
        for rank in range(PARTIES):
            own = {key: shares[rank] for key, shares in shared.items()}
            (folder / f"shares{rank}").write_bytes(pickle.dumps(own))
        command = [sys.executable, __file__, str(case), "--folder", name, "--rank"]
        logs = [open(folder / f"log{rank}", "w+") for rank in range(PARTIES)]
        started = [subprocess.Popen([*command, str(rank)], stdout=log, stderr=subprocess.STDOUT)
                   for rank, log in enumerate(logs)]
        codes = [process.wait() for process in started]
        texts = [(folder / f"log{rank}").read_text() for rank in range(PARTIES)]
        if any(codes):
            raise SystemExit(f"SPU's parties ended with {codes}:\n" + "\n".join(text[-2000:] for text in texts))
        counted = [SENT.findall(text) for text in texts]
        if not all(counted):
            raise SystemExit("SPU's log does not say what was sent:\n" + texts[0][-2000:])
        outcomes = [pickle.loads((folder / f"outcome{rank}").read_bytes()) for rank in range(PARTIES)]
        sentence = exchange.reconstruct([outcome["shares"][0] for outcome in outcomes])
    last = [tuple(map(int, lines[-1])) for lines in counted]
    return {
        "bytes_total": sum(sent for sent, _ in last),
        "send_actions": max(actions for _, actions in last),
        "cpu_seconds": sum(outcome["cpu"] for outcome in outcomes),
        "seconds": max(outcome["seconds"] for outcome in outcomes),
        "peak_memory_bytes": max(outcome["peak_bytes"] for outcome in outcomes),
        "settings": settings,
        "sentence": np.asarray(sentence, dtype=np.float64).tolist(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", type=pathlib.Path)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rank is not None:
        party(options.folder, options.rank)
    else:
        print(json.dumps(run(options.case, options.set)))


if __name__ == "__main__":
    main()
