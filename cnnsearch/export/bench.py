"""On what does an export work?"""

from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from cnnsearch.data import DataSet
from cnnsearch.errors import ExportError
from cnnsearch.weights import Classifier

EXTRA = ("onnx", "onnxruntime", "onnxscript")


class Bench(NamedTuple):
    """A folder in which files are made, each from the one before, the network, and the images it is tried on."""

    folder: Path
    classifier: Classifier
    data: DataSet

    def take(self, name: str) -> Path:
        """Give a file that another is made from; raise ExportError where it could not be made."""
        path = self.folder / name
        if not path.is_file():
            raise ExportError(f"is made from {name}, which is missing")
        return path


def need_extra() -> None:
    """Raise ExportError where what ONNX needs is not installed."""
    if missing := [name for name in EXTRA if find_spec(name) is None]:
        verb = "is" if len(missing) == 1 else "are"
        raise ExportError(f"needs {', '.join(missing)}, which {verb} not installed; pip install -e '.[onnx]'")


@contextmanager
def told(who: str) -> Generator[None]:
    """Turn whatever goes wrong in another library into an ExportError that names it."""
    try:
        yield
    except Exception as error:
        first, *_ = [*str(error).strip().splitlines(), ""]
        raise ExportError(f"{who} refuses the network ({type(error).__name__}: {first})") from error
