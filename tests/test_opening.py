"""When the test images are read, and for whom."""

import json
from pathlib import Path
from typing import Any

import pytest
from study_rig import events

from cnnsearch import history
from cnnsearch.data import Split, load_test
from cnnsearch.evaluate import opening
from cnnsearch.evaluate.conduct import evaluate
from cnnsearch.verdict import decided, verdict

pytestmark = pytest.mark.usefixtures("trained_here")


def test_the_record_says_what_the_test_images_are_read_for_before_they_are(finished: tuple[Path, str]) -> None:
    names = [event["event"] for event in events(finished[0])]
    assert names.index("test_opened") > max(place for place, name in enumerate(names) if name == "retrained")
    assert names.index("test_opened") < names.index("tested")
    opened = next(event for event in events(finished[0]) if event["event"] == "test_opened")
    assert {event["sha256"] for event in events(finished[0]) if event["event"] == "tested"} == {
        *opened["weights"].values()
    }


def test_the_test_images_have_no_part_in_choosing_the_winner(finished: tuple[Path, str]) -> None:
    found = history.read(finished[0])
    before, untested = verdict(found), verdict(found._replace(tested=()))
    assert before
    assert untested
    wrong = {True: tuple(range(300)), False: ()}
    tested = (each.model_copy(update={"wrong": wrong[each.entrant == before.winner.entrant]}) for each in found.tested)
    after = verdict(found._replace(tested=tuple(tested)))
    assert after
    assert (after.winner.test_accuracy, {row.test_accuracy for row in after.rows[1:]}) == (0, {1})
    assert before.winner.entrant == after.winner.entrant == untested.winner.entrant
    assert untested.winner.test_accuracy is None


def test_the_test_images_are_read_for_no_more_finalists_than_asked(judged: Path) -> None:
    before = len(history.read(judged).tested)
    evaluate(judged, finals={"epochs": 2, "finalists": 1, "seeds": 1, "candidates": 2, "baselines": []}, quiet=True)
    found = history.read(judged)
    over = decided(found)
    assert over
    assert len([row for row in over.rows if row.trial]) == 2
    assert (over.finalists, len(found.tested) - before) == ((over.winner.entrant,), 1)


def test_finals_killed_between_announcement_and_result_open_the_test_images_once(judged: Path) -> None:
    lines = (judged / "record.jsonl").read_bytes().splitlines(keepends=True)
    opened = next(place for place, line in enumerate(lines) if b'"test_opened"' in line)
    (judged / "record.jsonl").write_bytes(b"".join(lines[: opened + 2]))
    found = evaluate(judged, quiet=True)
    assert len(found.openings) == 1
    assert len(found.tested) == len(found.openings[0].weights)


def test_a_second_look_is_possible_but_counted(judged: Path) -> None:
    found = evaluate(judged, finals={"seeds": 3, "finalists": 1}, quiet=True)
    assert len(found.openings) == 2
    assert json.loads((judged / "summary.json").read_text())["winner"]["test_opened"] == 2
    first, second = ({*opening.weights.values()} for opening in found.openings)
    assert first.isdisjoint(second)


def test_the_announcement_is_on_the_disk_before_the_test_images_are_read(
    judged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = judged / "record.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(line for line in lines if b'"test' not in line))
    announced: list[int] = []

    def load(*arguments: Any) -> Split:  # noqa: ANN401 (passed on)
        announced.append(path.read_text().count('"event":"test_opened"'))
        return load_test(*arguments)

    monkeypatch.setattr(opening, "load_test", load)
    evaluate(judged, quiet=True)
    assert announced == [1]
