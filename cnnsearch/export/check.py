"""Does an exported file do what the network does? Asked in a process that cannot import this library."""

import subprocess
import sys
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from cnnsearch.errors import ExportError

OUTSIDE = Path(__file__).with_name("outside.py")
MOST_DIFFERENCE = 1e-3  # of two logits: sums in another order differ by a hundredth of that


class Found(BaseModel):
    """What `outside.py` found in one file; accuracies are fractions from 0 to 1, of the validation images."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    classes: tuple[str, ...]
    validation_accuracy: float
    largest_difference: float
    """Between two logits for one image, the file's and the network's."""
    changed: int
    """Images to which the file gives another class than the network."""
    lost: int
    """Images that the network reads right and the file wrong."""
    gained: int
    """Images that the file reads right and the network wrong."""
    latency_seconds: tuple[float, float, float] = Field(min_length=3)
    """Of one image on one thread: the median, and the ends of its 95 % interval."""


def look_from_outside(file: Path, material: Path) -> Found:
    """Open a file in a process of its own and compare; raise ExportError where it cannot be used there."""
    command = [sys.executable, "-I", str(OUTSIDE), str(file), str(material)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own script)
    if done.returncode:
        *_, reason = [f"exit status {done.returncode}", *done.stderr.strip().splitlines()]
        raise ExportError(f"cannot be used where cnnsearch is not: {reason}")
    return Found.model_validate_json(done.stdout.splitlines()[-1])


def refuse_another(found: Found, classes: tuple[str, ...], *, exact: bool) -> None:
    """Raise ExportError where a file does not what the network does; rounded numbers may differ, class names not."""
    if found.classes != classes:
        raise ExportError(f"has the classes {found.classes}, and the network {classes}")
    if not exact:
        return
    if not found.largest_difference <= MOST_DIFFERENCE:  # so that NaN is refused too
        law = f"its logits differ from the network's by up to {found.largest_difference:.3g}"
        raise ExportError(f"{law}, and may by {MOST_DIFFERENCE}: a fault of the exporter")
    if found.lost or found.gained:
        law = f"it reads {found.lost} validation images wrong that the network reads right"
        raise ExportError(f"{law}, and {found.gained} the other way round: a fault of the exporter")
