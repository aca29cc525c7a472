"""The ONNX project's own backend node tests as folders: NAME/{model.onnx, input_0.pb, .., output_0.pb}.

    pip install onnx
    python runtime/tests/operators/export.py OUT [NAME ...]     # all cases, or the named ones

Left out: expanded function bodies, cases of training and of other domains, and what is no tensor (sequences, maps).
Of a layer norm only the first output is kept: the others (mean, inverse deviation) are for training.
"""

import pathlib
import sys
import warnings

import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

FIRST_OUTPUT_ONLY = {"LayerNormalization"}


def tensors(values, infos):
    for info, value in zip(infos, values):
        if not info.type.HasField("tensor_type") or not hasattr(value, "dtype"):
            return None
    made = []
    for info, value in zip(infos, values):
        tensor = numpy_helper.from_array(value, info.name)
        if tensor.data_type != info.type.tensor_type.elem_type:
            return None
        made.append(tensor)
    return made


def main():
    out, names = pathlib.Path(sys.argv[1]), set(sys.argv[2:])
    written = 0
    for case in load_model_tests(kind="node"):
        graph = case.model.graph
        standard = len(graph.node) == 1 and graph.node[0].domain in ("", "ai.onnx")
        if not standard or not case.data_sets or (names and case.name not in names):
            continue
        inputs, outputs = case.data_sets[0]
        if graph.node[0].op_type in FIRST_OUTPUT_ONLY:
            del graph.output[1:], graph.node[0].output[1:]
            outputs = outputs[:1]
        inputs, outputs = tensors(inputs, graph.input), tensors(outputs, graph.output)
        if inputs is None or outputs is None:
            continue
        folder = out / case.name.removeprefix("test_")
        folder.mkdir(parents=True, exist_ok=True)
        onnx.save(case.model, folder / "model.onnx")
        for kind, values in (("input", inputs), ("output", outputs)):
            for index, tensor in enumerate(values):
                (folder / f"{kind}_{index}.pb").write_bytes(tensor.SerializeToString())
        written += 1
    print(f"{written} cases in {out}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
