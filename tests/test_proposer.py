import random
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from made_runs import STATES
from optuna.samplers._tpe.sampler import _split_trials, default_gamma
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState
from sqlalchemy import URL
from study_rig import BUG, SIX_NETWORKS, TINY, die, fail, in_turn, learn, plan, proposer_of, search, stored

from cnnsearch import afford, history
from cnnsearch.errors import InvalidSpecError, RunError
from cnnsearch.seeds import seed_of
from cnnsearch.study import asking, memory
from cnnsearch.study import proposer as proposer_module
from cnnsearch.study.outcome import Outcome, outcomes
from cnnsearch.study.proposer import Proposer
from cnnsearch.terminal import Bar

WIDE: dict[str, Any] = {
    **TINY,
    "space": {
        "blocks": [
            {
                "repeat": {"int": [1, 3]},
                "block": {"conv": {"out_channels": {"int": [2, 64], "log": True}, "kernel_size": {"choice": [1, 3]}}},
            }
        ]
    },
}


def sqlite(path: Path) -> str:
    return URL.create("sqlite", database=str(path)).render_as_string()


def outcome(trial: int, proposer: Proposer) -> Outcome:
    """Propose a trial; the more channels, the better."""
    candidate = proposer.propose(trial)
    return Outcome(trial, candidate.asked, "complete", "", candidate.network.shapes[0][0] / 64, {}, {})


# Asking


@pytest.mark.parametrize("kind", ["tpe", "random"])
def test_a_sampler_seeded_again_proposes_what_a_fresh_one_proposes(kind: str, tmp_path: Path) -> None:
    # Optuna keeps its generators in private attributes; were they elsewhere, or more of them, this would fail.
    wanted = plan(tmp_path, WIDE, sampler={"kind": kind, "startup": 4})
    one = proposer_of(wanted)
    known: list[Outcome] = []
    for trial in range(8):
        fresh = proposer_of(wanted, known).propose(trial)
        known.append(outcome(trial, one))
        assert fresh.asked == known[-1].asked
        one.tell(known[-1])
    assert len({tuple(each.asked.values()) for each in known}) > 4


def test_another_attempt_at_a_trial_proposes_something_else(tmp_path: Path) -> None:
    proposer = proposer_of(plan(tmp_path, WIDE))
    first = proposer.propose(0)
    proposer.forget(0)
    assert proposer.propose(0, attempt=1).asked != first.asked


def test_every_hole_is_asked_in_every_trial(tmp_path: Path) -> None:
    wanted = plan(tmp_path, WIDE)
    proposer = proposer_of(wanted)
    for trial in range(5):
        assert set(proposer.propose(trial).asked) == {hole.name for hole in wanted.holes}


def test_tpe_learns_what_is_better(tmp_path: Path) -> None:
    proposer = proposer_of(plan(tmp_path, WIDE, sampler={"startup": 8}))
    known = []
    for trial in range(30):
        known.append(outcome(trial, proposer))
        proposer.tell(known[-1])
    early, late = ([each.score or 0 for each in part] for part in (known[:8], known[-8:]))
    assert sum(late) > 1.5 * sum(early)


def test_a_resumed_study_proposes_as_one_that_knows_what_is_in_training(tmp_path: Path) -> None:
    wanted = plan(tmp_path, WIDE, sampler={"startup": 4})
    one = proposer_of(wanted)
    all_asked = [outcome(trial, one) for trial in range(16)]
    running = {each.trial: each.asked for each in all_asked[3::3]}
    known = [each for each in all_asked if each.trial not in running]
    for each in known:
        one.tell(each)
    again, forgetful = proposer_of(wanted, known, running), proposer_of(wanted, known)
    asked = [[each.propose(trial).asked for trial in range(16, 24)] for each in (one, again, forgetful)]
    assert asked[0] == asked[1] != asked[2]


