"""How does the ONNX model become one of whole numbers? Static quantization by ONNX Runtime.

Weights and maps become 8-bit numbers with a scale; the scales of the maps come from training images. Chosen:

- a scale for each channel's weights: the channels of a depthwise layer differ most;
- 7 bits for weights (`reduce_range`): processors without VNNI add products in 16 bits, which 8-bit weights overflow,
  so that the file would read other classes there than elsewhere;
- least and greatest values as the range of a map: percentiles and entropy change as much and take longer.

What each choice is worth: examples/benchmarks/README.md. Small networks gain no time from int8, and a tiny one not
even bytes: scales and names outweigh its weights.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
# (onnxruntime has no types)

from typing import Any

from cnnsearch.data import Split
from cnnsearch.export.bench import Bench, need_extra, told
from cnnsearch.export.graphs import ONNX, PIXELS
from cnnsearch.splits import stratified

INT8 = "model.int8.onnx"
IMAGES = 512
BATCH = 64


def write_int8(bench: Bench) -> None:
    """Write `model.int8.onnx`, calibrated on training images; which ones is always the same."""
    need_extra()
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    reader: Any = Reader(chosen(bench.data.train))
    source, prepared = bench.take(ONNX), bench.folder / "prepared.onnx"
    try:
        with told("ONNX Runtime"):
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            quantization.quantize_static(
                str(prepared),
                str(bench.folder / INT8),
                reader,
                quant_format=quantization.QuantFormat.QDQ,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
            )
    finally:
        prepared.unlink(missing_ok=True)


def chosen(train: Split) -> Split:
    """Choose the images to calibrate on, each class in its share."""
    labels = train.labels_N.tolist()
    return train.take(stratified(labels, min(IMAGES, len(labels)), "int8 calibration"))


class Reader:
    """Hands batches of pixels to ONNX Runtime, which takes anything that has `get_next` (its CalibrationDataReader)."""

    def __init__(self, split: Split) -> None:
        batches = split.images_NCHW.split(BATCH)
        self._pixels = (images_NCHW.float().div(255).numpy() for images_NCHW in batches)

    def get_next(self) -> dict[str, Any] | None:
        """Give one batch by the input's name, and None after the last."""
        pixels_NCHW = next(self._pixels, None)
        return None if pixels_NCHW is None else {PIXELS: pixels_NCHW}
