"""Goals of which the tests try every case: their tests are run, and counted; one that is skipped is no case."""

import os
import re
import subprocess
import sys
from pathlib import Path

from commands import ROOT
from faults import goal

PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header", "-W", "ignore")


def counted(least: int, files: str, pick: str = "") -> str:
    """Run the tests of some files, all or those that pytest picks by name; give how many passed, at least so many."""
    where = [str(Path("tests") / file) for file in files.split()]
    done = subprocess.run(
        [sys.executable, *PYTEST, *where, "-k", pick],
        cwd=ROOT,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=1_800,
        check=False,
    )
    last = (done.stdout.strip() or done.stderr.strip()).splitlines()[-1]
    assert done.returncode == 0, last
    told = {word: int(count) for count, word in re.findall(r"(\d+) (passed|skipped)", last)}
    assert told.get("passed", 0) >= least, f"{told.get('passed', 0)} of {least} cases: {last}"
    skipped = f", {told['skipped']} skipped" if "skipped" in told else ""
    return f"{told['passed']} tests of {files} passed{skipped}"


@goal("R15", "bad data sets are refused before anything is trained, by file or row", 60)
def bad_data_sets(count: int) -> str:
    """Pictures, folders and arrays that cannot be trained on."""
    return counted(count, "test_bad_data.py")


@goal("R16", "mirrors that answer wrongly, slowly or not at all; eight who download at once", 20)
def mirrors(count: int) -> str:
    """A local server that misbehaves, and what lies there after it."""
    return counted(count, "test_data.py", "mirror or damaged or download or network")


@goal("R17", "300 flipped bits and 50 cuts of a weights file, and 60 of a checkpoint, are all noticed", 3)
def damaged_weights(count: int) -> str:
    """No weights are read that are not those that were written."""
    return counted(count, "test_weights.py test_checkpoint.py", "flipped or any_cut")


@goal("R19", "no home, no locale, folders that may only be read, and paths of odd characters", 20)
def places(count: int) -> str:
    """Where a study may have to live."""
    return counted(count, "test_places.py")


@goal("R23", "a run of each released version opens with the same result, and goes on", 2)
def released_versions(count: int) -> str:
    """The runs that are kept in `runs/`."""
    return counted(count, "test_damage.py", "of_version")


@goal("S1", "the secrets of a storage's address stand in no output", 11)
def secrets(count: int) -> str:
    """What is said, raised and written."""
    return counted(count, "test_secrets.py")


@goal("S4", "files from somebody else run no code and lead to no other file", 18)
def foreign_files(count: int) -> str:
    """Pickles, imports, links and pipes in a run's folder."""
    return counted(count, "test_damage.py", "link or pipe or pickle or imports")


@goal("S5", "no pickle, eval, unsafe YAML or shell in the library", 150)
def static_rules(count: int) -> str:
    """Every file of the library is read for them."""
    return counted(count, "test_static.py")
