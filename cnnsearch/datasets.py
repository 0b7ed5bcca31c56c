"""Which data sets are known, and where are they kept? What can be said of them without torch."""

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import gettempdir
from typing import NamedTuple

from platformdirs import user_cache_path

from cnnsearch.files import expanded


class Facts(NamedTuple):
    """What a study must know of a data set before it is loaded."""

    name: str
    channels: int
    height: int
    width: int
    classes: tuple[str, ...]
    train_images: int
    validation_images: int
    test_images: int
    sha256: str
    """Of a known set of the bytes of images and labels, training split then validation split; of images of one's own of
    all splits and the classes' names."""
    key: str
    """Under which the loader finds it: the name of a known set, or that of one of the user's own with its SHA-256."""
    notice: str = ""
    """What looks faulty in it and is said beside every result."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        return self.channels, self.height, self.width


class File(NamedTuple):
    """A file as torchvision reads it; `sha256` and `size` (bytes) are those of the unpacked file."""

    name: str
    sha256: str
    size: int


FACTS = {
    "mnist": Facts(
        name="mnist",
        channels=1,
        height=28,
        width=28,
        classes=tuple("0123456789"),
        train_images=55_000,
        validation_images=5_000,
        test_images=10_000,
        sha256="f04c1465cd656b80f4561b50a3193591fcf1ccdb4626a018fe336bb41a800876",
        key="mnist",
    ),
    "digits": Facts(
        name="digits",
        channels=1,
        height=8,
        width=8,
        classes=tuple("0123456789"),
        train_images=1_197,
        validation_images=300,
        test_images=300,
        sha256="2b67ff72e07e59f83013233d5cd7dfcafa6d68f8ac56f847acbd2f9eac0165c4",
        key="digits",
    ),
}

MNIST_FILES = (
    File(
        "train-images-idx3-ubyte",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        47_040_016,
    ),
    File(
        "train-labels-idx1-ubyte",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        60_008,
    ),
    File(
        "t10k-images-idx3-ubyte",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        7_840_016,
    ),
    File(
        "t10k-labels-idx1-ubyte",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        10_008,
    ),
)


def data_root(given: str | None = None) -> Path:
    """Return the folder of data sets: the one given, else $CNNSEARCH_DATA, else the platform's cache folder."""
    folder = given or os.environ.get("CNNSEARCH_DATA")
    return expanded(folder) if folder else platform_folder(user_cache_path)


def platform_folder(find: Callable[..., Path]) -> Path:
    """Give one of the platform's folders; where nobody has a home, a folder among the temporary files.

    Others may write there, so only what is checked before it is believed may be read from it.
    """
    try:
        return find("cnnsearch")
    except RuntimeError:  # neither $HOME nor a line in the password file
        return Path(gettempdir()) / "cnnsearch"


def mnist_folder(root: Path) -> Path:
    """Return where torchvision wants MNIST's files."""
    return root / "MNIST" / "raw"


def mnist_on_disk(root: Path) -> bool:
    """Say whether MNIST's four files are there, unpacked or as .gz; their content is for `prepare` to check."""
    folder = mnist_folder(root)
    return all((folder / file.name).is_file() or (folder / f"{file.name}.gz").is_file() for file in MNIST_FILES)
