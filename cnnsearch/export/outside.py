"""Does an exported file do without this library what the network does in it? Prints the answer as a line of JSON.

    python -I outside.py FILE MATERIAL.npz

The material is `images` and `labels`, the network's `logits` for them, and the `ends` of the batches in which both
are computed. This file is only ever run, by its path, and imports nothing of cnnsearch, which it forbids itself.

Axes: N images, C channels, H height, W width, K classes.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
# (onnxruntime has no types, and those of torch have holes)

import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

OURS = "cnnsearch"
WARM_UP, MOST_CALLS, LEAST_CALLS, MOST_SECONDS = 50, 1000, 20, 2.0

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class Model(NamedTuple):
    """What every format comes down to."""

    run: Run
    classes: list[str]


def main(file: Path, material: Path) -> None:
    """Open the file, run the images, compare, measure."""
    sys.modules[OURS] = None  # type: ignore[assignment]  # Python's own way to say: there is no such package
    model = OPENERS[file.suffix](file)
    given = np.load(material, allow_pickle=False)
    found = compare(model, given)
    found["latency_seconds"] = latency(model.run, pixels(given["images"][:1]))
    if OURS in {name.partition(".")[0] for name, module in sys.modules.items() if module}:
        raise SystemExit(f"{file.name} has imported {OURS}")
    sys.stdout.write(f"{json.dumps(found)}\n")


def pixels(images_NCHW: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn bytes into what a model takes."""
    return images_NCHW.astype(np.float32) / np.float32(255)


def compare(model: Model, given: Any) -> dict[str, Any]:  # noqa: ANN401 (numpy's own file)
    """Run all images and hold the logits beside those of the network."""
    batches = np.split(given["images"], given["ends"])
    logits_NK = np.concatenate([model.run(pixels(images_NCHW)) for images_NCHW in batches])
    right_N = logits_NK.argmax(axis=1) == given["labels"]
    expected_NK = given["logits"]
    was_right_N = expected_NK.argmax(axis=1) == given["labels"]
    return {
        "classes": model.classes,
        "validation_accuracy": float(right_N.mean()),
        "largest_difference": float(np.abs(logits_NK - expected_NK).max()),
        "changed": int((logits_NK.argmax(axis=1) != expected_NK.argmax(axis=1)).sum()),
        "lost": int((was_right_N & ~right_N).sum()),
        "gained": int((right_N & ~was_right_N).sum()),
    }


def latency(run: Run, image_1CHW: NDArray[np.float32]) -> list[float]:
    """Time calls with one image; give the median and the ends of its 95 % interval, in seconds."""
    for _ in range(WARM_UP):
        run(image_1CHW)
    seconds: list[float] = []
    until = time.perf_counter() + MOST_SECONDS
    while len(seconds) < LEAST_CALLS or (len(seconds) < MOST_CALLS and time.perf_counter() < until):
        begin = time.perf_counter()
        run(image_1CHW)
        seconds.append(time.perf_counter() - begin)
    return median(seconds)


def median(values: Sequence[float]) -> list[float]:
    """Give the median and, by the ranks of a binomial with p = 1/2, its 95 % interval; 20 values at least."""
    ordered, count = sorted(values), len(values)
    reach = 0.98 * math.sqrt(count)  # 1.96 standard deviations of the rank
    low, high = math.floor(count / 2 - reach), math.ceil(count / 2 + reach) + 1
    middle = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    return [middle, ordered[max(low, 1) - 1], ordered[min(high, count) - 1]]


def open_program(file: Path) -> Model:
    """Import a `model.py`, with what lies beside it."""
    sys.path.insert(0, str(file.parent))
    spec = spec_from_file_location("model", file)
    module: Any = module_from_spec(spec) if spec else None
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return Model(torch_run(module.load()), list(module.CLASSES))


def open_graph(file: Path) -> Model:
    """Load a graph of torch.export."""
    import torch

    extra = {"classes.json": ""}
    program = torch.export.load(file, extra_files=extra)
    return Model(torch_run(program.module()), json.loads(extra["classes.json"]))


def torch_run(module: Any) -> Run:  # noqa: ANN401 (an nn.Module, and torch is imported only where it is needed)
    """Run a module on one thread, without gradients."""
    import torch

    torch.set_num_threads(1)

    def run(pixels_NCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return module(torch.from_numpy(pixels_NCHW)).numpy()

    return run


def open_onnx(file: Path) -> Model:
    """Open a session of ONNX Runtime on one thread of the CPU; torch is not imported."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])

    def run(pixels_NCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(session.run(None, {"pixels": pixels_NCHW})[0])

    return Model(run, classes)


OPENERS: dict[str, Callable[[Path], Model]] = {".py": open_program, ".pt2": open_graph, ".onnx": open_onnx}

if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
