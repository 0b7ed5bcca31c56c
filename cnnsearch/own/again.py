"""Where do the images that a run was made with lie now? A person may have moved them; decoded ones were kept."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from cnnsearch.datasets import FACTS
from cnnsearch.errors import DataError
from cnnsearch.own.image import Image
from cnnsearch.own.keep import changes, facts_of, is_there, own_root, places_of


def found_again(stored: Mapping[str, Any], folder: Path, root: Path) -> str:
    """Give the data set of a run by the name under which it is to be had now, given the plan in the run's folder.

    Images of one's own are those with the SHA-256 of the plan, kept ones first; they are kept again where they are not.
    Raises DataError where they are neither kept nor where they were, or others are there.
    """
    source = str(stored.get("dataset", "mnist"))
    if source in FACTS:
        return source
    digest = str(stored.get("data"))
    for place in places_of(digest, root):
        with suppress(DataError):  # damaged: read anew from where they were
            if facts_of(str(place), Image(), root).sha256 == digest:
                return str(place)
    if not is_there(source):
        law = f"the images of this run are neither at {source} nor kept in {own_root(root)} (SHA-256 {digest[:12]}...)"
        way = f'put them back there, or write where they are now into {folder / "plan.json"} as "dataset"'
        raise DataError(f"{folder}: {law}; {way}")
    facts = facts_of(source, Image.model_validate(stored.get("image") or {}), root)
    if facts.sha256 != digest:
        seen = "".join(f"; {each}" for each in changes(digest, facts.sha256, root))
        law = f"the images at {source} are others than those of this run (SHA-256 {digest[:12]}...), which are not kept"
        way = "bring them back, or begin a run of these by python -m cnnsearch.study"
        raise DataError(f"{folder}: {law}{seen}; {way}")
    return source