def test_the_sampler_learns_from_the_best_and_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "NEWEST", 40)
    one = proposer_of(plan(tmp_path, WIDE))
    dice = random.Random(0)
    for trial in range(200):
        one.tell(some_end(trial, one.propose(trial).asked, dice))
    study = one._study  # noqa: SLF001
    everything = InMemoryStorage.get_all_trials(study._storage, study._study_id)  # type: ignore[arg-type]  # noqa: SLF001
    shown = study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))
    learnable = [trial for trial in everything if trial.state in {TrialState.COMPLETE, TrialState.PRUNED}]
    assert shown[-40:] == learnable[-40:]
    assert len(shown) == 40 + memory.BEST
    # What TPE takes for the better ones of those shown is what it would have taken of all.
    assert _split_trials(study, shown, 25)[0] == _split_trials(study, learnable, 25)[0]
    assert max(default_gamma(count) for count in range(10_000)) == memory.BEST


def some_end(trial: int, asked: Mapping[str, float], dice: random.Random) -> Outcome:
    state = dice.choice(STATES)
    accuracies = {epoch: dice.random() for epoch in range(1, dice.randint(1, 4))}
    score = dice.random() if state == "complete" else None
    excess = {"macs": dice.random() - (state != "turned_away")}
    return Outcome(trial, asked, state, dice.choice(["diverged", "bug"]), score, accuracies, excess)


def test_seeds_differ_by_study_trial_and_purpose() -> None:
    seeds = {seed_of(seed, trial, use) for seed in range(20) for trial in range(20) for use in ("sampler", "training")}
    assert len(seeds) == 800


SMALL: dict[str, Any] = {
    **SIX_NETWORKS,
    "space": {"blocks": [{"conv": {"out_channels": {"int": [1, 48]}, "kernel_size": 1}}]},
    "pruner": {"kind": "none"},
}


@pytest.mark.parametrize("startup", [0, 4, 100])
def test_what_is_proposed_is_new_as_long_as_there_is_something_new(startup: int, tmp_path: Path) -> None:
    run, _ = search(plan(tmp_path, SMALL, budget={"trials": 40}, sampler={"startup": startup}))
    assert run.count("complete", "stopped") == 40
    assert run.count("repeated") < 4


# Telling


def test_the_storage_says_what_the_record_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(afford, "MOST_FILLINGS", 0)  # as if the space were too large to look ahead
    monkeypatch.setattr(proposer_module, "DRAWS", 1)
    wanted = plan(
        tmp_path, SIX_NETWORKS, storage=None, budget={"trials": 6}, limits={"max_parameters": 70}, seed=1,
        pruner={"kind": "median", "startup": 1},
    )  # fmt: skip
    run, _ = search(
        wanted, in_turn(learn, fail("diverged", "the loss is nan"), fail("out of memory", "no"), die, die, die)
    )
    in_order = sorted(stored(wanted), key=lambda trial: trial.user_attrs["trial"])
    assert [trial.user_attrs["trial"] for trial in in_order] == [trial.number for trial in run.trials]
    for trial, seen in zip(run.trials, in_order, strict=True):
        assert seen.params == trial.asked
        first = run.trials[trial.number if trial.of is None else trial.of]
        assert seen.intermediate_values == {epoch.epoch: epoch.validation_accuracy for epoch in first.epochs}
        assert seen.state == expected(first.state, first.reason)
        assert seen.value == (first.score if first.state == "complete" else None)
        blamed = first.reason.startswith(("diverged", "out of memory"))
        assert seen.constraints == {"parameters": trial.parameters / 70 - 1, "trains": float(blamed)}
        assert seen.user_attrs["feasible"] == (trial.parameters <= 70 and not blamed)
    assert {"complete", "failed", "turned_away", "repeated"} <= {trial.state for trial in run.trials}


def expected(state: str, reason: str) -> TrialState:
    """Give what Optuna is told: only what is nobody's fault, or the program's, is a failure."""
    fails = state == "failed" and not reason.startswith(("diverged", "out of memory"))
    words = {"complete": TrialState.COMPLETE, "failed": TrialState.FAIL if fails else TrialState.PRUNED}
    return words.get(state, TrialState.PRUNED)


