import errno
import os
import re
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest
from made_runs import BEGIN, asked, draw, network, story, write_run

from cnnsearch import files, history, lock, record
from cnnsearch.errors import RunError
from cnnsearch.events import (
    Closed,
    CloseState,
    Epoch,
    Event,
    FinalState,
    Finished,
    Interrupted,
    Opened,
    Started,
    from_line,
    to_line,
)
from cnnsearch.history import read

OPENED = Opened(time=BEGIN, host="here", pid=1, versions={"cnnsearch": "0.1.0"}, notice="on digits")
EVENTS: tuple[Event, ...] = (
    OPENED,
    *story(0, "complete"),
    Interrupted(trial=0, reason="killed"),
    Closed(state="failed"),
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.event)
def test_an_event_is_read_back_as_it_was_written(event: Event) -> None:
    assert from_line(to_line(event)) == event


def test_a_loss_that_is_no_number_can_be_written_down() -> None:
    line = to_line(
        Epoch(trial=0, epoch=1, loss=float("inf"), validation_accuracy=0.1, validation_loss=float("-inf"), seconds=1)
    )
    epoch = from_line(line)
    assert isinstance(epoch, Epoch)
    assert (epoch.loss, epoch.validation_loss) == (float("inf"), float("-inf"))


def test_lines_of_the_first_release_stay_readable() -> None:
    line = (
        b'{"time":1.5,"event":"asked","trial":3,"asked":{"a":1,"b":0.5},"built":{"a":16,"b":null},"network":{},'
        b'"recipe":{"epochs":6},"parameters":1,"macs":2,"weight_bytes":4,"activation_bytes":5,"fingerprint":"f"}\n'
    )
    assert from_line(line).model_dump(include={"time", "trial", "built"}) == {
        "time": 1.5,
        "trial": 3,
        "built": {"a": 16, "b": None},
    }


def test_a_run_is_read_back_trial_by_trial(tmp_path: Path) -> None:
    run = read(write_run(tmp_path / "run", notice="on digits"))
    assert [trial.state for trial in run.trials][:3] == ["complete", "complete", "stopped"]
    assert run.count("complete", "stopped", "failed") == 5
    assert run.ranked[0].score == max(trial.score or 0 for trial in run.trials)
    assert run.trials[0].network.cost.parameters == run.trials[0].parameters
    assert [epoch.epoch for epoch in run.trials[2].epochs] == [1, 2, 3]
    assert (run.state, run.notice, run.plan["seed"]) == ("complete", "on digits", 7)
    assert (run.trials[1].slot, run.trials[5].slot, run.trials[6].of) == (1, None, 0)


