"""How does a data set become tensors on a device, split in three?

Axes: N images, C channels, H height, W width. Whole sets lie on the device as bytes: the 55,000 training images of
MNIST take 43 MB. Who belongs to which split is decided by hashes (see splits.py); a study's seed has no part in it.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# pyright: reportMissingTypeStubs=false
# (scikit-learn has no stubs, and torch's own annotations have holes)

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from cnnsearch.datasets import FACTS, MNIST_FILES, mnist_folder
from cnnsearch.download import prepare
from cnnsearch.errors import DataError
from cnnsearch.own.keep import Kept, digest_of, gone, kept
from cnnsearch.splits import stratified


class Split(NamedTuple):
    """Some images (uint8) and the numbers of their classes (int64)."""

    images_NCHW: Tensor
    labels_N: Tensor

    def take(self, chosen: Sequence[int]) -> "Split":
        """Return the chosen images, in the order given."""
        chosen_N = torch.tensor(chosen, dtype=torch.int64)
        return Split(self.images_NCHW[chosen_N], self.labels_N[chosen_N])

    def to(self, device: torch.device) -> "Split":
        """Return the same split on a device."""
        return Split(self.images_NCHW.to(device), self.labels_N.to(device))


class DataSet(NamedTuple):
    """What a search may see; mean and standard deviation are each channel's over the training pixels, from 0 to 1."""

    name: str
    train: Split
    validation: Split
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    sha256: str
    key: str
    """Under which its test images are found."""
    test_images: int


def load(name: str, root: Path, device: torch.device) -> DataSet:
    """Return training and validation images on a device, and no test image.

    `name` is a data set's key (`Facts.key`).
    """
    prepare(name, root)
    if name not in FACTS:
        return _own(kept(name, root), device)
    rest = _mnist(root, train=True) if name == "mnist" else _digits()[0]
    facts = FACTS[name]
    chosen = stratified(rest.labels_N.tolist(), facts.validation_images, f"{name} validation")
    train, validation = rest.take(_others(len(rest.labels_N), chosen)), rest.take(chosen)
    found = fingerprint((train, validation))
    if found != facts.sha256:
        raise DataError(
            f"data set {name!r} has changed: its sha256 is {found}, not {facts.sha256}; is a library newer?"
        )
    mean, std = _moments(train.images_NCHW)
    on_device = train.to(device), validation.to(device)
    return DataSet(name, *on_device, facts.classes, mean, std, found, name, facts.test_images)


def load_test(name: str, root: Path, device: torch.device) -> Split:
    """Return the test images on a device; the search never calls this, only what judges its winners."""
    prepare(name, root)
    if name not in FACTS:
        return _own_split(kept(name, root), "test").to(device)
    test = _mnist(root, train=False) if name == "mnist" else _digits()[1]
    return test.to(device)


def _others(count: int, chosen: Sequence[int]) -> list[int]:
    taken = set(chosen)
    return [place for place in range(count) if place not in taken]


def fingerprint(splits: Sequence[Split]) -> str:
    """Return the sha256 of the bytes of each split's images and labels, in order."""
    digest = sha256()
    for split in splits:
        digest.update(split.images_NCHW.numpy().tobytes())
        digest.update(split.labels_N.to(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _moments(images_NCHW: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel, exact: from how often each byte occurs.

    Of a channel that is the same everywhere the deviation counts as 1: there is nothing to scale.
    """
    pixels_B = torch.arange(256, dtype=torch.float64) / 255
    means: list[float] = []
    stds: list[float] = []
    for images_NHW in images_NCHW.unbind(dim=1):
        share_B = torch.bincount(images_NHW.flatten(), minlength=256).double() / images_NHW.numel()
        mean = (share_B * pixels_B).sum()
        means.append(mean.item())
        std = (share_B * (pixels_B - mean) ** 2).sum().sqrt().item()
        stds.append(std if len(share_B.nonzero()) > 1 else 1.0)
    return tuple(means), tuple(stds)


def _mnist(root: Path, *, train: bool) -> Split:
    """Read the files by hand, which `prepare` has checked: to import torchvision takes as long as torch itself."""
    images, labels = (mnist_folder(root) / file.name for file in (MNIST_FILES[:2] if train else MNIST_FILES[2:]))
    height, width = FACTS["mnist"].height, FACTS["mnist"].width
    images_NCHW = _bytes_of(images, header=16).view(-1, 1, height, width)
    return Split(images_NCHW, _bytes_of(labels, header=8).long())


def _bytes_of(path: Path, header: int) -> Tensor:
    return torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8, offset=header)


def _digits() -> tuple[Split, Split]:
    """Return scikit-learn's digits (0 to 16, made 0 to 255) without the test images, and the test images."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images_NP = (torch.tensor(pixels) * (255 / 16)).round().to(torch.uint8)
    whole = Split(images_NP.view(-1, 1, 8, 8), torch.tensor(labels))
    chosen = stratified(whole.labels_N.tolist(), FACTS["digits"].test_images, "digits test")
    return whole.take(_others(len(whole.labels_N), chosen)), whole.take(chosen)


def _own(found: Kept, device: torch.device) -> DataSet:
    train, validation = (_own_split(found, split) for split in ("train", "validation"))
    mean, std = _moments(train.images_NCHW)
    facts = found.facts
    on_device = train.to(device), validation.to(device)
    return DataSet(facts.name, *on_device, facts.classes, mean, std, facts.sha256, facts.key, facts.test_images)


def _own_split(found: Kept, split: str) -> Split:
    """Map a split into memory, which all workers on a CPU share, and check that it is what was kept."""
    import numpy as np

    paths = [found.folder / f"{split}_{kind}.npy" for kind in ("images", "labels")]
    try:
        # Copied where something is written, which nobody does: torch warns of what cannot be written to.
        images_NCHW, labels_N = (np.load(path, mmap_mode="c", allow_pickle=False) for path in paths)
    except (OSError, ValueError):
        raise gone(found.facts.key, found.folder.parent.parent) from None
    if digest_of(images_NCHW, labels_N) != found.digests[split]:
        raise gone(found.facts.key, found.folder.parent.parent)
    return Split(torch.from_numpy(images_NCHW), torch.from_numpy(labels_N))