def test_a_bug_is_told_as_a_failure(tmp_path: Path) -> None:
    wanted = plan(tmp_path, storage=None, budget={"trials": 1})
    search(wanted, BUG)
    assert [trial.state for trial in stored(wanted)] == [TrialState.FAIL]


def test_what_is_known_to_need_too_much_memory_is_told_as_what_does_not_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MOST_ASKS_IN_VAIN", 5)
    wanted = plan(tmp_path, SIX_NETWORKS, storage=None, budget={"trials": 9})
    run, _ = search(wanted, in_turn(*[fail("out of memory", "no")] * 9))
    away = [seen for trial, seen in zip(run.trials, stored(wanted), strict=True) if trial.state == "turned_away"]
    assert {(seen.state, seen.constraints["trains"]) for seen in away} == {(TrialState.PRUNED, 1.0)}
    assert not any(seen.user_attrs["feasible"] for seen in away)


@pytest.mark.parametrize("url", ["redis://nobody@127.0.0.1:1/0", "postgresql://nobody@127.0.0.1:1/x"])
def test_a_storage_that_optuna_cannot_open_is_told(url: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=f"^storage {url.replace('.', '[.]')} cannot be used"):
        search(plan(tmp_path, storage=url))


def test_a_storage_of_another_version_is_told_and_left_alone(tmp_path: Path) -> None:
    search(wanted := plan(tmp_path, storage=None, budget={"trials": 1}))
    path = wanted.folder / "storage.sqlite3"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE version_info SET schema_version = 1")
        connection.execute("UPDATE alembic_version SET version_num = 'v0.9.0.a'")
    before = path.read_bytes()
    with pytest.raises(RunError, match=r"cannot be used .* nothing is lost: remove it, or name another"):
        search(plan(tmp_path, storage=None, budget={"trials": 2}))
    assert path.read_bytes() == before
    path.rename(path.with_suffix(".old"))
    run, _ = search(plan(tmp_path, storage=None, budget={"trials": 2}))
    assert len(stored(wanted)) == len(run.trials)


def test_a_number_on_a_logarithmic_scale_is_stored_as_itself(tmp_path: Path) -> None:
    wanted = plan(tmp_path, WIDE, storage=None, budget={"trials": 1})
    run, _ = search(wanted)
    (trial,) = stored(wanted)
    name = "blocks[0].block[0].conv.out_channels"
    assert trial.params[name] == run.trials[0].asked[name] + 2 == run.trials[0].built[name]


def test_a_storage_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    wanted = plan(tmp_path, storage=None, budget={"trials": 3})
    search(wanted)
    before = stored(wanted)
    (wanted.folder / "storage.sqlite3").unlink()
    search(plan(tmp_path, storage=None, budget={"trials": 4}))
    assert [(trial.params, trial.value) for trial in stored(wanted)[:3]] == [(t.params, t.value) for t in before]
    assert len(stored(wanted)) == 4


def test_what_a_study_that_was_killed_after_its_last_trial_did_not_store_is_stored(tmp_path: Path) -> None:
    wanted = plan(tmp_path, storage=None, budget={"trials": 3})
    search(wanted)
    before = [(trial.params, trial.value) for trial in stored(wanted)]
    (wanted.folder / "storage.sqlite3").unlink()
    record = wanted.folder / "record.jsonl"
    record.write_bytes(b"".join(record.read_bytes().splitlines(keepends=True)[:-1]))  # all but `closed`
    run, executor = search(wanted)
    assert (run.state, executor.jobs) == ("complete", [])
    assert [(trial.params, trial.value) for trial in stored(wanted)] == before


