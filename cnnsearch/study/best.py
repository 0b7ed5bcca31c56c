"""How do the best network's files get to their place, whichever moment a crash chooses?

A worker writes a trial's weights to `weights/` before it says that it is done. They are copied to `best/`, and only
then removed; so whenever a study is opened again, the best trial's weights are in one of the two.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cnnsearch.files import make_folder, remove_drafts, write_whole
from cnnsearch.messages import checkpoint_of
from cnnsearch.network import Network
from cnnsearch.places import BEST, BEST_NETWORK, BEST_WEIGHTS


def weights_of(folder: Path, trial: int) -> Path:
    """Name the file that a trial's worker writes."""
    return folder / "weights" / f"{trial}.safetensors"


def publish(folder: Path, trial: int, network: Network) -> None:
    """Put a trial's network and weights into `best/`; does nothing where they are there already."""
    source = weights_of(folder, trial)
    if not source.exists():
        return
    make_folder(folder / BEST)
    write_whole(folder / BEST_WEIGHTS, source.read_bytes())
    write_whole(folder / BEST_NETWORK, network.model_dump_json(exclude_defaults=True, indent=2) + "\n")
    drop(folder, trial)


def drop(folder: Path, trial: int) -> None:
    """Remove what a trial's worker wrote and nobody will ask for."""
    weights_of(folder, trial).unlink(missing_ok=True)
    checkpoint_of(weights_of(folder, trial)).unlink(missing_ok=True)


def tidy(folder: Path, unfinished: Iterable[int]) -> None:
    """Remove what is left over, also by an invocation that was killed; the best network must be in its place.

    The checkpoints of unfinished trials stay: these go on from there.
    """
    kept = {checkpoint_of(weights_of(folder, trial)) for trial in unfinished}
    for each in (folder / "weights").glob("*"):
        if each not in kept:
            each.unlink()
    with suppress(OSError):  # not there, or a checkpoint in it
        (folder / "weights").rmdir()
    for each in (folder, folder / BEST):
        remove_drafts(each)
