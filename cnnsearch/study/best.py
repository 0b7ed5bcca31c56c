"""How do the best network's files get to their place, whichever moment a crash chooses?

A worker writes a trial's weights to `weights/` before it says that it is done. They are copied to `best/`, and only
then removed; so whenever a study is opened again, the best trial's weights are in one of the two.
"""

import shutil
from contextlib import suppress
from pathlib import Path

from cnnsearch.files import remove_drafts, whole, write_whole
from cnnsearch.network import Network

BEST = "best"
NETWORK = f"{BEST}/network.json"
WEIGHTS = f"{BEST}/weights.safetensors"


def weights_of(folder: Path, trial: int) -> Path:
    """Name the file that a trial's worker writes."""
    return folder / "weights" / f"{trial}.safetensors"


def publish(folder: Path, trial: int, network: Network) -> None:
    """Put a trial's network and weights into `best/`; does nothing where they are there already."""
    source = weights_of(folder, trial)
    if not source.exists():
        return
    (folder / BEST).mkdir(exist_ok=True)
    with whole(folder / WEIGHTS) as draft:
        draft.write_bytes(source.read_bytes())
    write_whole(folder / NETWORK, network.model_dump_json(exclude_defaults=True, indent=2) + "\n")
    drop(folder, trial)


def drop(folder: Path, trial: int) -> None:
    """Remove weights that nobody will ask for."""
    with suppress(FileNotFoundError):
        weights_of(folder, trial).unlink()


def tidy(folder: Path) -> None:
    """Remove what is left over, also by an invocation that was killed; the best network must be in its place."""
    shutil.rmtree(folder / "weights", ignore_errors=True)
    for each in (folder, folder / BEST):
        remove_drafts(each)
