"""What does the dashboard show? A copy of the record in memory, with each network as note and artifact.

Chosen: a new copy whenever the record has changed, swapped in whole. Studies in memory take milliseconds to make where
SQLite takes 60 ms a trial, a hole's range may grow with what was built, running trials are shown with their curves,
and nothing is written to any disk. The cost is a request that may see the copy of a moment ago.
"""

import io
import json
from collections.abc import Iterable
from typing import Any, BinaryIO
from uuid import NAMESPACE_URL, uuid5

import optuna
from optuna.artifacts.exceptions import ArtifactNotFound

from cnnsearch import trials
from cnnsearch.history import Run, Trial

MOST_NOTES = 1_000  # the dashboard's time for a page grows with their square; the best and latest ones have a note


class Networks:
    """The artifacts: each trial's network as JSON. Optuna's ArtifactStore, for reading only."""

    def __init__(self, run: Run) -> None:
        self._trials = {artifact_id(trial): trial for trial in run.trials}

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Give one network's bytes."""
        if artifact_id not in self._trials:
            raise ArtifactNotFound(artifact_id)
        return io.BytesIO(as_json(self._trials[artifact_id]).encode())

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Refuse: a run is looked at."""
        _ = content_body
        raise PermissionError(f"artifact {artifact_id}: a run's dashboard is read-only")

    def remove(self, artifact_id: str) -> None:
        """Refuse: a run is looked at."""
        raise PermissionError(f"artifact {artifact_id}: a run's dashboard is read-only")


def copied(run: Run) -> optuna.storages.InMemoryStorage:
    """Copy a run into a storage in memory: one study, whose trials have the record's numbers."""
    holes = trials.distributions(run.trials)
    storage = optuna.storages.InMemoryStorage()
    alive = run.state == "running"
    with trials.quiet():
        study = storage.create_new_study(trials.directions(run.aim), run.folder.name)
        trials.name_values(optuna.load_study(study_name=run.folder.name, storage=storage), run.aim)
    told = (trials.frozen(trial, holes, alive=alive, aim=run.aim, attached=_artifact(trial)) for trial in run.trials)
    ids = [storage.create_new_trial(study, trial) for trial in told]
    for key, value in _study_note(run).items():
        storage.set_study_system_attr(study, key, value)
    for trial in _noted(run):
        for key, value in note(ids[trial.number], _told(trial)).items():
            storage.set_study_system_attr(study, key, value)
    return storage


def artifact_id(trial: Trial) -> str:
    """Name a trial's artifact, the same in every copy."""
    return str(uuid5(NAMESPACE_URL, f"cnnsearch:{trial.number}:{trial.fingerprint}"))


def as_json(trial: Trial) -> str:
    """Write a trial's network as a file that `python -m cnnsearch.check` reads."""
    return json.dumps(trial.network_data, indent=2) + "\n"


def note(trial_id: int | None, text: str) -> dict[str, Any]:
    """Write a note as optuna-dashboard stores it, which its own old studies bind it to; None: the study's own.

    Its public `save_note` wants a live trial and reads all notes for each one it writes.
    """
    owner = "dashboard:" if trial_id is None else f"dashboard:{trial_id}:"
    return {f"{owner}note_ver": 1, f"{owner}note_str:0": text}


def _artifact(trial: Trial) -> dict[str, str]:
    """Attach the network as Optuna's artifacts are: its own `upload_artifact` wants a file and a study on a disk."""
    name, filename = artifact_id(trial), f"trial-{trial.number}.json"
    meta = {"artifact_id": name, "filename": filename, "mimetype": "application/json", "encoding": None}
    return {f"artifacts:{name}": json.dumps(meta)}


def _noted(run: Run) -> Iterable[Trial]:
    best = {trial.number: trial for trial in run.ranked[: MOST_NOTES // 2]}
    latest = {trial.number: trial for trial in run.trials[-MOST_NOTES // 2 :]}
    return (best | latest).values()


def _study_note(run: Run) -> dict[str, Any]:
    notice = f"**{run.notice}**\n\n" if run.notice else ""
    return note(None, f"{notice}`{run.folder.name}`: {run.state}, {run.count('complete')} complete. Read-only copy.")


def _told(trial: Trial) -> str:
    reason = f": {trial.reason}" if trial.reason else ""
    return f"`{trial.short}`, {trial.state}{reason}\n\n```json\n{as_json(trial)}```\n"
