"""What is each choice of the int8 export worth? Quantizes exported networks in every way and counts what changes.

    python examples/benchmarks/int8.py runs/NAME/export [MORE ...]    # seconds each; needs the extra [onnx]

What a file of 8-bit numbers computes depends on the processor: one with VNNI adds products in 32 bits, others in 16.
"""

import contextlib
import io
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import machine
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from cnnsearch import weights
from cnnsearch.data import DataSet, load
from cnnsearch.datasets import data_root
from cnnsearch.export.int8 import Reader, chosen
from cnnsearch.export.outside import open_onnx, pixels

METHODS = (CalibrationMethod.MinMax, CalibrationMethod.Percentile, CalibrationMethod.Entropy)


def quantized(source: Path, to: Path, data: DataSet, **choice: object) -> float:
    """Write an int8 model and give the seconds that took; the calibrator's chatter is left out."""
    began = time.perf_counter()
    types: dict[str, Any] = {
        "activation_type": QuantType.QUInt8,
        "weight_type": QuantType.QInt8,
        "quant_format": QuantFormat.QDQ,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        quantize_static(str(source), str(to), Reader(chosen(data.train)), **{**types, **choice})
    return time.perf_counter() - began


def logits(file: Path, data: DataSet) -> NDArray[np.float32]:
    """Run the validation images."""
    run = open_onnx(file).run
    return np.concatenate([run(pixels(images.numpy())) for images in data.validation.images_NCHW.split(256)])


def show(folder: Path, aside: Path) -> None:
    """Print one network's table."""
    classifier = weights.load(folder)
    data = load(classifier.dataset, data_root(), torch.device("cpu"))
    expected_NK, labels_N = logits(folder / "model.onnx", data), data.validation.labels_N.numpy()
    was_right_N = expected_NK.argmax(axis=1) == labels_N
    print(f"\n{classifier.network}: {was_right_N.mean():.2%} in fp32\n")
    print("| a scale for each channel | 7-bit weights | range | lost | gained | mean difference | seconds |")
    print("|---|---|---|---|---|---|---|")
    quant_pre_process(str(folder / "model.onnx"), str(aside / "prepared.onnx"), skip_symbolic_shape=True)
    for per_channel, reduce_range, method in product((False, True), (False, True), METHODS):
        choice = {"per_channel": per_channel, "reduce_range": reduce_range, "calibrate_method": method}
        seconds = quantized(aside / "prepared.onnx", aside / "int8.onnx", data, **choice)
        logits_NK = logits(aside / "int8.onnx", data)
        right_N = logits_NK.argmax(axis=1) == labels_N
        lost, gained = (was_right_N & ~right_N).sum(), (right_N & ~was_right_N).sum()
        difference = np.abs(logits_NK - expected_NK).mean()
        words = ("yes" if per_channel else "no", "yes" if reduce_range else "no", method.name)
        print(f"| {' | '.join(words)} | {lost} | {gained} | {difference:.4f} | {seconds:.1f} |")


if __name__ == "__main__":
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        for exported in sys.argv[1:]:
            show(Path(exported), Path(folder))
