"""Finals that are held again, go on or are cut: what becomes of the winner, its files and the summary?"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from commands import python
from finals_rig import FINALS, WITH_FINALS
from made_runs import write_run
from study_rig import contents, events, in_turn, interrupt, learn, plan, run, search, write_plan

import cnnsearch
from cnnsearch import history
from cnnsearch.errors import InvalidSpecError, RunError
from cnnsearch.evaluate import conduct, publish
from cnnsearch.evaluate.conduct import evaluate
from cnnsearch.evaluate.entrants import field
from cnnsearch.evaluate.machine import Machine
from cnnsearch.evaluate.training import Trainings
from cnnsearch.export import source
from cnnsearch.plan import Plan
from cnnsearch.report.write import as_page
from cnnsearch.verdict import decided, verdict

pytestmark = pytest.mark.usefixtures("trained_here")


def test_the_same_finals_again_train_and_read_nothing(judged: Path) -> None:
    before = events(judged)
    evaluate(judged, quiet=True)
    assert events(judged) == before


@pytest.mark.parametrize("damaged", ["", "[]", "{"])
def test_a_damaged_summary_keeps_no_winner_from_being_told(judged: Path, damaged: str) -> None:
    before = json.loads((judged / "summary.json").read_text())["winner"]
    (judged / "summary.json").write_text(damaged)
    evaluate(judged, quiet=True)
    assert json.loads((judged / "summary.json").read_text()) == {"finals": "over", "winner": before}


def test_an_edited_plan_is_told_before_anything_is_made_of_it(judged: Path) -> None:
    (judged / "plan.json").write_text("{}")
    with pytest.raises(RunError, match="is not the plan of this run, so damaged or edited"):
        evaluate(judged, quiet=True)


def test_the_same_command_again_keeps_the_winner_in_the_summary(judged: Path) -> None:
    before = json.loads((judged / "summary.json").read_text())["winner"]
    status, _, err = run(judged.parents[1], write_plan(judged.parents[1], WITH_FINALS))
    assert (status, err) == (0, "")
    assert json.loads((judged / "summary.json").read_text())["winner"] == before


def test_a_search_without_finals_keeps_the_winner_of_earlier_ones(judged: Path) -> None:
    before, page = json.loads((judged / "summary.json").read_text())["winner"], "<h2>The finals</h2>"
    status, out, err = run(judged.parents[1], write_plan(judged.parents[1], WITH_FINALS), "--no-finals")
    assert (status, err) == (0, "")
    assert json.loads((judged / "summary.json").read_text())["winner"] == before
    assert history.plan_of(judged)["finals"]["epochs"] == 1, "by which the winner was trained"
    assert f"The winner is {before['entrant']} with" in out
    assert page in (judged / "report.html").read_text()
    with pytest.raises(KeyboardInterrupt):
        search(plan(judged.parent, WITH_FINALS, finals=None, budget={"trials": 4}), interrupt)
    told = json.loads((judged / "summary.json").read_text())
    assert (told["state"], told["winner"]) == ("interrupted", before)


def cut_in_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainings, "run_in_workers", cut)


def test_first_finals_that_are_cut_at_once_are_told_not_to_be_over(
    judged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (judged / "record.jsonl").read_bytes().splitlines(keepends=True)
    first = next(place for place, line in enumerate(lines) if b'"finals_opened"' in line)
    (judged / "record.jsonl").write_bytes(b"".join(lines[:first]))
    publish.renew(history.read(judged))
    assert json.loads((judged / "summary.json").read_text())["finals"] is None
    shutil.rmtree(judged / "finals")
    cut_in_trainings(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        evaluate(judged, quiet=True)
    assert json.loads((judged / "summary.json").read_text())["finals"] == "not over"


@pytest.mark.parametrize(("other", "trained"), [({"candidates": 3}, 3), ({"epochs": 2}, 2)])
def test_finals_that_go_on_with_others_name_no_winner_until_they_end(
    judged: Path, other: dict[str, int], trained: int
) -> None:
    weights = (judged / "winner/weights.safetensors").read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        cut_in_trainings(patch)
        with pytest.raises(KeyboardInterrupt):
            evaluate(judged, finals=other, quiet=True)
    begun = history.read(judged)
    assert decided(begun) is None
    summary = json.loads((judged / "summary.json").read_text())
    assert (summary["finals"], summary["winner"]) == ("not over", None)
    assert (judged / "winner/weights.safetensors").read_bytes() == weights, "a tested network is not thrown away"
    cutter = begun._replace(plan={**begun.plan, "finals": {**begun.plan["finals"], "epochs": 1}})
    page = as_page(cutter)
    assert "The finals are not over; so far trial" in page
    assert "Until then winner/weights.safetensors are those of the winner of the finals before." in page
    over = evaluate(judged, quiet=True)
    assert len({each.entrant for each in over.retrained if each.entrant.startswith("trial")}) == trained
    assert decided(over)
    assert (judged / "winner/weights.safetensors").exists()


def test_finals_of_former_epochs_are_not_forgotten(judged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = decided(history.read(judged))
    capsys.readouterr()
    longer = evaluate(judged, finals={"epochs": 2})
    held, replaced = capsys.readouterr().out.splitlines()[:2]
    assert held == f"{judged}: finals of 2 candidates, 2 epochs each, the best 2 with 2 seeds"
    assert (
        replaced == "finals of other epochs were held before; these take their place, and their weights stay in finals/"
    )
    trained = len(events(judged))
    assert decided(longer) != before
    again = evaluate(judged, finals={"epochs": 1}, quiet=True)
    now = decided(again)
    assert before
    assert now
    assert now.rows == before.rows
    assert len(events(judged)) == trained, "nothing is left to train"


def test_finals_that_cannot_be_held_change_nothing(judged: Path) -> None:
    before = contents(judged)
    plan_file = json.loads((judged / "plan.json").read_text())
    edited = json.dumps({**plan_file, "executor": {"device": "cuda:77"}}, indent=2).encode()
    (judged / "plan.json").write_bytes(edited)
    with pytest.raises(InvalidSpecError, match="cuda:77"):
        evaluate(judged, finals={"candidates": 3}, quiet=True)
    assert contents(judged) == {**before, judged / "plan.json": edited}
    assert decided(history.read(judged))
    found = evaluate(judged, finals={"candidates": 3}, machine=Machine(device="cpu", workers=1), quiet=True)
    assert decided(found)
    assert found.plan["executor"]["device"] == "cuda:77", "what a command is told is of that command alone"


def without_last_words(folder: Path) -> None:
    """Let the record be one of the first versions, or of finals that were cut when only their last word lacked."""
    lines = (folder / "record.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "record.jsonl").write_bytes(b"".join(line for line in lines if b'"finals_closed"' not in line))


def test_others_after_finals_without_a_last_word_keep_the_former_winners_files(
    judged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_last_words(judged)
    weights, seconds = (judged / "winner/weights.safetensors").read_bytes(), history.read(judged).finals_seconds
    cut_in_trainings(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        evaluate(judged, finals={"epochs": 2}, quiet=True)
    begun = history.read(judged)
    assert begun.finals_are_open
    assert seconds < begun.finals_seconds < seconds + 1, "the former ones ended when they did"
    assert (judged / "winner/weights.safetensors").read_bytes() == weights


def test_a_study_with_other_finals_keeps_the_former_winners_files_too(judged: Path) -> None:
    without_last_words(judged)
    weights = (judged / "winner/weights.safetensors").read_bytes()
    longer = plan(judged.parent, WITH_FINALS, finals={**FINALS, "epochs": 2})

    def interrupted(*_: object) -> None:
        assert history.plan_of(judged)["finals"]["epochs"] == 2
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainings, "run_in_workers", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cnnsearch.search(longer, quiet=True)
    assert history.read(judged).finals_are_open
    assert (judged / "winner/weights.safetensors").read_bytes() == weights


def test_a_death_between_the_record_and_the_plan_of_other_finals_leaves_no_winner(
    judged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die_there(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"{evaluate.__module__}.write_whole", die_there)
    with pytest.raises(KeyboardInterrupt):
        evaluate(judged, finals={"seeds": 3}, quiet=True)
    assert decided(history.read(judged)) is None


def test_the_winners_folder_is_that_of_whom_the_record_names_now(judged: Path) -> None:
    before = decided(history.read(judged))
    assert before
    draft = judged / "winner/.weights.safetensors.0badf00d.tmp"  # as a kill leaves it
    draft.touch()
    others = {row.trial.number for row in before.rows[1:] if row.trial}
    found = history.read(judged)
    only_others = found._replace(retrained=tuple(e for e in found.retrained if e.entrant != before.winner.entrant))
    publish.renew(only_others)
    now = json.loads((judged / "summary.json").read_text())["winner"]
    assert now["trial"] in others
    assert not draft.exists()
    assert cnnsearch.load(judged).network == history.read(judged).trials[now["trial"]].network
    weights = (judged / "winner/weights.safetensors").read_bytes()
    for each in (judged / "finals").glob("*.safetensors"):
        each.write_bytes(each.read_bytes()[:-1] + b"?")
    publish.renew(only_others)
    assert (judged / "winner/weights.safetensors").read_bytes() == weights, "not those that were damaged"
    shutil.rmtree(judged / "finals")  # to save room: what is in winner/ is still the winner's
    publish.renew(only_others)
    assert (judged / "winner/weights.safetensors").read_bytes() == weights
    publish.renew(only_others._replace(retrained=()))
    assert json.loads((judged / "summary.json").read_text())["winner"] is None
    assert not (judged / "winner/weights.safetensors").exists()
    best = json.loads((judged / "best/network.json").read_text())
    assert cnnsearch.load(judged).network == cnnsearch.Network.model_validate(best)


def test_a_winners_network_is_built_as_it_is(judged: Path) -> None:
    found = verdict(history.read(judged))
    assert found
    assert found.winner.network
    module = cnnsearch.build(found.winner.network)
    assert sum(weight.numel() for weight in module.parameters()) == found.winner.parameters


def test_no_other_weights_take_the_place_of_a_winners_that_were_lost(judged: Path) -> None:
    (judged / "winner/weights.safetensors").unlink()
    with pytest.raises(RunError, match=r"winner/weights\.safetensors: no such file"):
        cnnsearch.load(judged)
    with pytest.raises(RunError) as error:
        source.find(judged)
    law = f"{judged}/winner: no network.json with weights.safetensors, though the finals have a winner"
    assert str(error.value) == f"{law}; `python -m cnnsearch.evaluate {judged}` writes them again"
    evaluate(judged, quiet=True)
    assert source.find(judged).role == "winner"


def test_finals_that_were_cut_have_no_winner_yet(judged: Path) -> None:
    lines = (judged / "record.jsonl").read_bytes().splitlines(keepends=True)
    (judged / "record.jsonl").write_bytes(b"".join(line for line in lines if b'"test' not in line))
    status, _, err = run(judged.parents[1], write_plan(judged.parents[1], WITH_FINALS), "--no-finals")
    assert (status, err) == (0, "")
    assert json.loads((judged / "summary.json").read_text())["winner"] is None


# The command


def evaluated(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return python(["-m", "cnnsearch.evaluate", *arguments], folder)


def test_the_finals_of_a_study_without_them_are_held_later(judged: Path) -> None:
    kept = (judged / "record.jsonl").read_bytes().splitlines(keepends=True)
    searched = kept[: 1 + next(place for place, line in enumerate(kept) if b'"closed"' in line)]
    (judged / "record.jsonl").write_bytes(b"".join(searched))
    shutil.rmtree(judged / "winner")
    done = evaluated(judged.parents[1], "runs/x", "--candidates", "1", "--seeds", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Trained again once it reads" in done.stdout
    assert (judged / "winner" / "weights.safetensors").exists()
    assert "<h2>The finals</h2>" in (judged / "report.html").read_text()


def test_a_run_in_a_folder_of_another_name_is_evaluated(judged: Path) -> None:
    moved = judged.rename(judged.parent / "my run")
    done = evaluated(judged.parent, "my run", "--seeds", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert history.plan_of(moved)["name"] == "x"


def test_a_run_is_found_from_within_its_folder(judged: Path) -> None:
    done = python(["-m", "cnnsearch.evaluate", "."], judged)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_run_without_a_complete_trial_has_no_finals(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "x", states=("stopped", "failed"), plan=history_plan())
    done = evaluated(tmp_path, "runs/x")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "runs/x: no trial is complete, so nobody can enter the finals; search longer\n"


def history_plan() -> dict[str, Any]:
    return Plan.model_validate({"dataset": "mnist"}).stored()


def test_what_is_no_run_and_what_is_no_number_is_said(tmp_path: Path) -> None:
    done = evaluated(tmp_path, "nowhere")
    assert (done.returncode, done.stderr) == (
        1,
        "nowhere: no such folder; give the folder of a run, such as runs/NAME\n",
    )
    write_run(tmp_path / "runs" / "x", plan=history_plan())
    done = evaluated(tmp_path, "runs/x", "--seeds", "0")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2,
        "finals.seeds: input should be greater than or equal to 1, not 0",
    )


def test_no_finals_ends_with_the_search(tmp_path: Path) -> None:
    status, out, err = run(tmp_path, write_plan(tmp_path, WITH_FINALS), "--no-finals", "--trials", "1")
    assert (status, err) == (0, "")
    assert "The winner" not in out
    assert json.loads((tmp_path / "runs/x/summary.json").read_text())["winner"] is None


def test_finals_of_a_search_that_was_cut_say_so(tmp_path: Path) -> None:
    wanted = plan(tmp_path, WITH_FINALS, finals=None, budget={"trials": 4})
    with pytest.raises(KeyboardInterrupt):
        search(wanted, in_turn(learn, learn, interrupt))
    run = history.read(wanted.folder)._replace(retrained=())
    asked = Plan.model_validate({**run.plan, "finals": FINALS})
    law = "the search was cut after 2 of 4 trials; those to come take no part unless it goes on"
    assert law in list(conduct.begins(field(asked, run), run))
