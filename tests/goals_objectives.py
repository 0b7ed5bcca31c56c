"""Goals of what a training may do that runs a block of one's own: raise, diverge, hang, crash, take all there is."""

import re
from pathlib import Path
from typing import Any

from faults import goal
from goals_kills import ORPHANS, folder
from study_rig import HERE, TINY, processes_in, read, run, until, write_plan

from cnnsearch.history import Run, Trial
from cnnsearch.verdict import verdict

EACH = 5  # one trial in so many misbehaves
MOST_LOG = 10 * 10**6  # bytes
PATIENCE = 0.25  # minutes
ENDS = {
    "take_ten_gigabytes": "failed, out of memory: RuntimeError: .*can't allocate memory",
    "bug": "failed, bug: KeyError: 'channels'",
    "give_nan": "failed, diverged: Diverged: ",
    "crash": "failed, worker died: 3 workers did, the last one so: worker . was ended by SIGSEGV",
    "hang": "failed, timeout: its training took more than 15 s",
    "write_a_million_lines": "complete",
    "start_processes": "complete",
    "leave": "failed, bug: SystemExit: 3",
    "leave_at_once": "failed, worker died: 3 workers did, the last one so: worker . ended with exit status 3",
    "overflow_the_stack": "failed, worker died: 3 workers did, the last one so: worker . was ended by SIGSEGV",
    "give_inf": "failed, diverged: Diverged: ",
    "recurse": "failed, bug: RecursionError: maximum recursion depth exceeded",
    "be_killed": "failed, worker died: 3 workers did, the last one so: worker . was ended by SIGKILL",
    "ask_torch_for_too_much": "failed, out of memory: RuntimeError: .*can't allocate memory",
    "ask_python_for_too_much": "failed, out of memory: MemoryError",
}
"""What a block does at its first batch, and how the record ends for its trial: state and reason."""


def network(channels: int, kernel_size: int, *more: dict[str, Any]) -> dict[str, Any]:
    conv = {"out_channels": channels, "kernel_size": kernel_size, "padding": "same"}
    return {"input": {"channels": 1, "height": 8, "width": 8}, "blocks": [{"conv": conv}, *more], "classes": 10}


def acting(number: int, act: str, *, finals_only: bool = False) -> dict[str, Any]:
    """Make a network that needs more than all that do nothing, and less than an earlier one that is out of memory.

    Else it would be turned away, or they would, for needing as much.
    """
    most = 400 if "out of memory" in ENDS.get(act, "") else 200
    return network(most - number, 3, {"kind": "acting", "act": act, "finals_only": finals_only})


def quiet(number: int) -> dict[str, Any]:
    return network(2 + number // 2, (1, 3)[number % 2])


def act_of(number: int) -> str | None:
    """Name what a trial does, one in five."""
    acts = list(ENDS)
    return acts[number // EACH % len(acts)] if number % EACH == EACH - 1 else None


def study(where: Path, start: list[dict[str, Any]], **fields: object) -> Run:
    """Run a study of these networks; see that nothing is left running and its log is bounded."""
    for name in ("blocks_that_fail.py", "register_blocks_that_fail.py"):
        (where / name).write_text((HERE / name).read_text())
    plan: dict[str, object] = {
        "name": "x",
        "start": start,
        "imports": ["register_blocks_that_fail"],
        "recipe": {**TINY["recipe"], "epochs": 1},
        "pruner": {"kind": "none"},
        "budget": {"trials": len(start), "trial_minutes": PATIENCE},
        "executor": {"workers": 2, "device": "cpu"},
        **fields,
    }
    status, _, err = run(where, write_plan(where, TINY, **plan))
    assert (status, err) == (0, ""), f"exit status {status}: {err[-300:]}"
    until(lambda: not processes_in(where), ORPHANS)
    log = sum(path.stat().st_size for path in (where / "runs" / "x" / "log").iterdir())
    assert log <= MOST_LOG, f"a log of {log:,} bytes"
    found = read(where)
    assert found.state == "complete", f"the study is {found.state}"
    return found


def end_of(trial: Trial) -> str:
    return f"{trial.state}, {trial.reason}" if trial.reason else trial.state


def learned(trial: Trial) -> tuple[object, ...]:
    return trial.fingerprint, trial.state, trial.score, [(each.loss, each.validation_loss) for each in trial.epochs]


@goal("R18", "one training in five does what it must not", 100)
def trials(count: int) -> str:
    """Let one trial in five do something else each; the others must end like those of a run where none does."""
    acts = {number: act for number in range(count) if (act := act_of(number))}
    with folder() as where:
        start = [acting(number, acts[number]) if number in acts else quiet(number) for number in range(count)]
        found = study(where, start)
    assert len(found.trials) == count, f"{len(found.trials)} trials"
    for number, act in acts.items():
        end = end_of(found.trials[number])
        assert re.match(ENDS[act], end), f"trial {number} did {act!r} and ended as {end!r}"
    with folder() as where:
        start = [acting(number, "nothing") if number in acts else quiet(number) for number in range(count)]
        clean = study(where, start)
    assert clean.count("complete") == count, "a trial of the clean run failed"
    others = [number for number in range(count) if number not in acts]
    other = [n for n in others if learned(found.trials[n]) != learned(clean.trials[n])]
    assert not other, f"trials {other} learned something else beside the others"
    return f"{len(acts)} trials did {len(set(acts.values()))} things, each classed right; {len(others)} as without them"


IN_FINALS = ("hang", "bug", "give_nan", "crash")


@goal("R18", "trainings of the finals hang or fail", len(IN_FINALS))
def finals(count: int) -> str:
    """Let some of those that did well in the search misbehave in the finals; these end with the others."""
    acts = IN_FINALS[:count]
    start = [quiet(2), *(acting(number, act, finals_only=True) for number, act in enumerate(acts))]
    asked: dict[str, object] = {"candidates": len(start), "finalists": 1, "seeds": 2, "baselines": []}
    with folder() as where:
        found = study(where, start, finals=asked)
    assert found.count("complete") == len(start), "a trial failed in the search"
    ends = {each.entrant: f"{each.state}, {each.reason}" for each in found.retrained if each.reason}
    assert len(ends) == count, f"{len(ends)} of {count} failed"
    for number, act in enumerate(acts, start=1):
        end = ends[f"trial {number}"]
        assert re.match(ENDS[act], end), f"{act!r} ended as {end!r}"
    won = verdict(found)
    assert won, "nobody won"
    assert won.winner.entrant == "trial 0", f"{won.winner.entrant} won"
    return f"{count} failed, each classed right, and the finals ended with the other as the winner"
