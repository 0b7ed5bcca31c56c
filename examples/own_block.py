"""Shows a kind of block of one's own, squeeze and excitation, which is searchable, priced and checked like the others.

Run it as `python examples/own_block.py [FOLDER]`, or from this folder as `python -m cnnsearch.study own_block.yaml`;
both search by the plan beside it, whose `imports` name this module. (Hu, Shen and Sun 2018, arXiv 1709.01507.)
"""

import sys
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

import cnnsearch


class SqueezeExcite(cnnsearch.Layer):
    """Weighs each map by what all maps hold on average."""

    torch_class: ClassVar[str] = "own_block_torch:SqueezeExcite"  # as text: describing a network needs no torch
    sees_all: ClassVar[bool] = True

    reduction: Annotated[int, Field(ge=1, le=64)] = 4

    def arguments(self, shape: cnnsearch.Shape) -> dict[str, Any]:
        """Say what the module is constructed with, for an input of this shape."""
        return {"channels": shape.channels, "hidden": self._hidden(shape)}

    def tensors(self, shape: cnnsearch.Shape) -> dict[str, tuple[int, ...]]:
        """Give the learned tensors by their names in the module: from these parameters and bytes are counted."""
        channels, hidden = shape.channels, self._hidden(shape)
        return {
            "squeeze.weight": (hidden, channels),
            "squeeze.bias": (hidden,),
            "excite.weight": (channels, hidden),
            "excite.bias": (channels,),
        }

    def macs(self, shape: cnnsearch.Shape) -> int:
        """Count the multiply-adds of both matrices."""
        return 2 * shape.channels * self._hidden(shape)

    def _hidden(self, shape: cnnsearch.Shape) -> int:
        return max(1, shape.channels // self.reduction)


@cnnsearch.register
class Excited(cnnsearch.Block):
    """Conv, batch norm, ReLU, squeeze and excitation, max pool."""

    kind: Literal["excited"] = "excited"
    conv: cnnsearch.Conv
    squeeze: SqueezeExcite = SqueezeExcite()
    maxpool: cnnsearch.MaxPool | None = None

    def flow(self, shape: cnnsearch.Shape) -> tuple[cnnsearch.Step, ...]:
        """Give the layers in the order of the data's way, under their names in the module."""
        _ = shape
        steps = (
            cnnsearch.Step("conv", self.conv, "conv"),
            cnnsearch.Step("batchnorm", cnnsearch.BatchNorm()),
            cnnsearch.Step("relu", cnnsearch.ReLU()),
            cnnsearch.Step("squeeze", self.squeeze, "squeeze"),
        )
        return (*steps, cnnsearch.Step("maxpool", self.maxpool, "maxpool")) if self.maxpool else steps


if __name__ == "__main__":
    plan = cnnsearch.read_plan(Path(__file__).with_name("own_block.yaml"))
    runs = sys.argv[1] if len(sys.argv) > 1 else "runs"
    run = cnnsearch.search(plan.model_copy(update={"runs": runs}))
    for trial in run.ranked:
        print(f"{trial.score:.1%} right on validation, {trial.parameters:,} parameters: {trial.network}")
