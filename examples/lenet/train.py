"""LeNet-5 on scikit-learn's handwritten digits, drawn at 28×28: trains it and writes its ONNX file and data.

    pip install torch scikit-learn onnx numpy
    python train.py OUT            # OUT/lenet.onnx, calibration.npz, test.npz; one minute on two cores

The layers and widths of LeCun et al. (1998): 5×5×6 (28×28 padded to 32×32), pool, 5×5×16, pool, 120, 84, 10, with the ReLU and
2×2 max pooling that papers on private inference use in place of tanh and trainable sub-sampling, and with every map of
the second layer seeing all six of the first. Activations come before the pooling, as frameworks write it.

The images are 8×8 scans (1,797, of which 30 % are held out, with the same split as ../models), enlarged to 20×20 and set
into a frame of 28×28 as MNIST does. They are not MNIST; the shapes, and with them every cost, are those of MNIST.
"""

import argparse
import pathlib

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

INSIDE, SIDE, CALIBRATION, SMALL = 20, 28, 128, 1e-2


def images():
    """Training and held-out images, [n, 1, 28, 28] in [0, 1], in steps of 1/255, and their labels."""
    pixels, labels = load_digits(return_X_y=True)
    small = torch.tensor(pixels.reshape(-1, 1, 8, 8) / 16.0, dtype=torch.float32)
    large = nn.functional.interpolate(small, size=(INSIDE, INSIDE), mode="bilinear", align_corners=False)
    frame = (SIDE - INSIDE) // 2
    framed = nn.functional.pad(large, (frame, frame, frame, frame))
    bytes_ = np.round(framed.numpy() * 255).astype(np.uint8)
    parts = train_test_split(bytes_, labels, test_size=0.3, random_state=0, stratify=labels)
    return [part.astype(np.float32) / np.float32(255) if part.ndim == 4 else part for part in parts]


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )


def shifted(batch, generator):
    """Every image moved by up to two pixels each way: what training sees."""
    padded = nn.functional.pad(batch, (2, 2, 2, 2))
    moves = torch.randint(0, 5, (len(batch), 2), generator=generator).tolist()
    moved = [image[:, down:down + SIDE, right:right + SIDE] for image, (down, right) in zip(padded, moves)]
    return torch.stack(moved)


def train(model, inputs, labels, epochs=40):
    """A layer's row sums of absolute weights are kept small: what is proved of all inputs grows with their product."""
    kernels = [array for array in model.parameters() if array.dim() > 1]
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for chosen in torch.randperm(len(inputs), generator=generator).split(64):
            loss = nn.functional.cross_entropy(model(shifted(inputs[chosen], generator)), labels[chosen])
            loss = loss + SMALL * sum(array.abs().flatten(1).sum(1).square().mean().log() for array in kernels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()


def exported(model):
    """The model as ONNX, batch dynamic."""
    nodes, initializers, value = [], [], "image"

    def append(operator, inputs, index, **attributes):
        name = f"{operator.lower()}{index}"
        nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    for index, layer in enumerate(model):
        trained = {name: numpy_helper.from_array(array.detach().numpy(), f"{index}.{name}")
                   for name, array in layer.named_parameters()}
        initializers.extend(trained.values())
        inputs = [value, *(array.name for array in trained.values())]
        if isinstance(layer, nn.Conv2d):
            padding = [layer.padding[0]] * 4
            value = append("Conv", inputs, index, kernel_shape=[5, 5], pads=padding, strides=[1, 1])
        elif isinstance(layer, nn.MaxPool2d):
            value = append("MaxPool", inputs, index, kernel_shape=[2, 2], strides=[2, 2])
        elif isinstance(layer, nn.Linear):
            value = append("Gemm", inputs, index, transB=1)
        else:
            value = append({nn.ReLU: "Relu", nn.Flatten: "Flatten"}[type(layer)], inputs, index)
    nodes[-1].output[0] = "scores"
    describe = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "lenet",
        [describe("image", TensorProto.FLOAT, ["batch", 1, SIDE, SIDE])],
        [describe("scores", TensorProto.FLOAT, ["batch", 10])],
        initializers,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    train_images, test_images, train_labels, test_labels = images()
    model = lenet()
    train(model, torch.tensor(train_images), torch.tensor(train_labels))
    model.eval()
    with torch.no_grad():
        scores = model(torch.tensor(test_images)).numpy()
    print(f"held out: {(scores.argmax(1) == test_labels).mean():.4f} of {len(test_labels)} right, "
          f"{sum(array.numel() for array in model.parameters())} parameters")
    onnx.save(exported(model), out / "lenet.onnx")
    np.savez_compressed(out / "test.npz", image=test_images, label=test_labels.astype(np.int64))
    np.savez_compressed(out / "calibration.npz", image=train_images[:CALIBRATION],
                        label=train_labels[:CALIBRATION].astype(np.int64))


if __name__ == "__main__":
    main()
