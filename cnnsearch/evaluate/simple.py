"""What does one get without a network? Baselines that are fitted in seconds and leave no weights behind."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportMissingTypeStubs=false
# pyright: reportUnknownVariableType=false, reportAttributeAccessIssue=false
# (scikit-learn has no stubs)

import warnings
from collections.abc import Callable, Sequence
from hashlib import sha256
from math import ceil

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from cnnsearch.data import DataSet
from cnnsearch.parts import BASELINES

Classify = Callable[[Tensor], Tensor]
"""From images_NCHW (uint8) to the numbers of classes (int64)."""
Fit = Callable[[str], tuple[Classify, int]]
"""From the name of a baseline to it, fitted, and how many numbers it learned."""

ITERATIONS = 200
MOST_BYTES = 1 << 30  # of pixels as floats, six times those of MNIST
BATCH = 1_000  # images that are made floats at once


def fit(name: str, data: DataSet) -> tuple[Classify, int]:
    """Fit a baseline to the training images; give it, and how many numbers it learned."""
    return {BASELINES["majority"]: _majority, BASELINES["logistic"]: _logistic}[name](data)


def identity(name: str, data_sha256: str) -> str:
    """Name what a baseline will answer, by what it is and the data, before it is fitted: no weights are kept."""
    return sha256(f"{name} {ITERATIONS} {data_sha256}".encode()).hexdigest()


def _majority(data: DataSet) -> tuple[Classify, int]:
    most = int(torch.bincount(data.train.labels_N).argmax())
    return lambda images_NCHW: torch.full((len(images_NCHW),), most), 1


def _logistic(data: DataSet) -> tuple[Classify, int]:
    """Fit scikit-learn's logistic regression, its penalty as it comes, to pixels from 0 to 1.

    All images take part. Where their pixels are more than `MOST_BYTES`, squares of them are averaged, the smallest that
    are enough.
    """
    from sklearn.linear_model import LogisticRegression

    side = _side(data.train.images_NCHW.shape)
    model = LogisticRegression(max_iter=ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not quite converged matters to nobody here
        model.fit(_seen(data.train.images_NCHW, side).numpy(), data.train.labels_N.cpu().numpy())
    learned = int(model.coef_.size + model.intercept_.size)
    return lambda images_NCHW: torch.from_numpy(model.predict(_seen(images_NCHW, side).numpy())).long(), learned


def _side(shape: Sequence[int]) -> int:
    """Give the side of the smallest squares whose averages need no more than `MOST_BYTES`.

    >>> _side((55_000, 1, 28, 28)), _side((100_000, 3, 128, 128))  # the latter become 3x26x26
    (1, 5)
    """
    images, channels, height, width = shape
    sides = range(1, max(height, width) + 1)
    bytes_of = {side: 4 * images * channels * ceil(height / side) * ceil(width / side) for side in sides}
    return next((side for side in sides if bytes_of[side] <= MOST_BYTES), sides[-1])


def _seen(images_NCHW: Tensor, side: int) -> Tensor:
    """Average squares of each image, with never more than one copy of all as floats."""
    images, channels, height, width = images_NCHW.shape
    seen_NP = torch.empty(images, channels * ceil(height / side) * ceil(width / side))
    for part_NCHW, part_NP in zip(images_NCHW.split(BATCH), seen_NP.split(BATCH), strict=True):
        part_NP.copy_(avg_pool2d(part_NCHW.cpu().float() / 255, side, ceil_mode=True).flatten(1))
    return seen_NP
