"""Which trained network is exported, and what does its run say about it?"""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from cnnsearch import weights
from cnnsearch.errors import RunError
from cnnsearch.files import sha256_of
from cnnsearch.history import PLAN, Run, read
from cnnsearch.network import Network
from cnnsearch.places import BEST, NETWORK, WEIGHTS, WINNER
from cnnsearch.verdict import Verdict, decided
from cnnsearch.weights import Classifier

Role = Literal["winner", "best", "given"]
_PLACES: tuple[tuple[Role, str], ...] = (("winner", WINNER), ("best", BEST), ("given", "."))


class Source(NamedTuple):
    """A trained network and where it comes from."""

    folder: Path
    """The folder that was named: a run's, or one that holds nothing but the two files."""
    files: Path
    """Where network.json and weights.safetensors lie."""
    role: Role
    """The winner was trained again and tested, the search's best neither; of a given one nothing is known."""
    classifier: Classifier
    run: Run | None
    verdict: Verdict | None
    """What the finals say, where it is their winner that is exported."""


def find(folder: Path) -> Source:
    """Find the network to export; raise RunError where there is none, or its two files do not belong together."""
    run = read(folder) if (folder / PLAN).is_file() else None
    result = decided(run) if run else None
    # Where finals were begun anew and are not over, `winner/` holds that of former ones, of which nothing is told now;
    # where they are over, no other network takes the place of a winner that was lost.
    place = _place(folder, _PLACES[:1] if result else _PLACES[1:] if run else _PLACES)
    if place is None and result:
        law = f"{folder / WINNER}: no {NETWORK} with {WEIGHTS}, though the finals have a winner"
        raise RunError(f"{law}; `python -m cnnsearch.evaluate {folder}` writes them again")
    if place is None:
        law = f"{folder}: no {NETWORK} with {WEIGHTS} in winner/, in best/ or in itself"
        raise RunError(f"{law}; give the folder of a run that has a result, such as runs/NAME")
    role, files = place
    classifier = weights.load(files)
    if _network(files / NETWORK).fingerprint != classifier.network.fingerprint:
        law = f"{files / NETWORK} describes another network than {WEIGHTS} beside it holds"
        raise RunError(f"{law} ({classifier.network}); take both from one training")
    if result:
        refuse_others(folder, files / WEIGHTS, result)
    return Source(folder, files, role, classifier, run, result)


def refuse_others(folder: Path, file: Path, result: Verdict) -> None:
    """Raise RunError where a file does not hold the weights that the record calls the winner's."""
    expected, found = result.winner.shipped.sha256, sha256_of(file)
    if found != expected:
        law = f"{file}: sha256 {found[:12]}... is not the {expected[:12]}... of the winner in the run's record"
        raise RunError(f"{law}; `python -m cnnsearch.evaluate {folder}` writes the winner's again")


def _place(folder: Path, places: Iterable[tuple[Role, str]]) -> tuple[Role, Path] | None:
    for role, name in places:
        files = folder / name
        if (files / NETWORK).is_file() and (files / WEIGHTS).is_file():
            return role, files
    return None


def _network(path: Path) -> Network:
    try:
        return Network.model_validate_json(path.read_bytes())
    except ValueError as error:
        raise RunError(f"{path}: no network: {error}") from None
