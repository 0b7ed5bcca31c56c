"""Bringing files in a process of its own that needs no torch."""

from collections.abc import Sequence
from pathlib import Path

from cnnsearch import datasets, download
from cnnsearch.datasets import File


def bring(table: tuple[File, ...], root: Path, mirrors: Sequence[str]) -> None:
    """Bring other files than MNIST's."""
    datasets.MNIST_FILES = download.MNIST_FILES = table
    download.prepare("mnist", root, mirrors)