def test_a_storage_that_another_program_looks_at_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(Bar, "say", lambda _, text, **__: said.append(text))
    search(wanted := plan(tmp_path, storage=None, budget={"trials": 2}))
    with closing(sqlite3.connect(wanted.folder / "storage.sqlite3", isolation_level=None)) as looking:
        looking.execute("BEGIN")
        looking.execute("SELECT count(*) FROM trials").fetchone()
        run, _ = search(plan(tmp_path, storage=None, budget={"trials": 4}))
    law = "another program keeps the storage locked: 2 trials are not in it"
    assert (run.state, said[-1]) == ("complete", f"{law}; nothing is lost, and a call for more trials adds them")
    assert len(stored(wanted)) == 2
    search(plan(tmp_path, storage=None, budget={"trials": 5}))
    assert len(stored(wanted)) == 5


def test_a_storage_may_lie_elsewhere_whatever_its_folder_is_called(tmp_path: Path) -> None:
    odd = tmp_path / "a?b#c%20{d}"
    odd.mkdir()
    search(elsewhere := plan(tmp_path / "runs", storage=sqlite(odd / "all.db"), budget={"trials": 1}))
    search(inside := plan(odd, storage=None, budget={"trials": 1}))
    assert len(stored(elsewhere)) == len(stored(inside)) == 1
    assert (odd / "all.db").exists()
    assert (inside.folder / "storage.sqlite3").exists()


def test_a_storage_with_trials_of_another_run_is_refused(tmp_path: Path) -> None:
    url = sqlite(tmp_path / "all.db")
    search(plan(tmp_path / "mine", storage=url, name="same", budget={"trials": 2}))
    theirs = plan(tmp_path / "theirs", storage=url, name="same", budget={"trials": 2})
    with pytest.raises(RunError) as error:
        search(theirs)
    law = f"storage {url} has 2 trials of a study 'same' that {theirs.folder} knows nothing of"
    assert str(error.value) == f"{law}; take another --storage or --name"


def test_a_storage_that_cannot_be_opened_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    search(plan(tmp_path, budget={"trials": 1}))
    url = sqlite(tmp_path / "no such folder" / "x.db")
    with pytest.raises(RunError) as error:
        search(plan(tmp_path, storage=url, budget={"trials": 2}))
    assert str(error.value) == (
        f"storage {url} cannot be used (unable to open database file); nothing is lost: remove it, or name another"
        " --storage, and the same command fills it from the record"
    )
    run, _ = search(plan(tmp_path, budget={"trials": 2}))
    assert run.count("complete") == 2


def test_a_password_is_in_no_message_and_no_file(tmp_path: Path) -> None:
    url = "postgresql+pg8000://me:canary@localhost:1/db?password=canary&sslkey=canary"
    wanted = plan(tmp_path, storage=url)
    with pytest.raises(RunError) as error:
        search(wanted)
    assert "storage postgresql+pg8000://me:***@localhost:1/db cannot be used (" in str(error.value)
    assert "canary" not in str(error.value)
    for path in wanted.folder.rglob("*.*"):
        assert b"canary" not in path.read_bytes(), path
    assert history.read(wanted.folder).plan["storage"] == "postgresql+pg8000://me:***@localhost:1/db"


def test_what_is_no_url_is_refused_without_repeating_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecError) as error:
        plan(tmp_path, storage="canary")
    assert (
        str(error.value)
        == "storage: not a URL such as sqlite:////folder/studies.db or postgresql://user@host:5432/studies"
    )


def test_outcomes_of_a_record_are_those_of_the_live_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Outcome] = []
    tell = Proposer.tell

    def heard(proposer: Proposer, outcome: Outcome) -> None:
        told.append(outcome)
        tell(proposer, outcome)

    monkeypatch.setattr(Proposer, "tell", heard)
    monkeypatch.setattr(afford, "MOST_FILLINGS", 0)  # nobody looks ahead, so some are turned away
    monkeypatch.setattr(proposer_module, "DRAWS", 1)
    wanted = plan(tmp_path, SIX_NETWORKS, budget={"trials": 4}, limits={"max_parameters": 70}, seed=1)
    run, _ = search(wanted, in_turn(learn, fail("diverged", "the loss is nan")))
    assert {outcome.state for outcome in told} >= {"complete", "failed", "turned_away"}
    assert sorted(told, key=lambda outcome: outcome.trial) == list(outcomes(run, wanted))