def test_reading_needs_neither_torch_nor_optuna(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    code = (
        "import sys, pathlib, cnnsearch.history as h; h.read(pathlib.Path(sys.argv[1])).trials[0].network; "
        "print({'torch', 'optuna', 'plotly'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"


def _record_of(folder: Path) -> Path:
    return folder / record.RECORD


def test_a_record_cut_anywhere_in_its_last_lines_loses_only_what_was_cut(tmp_path: Path) -> None:
    whole = _record_of(write_run(tmp_path / "run", states=("complete",))).read_bytes()
    for end in range(whole.index(b'"event":"started"'), len(whole), 7):
        _record_of(tmp_path / "run").write_bytes(whole[:end])
        with record.own(tmp_path / "run") as to:
            to.append(Closed(state="exhausted"))
        assert read(tmp_path / "run").state == "exhausted"
        assert _record_of(tmp_path / "run").read_bytes().startswith(whole[: whole.rfind(b"\n", 0, end) + 1])


@pytest.mark.parametrize("tail", [b'{"event":"clo', b"\0\0\0", b'{"event":"closed"\0\0\0\n', b"\n\0"[1:]])
def test_a_torn_last_line_is_passed_over_by_readers(tmp_path: Path, tail: bytes) -> None:
    folder = write_run(tmp_path / "run")
    with _record_of(folder).open("ab") as file:
        file.write(tail)
    assert read(folder).state == "complete"


def test_zeros_anywhere_in_what_was_not_acknowledged_lose_only_that(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", states=("complete",))
    before = {name: (folder / name).read_bytes() for name in (record.RECORD, record.EPOCHS)}
    with record.own(folder) as to:
        for trial in (1, 2, 3):
            to.append(asked(trial, network(draw(f"{trial}")), BEGIN))
            to.append(Started(trial=trial, attempt=1, slot=0))
            to.append(Epoch(trial=trial, epoch=1, loss=1, validation_accuracy=0.5, validation_loss=1, seconds=1))
    after = {name: (folder / name).read_bytes() for name in before}
    for name, sure in before.items():
        whole = after[name]
        for begin in range(len(sure), len(whole), 83):
            end = min(begin + 200, len(whole))
            torn = whole[:begin] + bytes(end - begin) + whole[end:]
            for each, content in {**after, name: torn}.items():
                (folder / each).write_bytes(content)
            assert read(folder).count("complete") == 1, (name, begin)
            with record.own(folder):
                assert (folder / name).read_bytes() == whole[: whole.rfind(b"\n", 0, begin) + 1]


@pytest.mark.parametrize("name", [record.RECORD, record.EPOCHS])
def test_zeros_in_what_was_acknowledged_are_damage_and_nothing_is_cut_off(tmp_path: Path, name: str) -> None:
    folder = write_run(tmp_path / "run", states=("complete", "stopped"))
    whole = (folder / name).read_bytes()
    middle = len(whole) // 3
    (folder / name).write_bytes(torn := whole[:middle] + bytes(50) + whole[middle + 50 :])
    with pytest.raises(RunError, match=f"{name}, line [0-9]+: not an event of a run: .*restore it from a copy"):
        read(folder)
    with record.own(folder):
        assert (folder / name).read_bytes() == torn


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    lines = _record_of(folder).read_bytes().splitlines(keepends=True)
    _record_of(folder).write_bytes(b"".join([lines[0], b'{"event": "nonsense"}\n', *lines[1:]]))
    with pytest.raises(RunError) as raised:
        read(folder)
    assert str(raised.value) == (
        f'{_record_of(folder)}, line 2: not an event of a run: \'{{"event": "nonsense"}}\'; '
        "the file was damaged or edited: restore it from a copy"
    )


def test_a_record_that_speaks_of_a_trial_it_never_asked_is_refused(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", states=())
    with record.own(folder) as to:
        to.append(Started(trial=4, attempt=1, slot=0))
    with pytest.raises(RunError, match=r"record\.jsonl: tells of trial 4, which it never asked; restore it"):
        read(folder)


def test_a_record_with_a_gap_is_refused(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", states=())
    with record.own(folder) as to:
        to.append(asked(2, network(draw(1))))
    with pytest.raises(RunError, match=r"tells of trial 2 but only of 1 trials; restore it"):
        read(folder)


def test_a_folder_without_a_plan_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError) as raised:
        read(tmp_path)
    assert str(raised.value) == f"{tmp_path}: no plan.json in it; give the folder of a run, such as runs/NAME"


def test_an_unreadable_plan_is_named(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(RunError, match=r"plan\.json: not readable as JSON \(Expecting property name"):
        read(tmp_path)


def test_a_second_owner_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.0)
    with lock.owned(tmp_path) as owner, pytest.raises(RunError) as raised, record.own(tmp_path):
        pytest.fail("two owners")
    assert (
        str(raised.value)
        == f"{tmp_path}: {owner} owns this run; wait for it or stop it; a new study can take another --name"
    )
    assert str(owner).startswith(f"process {os.getpid()} on {owner.host} (since 20")


def test_a_file_system_without_locks_is_told_and_may_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    folder = write_run(tmp_path / "run")
    monkeypatch.setattr("fcntl.flock", no_locks)
    with pytest.raises(RunError) as error, lock.owned(folder):
        pytest.fail("owned")
    law = f"{folder}: its file system has no locks (No locks available), so two commands could write into the run"
    assert str(error.value) == f"{law}; let runs lie on a local disk (a study's --runs)"
    assert read(folder).state == "complete"


def test_a_file_where_runs_shall_lie_is_told(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(RunError) as error, record.own(tmp_path / "runs/x"):
        pass
    law = f"{tmp_path / 'runs/x'}: a file stands where a folder is to be made"
    assert str(error.value) == f"{law}; move it, or name another place"


@pytest.mark.parametrize(
    ("number", "law"),
    [
        (errno.ENOSPC, "(No space left on device); nothing written before is lost: make room"),
        (errno.EROFS, "(Read-only file system); nothing written before is lost: see to the disk"),
    ],
)
def test_a_lock_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, law: str
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(RunError) as error, lock.owned(tmp_path):
        pytest.fail("owned")
    where, rest = str(error.value).split(" bytes ")
    assert re.fullmatch(rf"{re.escape(str(tmp_path / 'lock'))}: cannot write \d+", where)
    assert rest == f"{law} and give the same command again"
    monkeypatch.undo()
    with lock.owned(tmp_path):
        assert lock.is_owned(tmp_path)


def test_the_lock_of_a_killed_owner_is_free_at_once(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from cnnsearch.lock import owned\n"
        "with owned(pathlib.Path(sys.argv[1])): print(flush=True); input()"
    )
    child = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    with child.stdin, child.stdout:
        child.stdout.readline()
        assert lock.is_owned(tmp_path)
        child.kill()
        child.wait()
    assert not lock.is_owned(tmp_path)
    with lock.owned(tmp_path):
        assert lock.is_owned(tmp_path)


@pytest.mark.parametrize("room", [0, 10])
def test_a_full_disk_leaves_the_record_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    folder = write_run(tmp_path / "run")
    before = _record_of(folder).read_bytes()
    left, write = [room], os.write

    def full(descriptor: int, line: bytes) -> int:
        taken = write(descriptor, line[: left.pop()]) if left and left[0] else 0
        return taken or _no_space()

    with record.own(folder) as to:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(RunError) as raised:
            to.append(Closed(time=1.0, state="complete"))
        monkeypatch.undo()
        assert _record_of(folder).read_bytes() == before
        to.append(Closed(time=1.0, state="complete"))
    assert str(raised.value) == (
        f"{_record_of(folder)}: cannot write 81 bytes (No space left on device); nothing written before is lost: "
        "make room and give the same command again"
    )


def test_what_never_reached_the_disk_is_taken_back_and_the_record_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_run(tmp_path / "run", states=())
    before = _record_of(folder).read_bytes()

    def fails(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    law = f"{folder / record.EPOCHS}: cannot write 139 bytes (Input/output error); nothing written before is lost: "
    with record.own(folder) as to:
        to.append(asked(0, network(draw(1))))
        to.append(Epoch(time=1, trial=0, epoch=1, loss=1, validation_accuracy=0, validation_loss=1, seconds=1))
        monkeypatch.setattr(os, "fsync", fails)
        with pytest.raises(RunError, match=re.escape(law) + "see to the disk and give the same command again"):
            to.append(Finished(trial=0, state="complete", score=0.5))
        with pytest.raises(RunError, match=re.escape(law)):
            to.append(Interrupted(trial=0, reason="the study ended"))
    assert (_record_of(folder).read_bytes(), (folder / record.EPOCHS).read_bytes()) == (before, b"")


@pytest.mark.parametrize("supported", [True, False], ids=["a disk of one's own", "a disk of the network"])
def test_on_macos_the_drive_is_asked_to_empty_its_own_cache(
    monkeypatch: pytest.MonkeyPatch, *, supported: bool
) -> None:
    asked: list[object] = []

    def command(*given: int) -> None:
        asked.append(given)
        if not supported:
            raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(files, "FULL_SYNC", 51)
    monkeypatch.setattr(files.fcntl, "fcntl", command)
    monkeypatch.setattr(files.os, "fsync", asked.append)
    files.sync_file(7)
    assert asked == ([(7, 51)] if supported else [(7, 51), 7])


def test_epochs_of_a_trial_that_was_never_asked_are_passed_over_and_cut_off(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", states=("stopped",))
    before = (folder / record.EPOCHS).read_bytes()
    with record.own(folder) as to:  # it is asked as trial 1 in no line that the power cut left
        for trial in (1, 0, 1):
            to.append(Epoch(trial=trial, epoch=3, loss=1, validation_accuracy=0.5, validation_loss=1, seconds=1))
    assert len(read(folder).trials) == 1
    with record.own(folder):
        assert (folder / record.EPOCHS).read_bytes() == before


def _no_space(after: int = 0) -> int:
    _ = after
    raise OSError(errno.ENOSPC, "No space left on device")


def test_what_a_writer_did_not_finish_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    files.write_whole(path, "old")
    with pytest.raises(OSError, match="No space left"), files.whole(path) as draft:
        _no_space(draft.write_text("half of the n"))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_written_whole_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    files.write_whole(path, "old")
    files.write_whole(path, "nü".encode())
    assert path.read_text(encoding="utf-8") == "nü"
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_is_running_while_its_owner_lives_and_interrupted_when_it_died(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", closed=None)
    assert read(folder).state == "interrupted"
    with record.own(folder):
        assert read(folder).state == "running"


@pytest.mark.parametrize("state", ["complete", "out_of_time", "interrupted", "exhausted", "no_new_candidate", "failed"])
def test_a_closed_run_is_what_it_said_last(tmp_path: Path, state: CloseState) -> None:
    assert read(write_run(tmp_path / "run", closed=state)).state == state


def test_a_reopened_run_is_not_closed(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", closed="interrupted")
    with record.own(folder) as to:
        to.append(OPENED)
        assert read(folder).state == "running"


def test_the_seconds_of_all_invocations_add_up(tmp_path: Path) -> None:
    with record.own(write_run(tmp_path / "run", states=())) as to:
        to.append(OPENED.model_copy(update={"time": BEGIN + 1000}))
        to.append(Closed(time=BEGIN + 1025, state="complete"))
        to.append(OPENED.model_copy(update={"time": BEGIN + 2000}))
        to.append(Closed(time=BEGIN + 1900, state="complete"))  # the clock was set back
    assert read(tmp_path / "run").seconds == 40 + 25


def test_an_invocation_that_says_its_seconds_is_believed_whatever_its_clock_did(tmp_path: Path) -> None:
    with record.own(write_run(tmp_path / "run", states=())) as to:
        to.append(OPENED.model_copy(update={"time": BEGIN + 1000}))
        to.append(Closed(time=BEGIN + 1025 + 3600, state="interrupted", seconds=25))
        to.append(OPENED.model_copy(update={"time": BEGIN + 900}))
        to.append(Closed(time=BEGIN, state="complete", seconds=7))
    assert read(tmp_path / "run").seconds == 40 + 25 + 7


@pytest.mark.parametrize("place", [1, 2])
def test_what_is_written_while_a_run_is_read_is_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    folder = write_run(tmp_path / "run", states=("complete",), closed=None)
    reads, read_own = count(1), history.read_own

    def read_slowly(path: Path) -> bytes:
        if path.name != history.PLAN and next(reads) == place:  # the record is read, then the epochs
            for event in story(1, "complete"):
                to.append(event)
        return read_own(path)

    with record.own(folder) as to:
        monkeypatch.setattr(history, "read_own", read_slowly)
        found = read(folder).trials
    assert len(found) == (1 if place == 2 else 2)
    assert [(trial.state, len(trial.epochs)) for trial in found] == [("complete", 6)] * len(found)


def test_a_second_attempt_tells_its_epochs_again(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", states=("stopped",))
    with record.own(folder) as to:
        to.append(Interrupted(trial=0, reason="killed by signal 9"))
        to.append(Interrupted(trial=0, reason="Ctrl-C", worker_died=False))
        to.append(Started(trial=0, attempt=2, slot=1, time=BEGIN + 99))
        to.append(Epoch(trial=0, epoch=2, loss=1, validation_accuracy=0.5, validation_loss=1, seconds=1))
    trial = read(folder).trials[0]
    assert [epoch.epoch for epoch in trial.epochs] == [1, 2]
    assert (trial.deaths, trial.attempts, trial.slot, trial.started) == (1, 2, 1, BEGIN + 1)


@pytest.mark.parametrize("state", ["turned_away", "repeated"])
def test_a_candidate_that_was_not_trained_begins_when_it_was_asked(tmp_path: Path, state: FinalState) -> None:
    trial = read(write_run(tmp_path / "run", states=("complete", state))).trials[1]
    assert (trial.started, trial.ended, trial.epochs) == (BEGIN + 20, BEGIN + 20, ())


def test_equal_scores_are_ranked_by_parameters(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", states=())
    nets = [network(draw(seed)) for seed in (1, 2, 3)]
    with record.own(folder) as to:
        for trial, net in enumerate(nets):
            to.append(asked(trial, net))
            to.append(Finished(trial=trial, state="complete", score=0.5))
    sizes = [trial.parameters for trial in read(folder).ranked]
    assert sizes == sorted(sizes)


def test_a_block_that_is_not_imported_here_is_still_counted(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", states=())
    mine = asked(0, network(draw(1)))
    with record.own(folder) as to:
        to.append(mine.model_copy(update={"network": mine.network | {"blocks": [{"kind": "mine"}, {"kind": "mine"}]}}))
    assert read(folder).trials[0].short == "2 blocks of kinds not imported here"
