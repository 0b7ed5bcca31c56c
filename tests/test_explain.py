"""What is each block worth? The variants of a network, and their differences from a winner."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import python
from hypothesis import given
from hypothesis import strategies as st
from made_runs import draw, write_run
from made_runs import network as drawn
from study_rig import LISTED, TINY, Listed, run, write_plan

from cnnsearch import events, history, record
from cnnsearch.ablation import Ablation, Difference, Failure, ablation
from cnnsearch.blocks import KINDS
from cnnsearch.certainty import pooled_deviation
from cnnsearch.errors import InvalidSpecError
from cnnsearch.events import Retrained
from cnnsearch.explain.variants import variants
from cnnsearch.network import Network
from cnnsearch.parts import Finals
from cnnsearch.plan import Plan
from cnnsearch.recipe import Recipe
from cnnsearch.report.ablated import sentences
from cnnsearch.report.write import write_report
from cnnsearch.verdict import Row

FINALS = Finals(candidates=1, finalists=1, seeds=2)
RECIPE = FINALS.recipe(Recipe())


def scaled(block: dict[str, Any], factor: float) -> dict[str, Any]:
    return {**block, "conv": {**block["conv"], "out_channels": int(block["conv"]["out_channels"] * factor)}}


CHANGES: dict[str, Callable[[dict[str, Any]], list[dict[str, Any]]]] = {
    "without blocks[{}]": lambda _: [],
    "blocks[{}] halved": lambda block: [scaled(block, 0.5)],
    "blocks[{}] doubled": lambda block: [scaled(block, 2)],
}


@given(st.integers(0, 10_000))
def test_a_variant_differs_in_one_block_and_fits(seed: int) -> None:
    network = drawn(draw(seed))
    plain = network.model_dump(mode="json")
    blocks = plain["blocks"]
    wanted = {
        name.format(number): [*blocks[:number], *change(block), *blocks[number + 1 :]]
        for number, block in enumerate(blocks)
        for name, change in CHANGES.items()
    }
    for variant in variants(network):
        assert variant.network == Network.model_validate({**plain, "blocks": wanted.pop(variant.name)})
    for blocks_that_fit_nowhere in wanted.values():
        with pytest.raises(InvalidSpecError):
            Network.model_validate({**plain, "blocks": blocks_that_fit_nowhere})


def test_what_does_not_fit_is_left_out() -> None:
    image = {"channels": 1, "height": 4, "width": 4}
    one = {"conv": {"out_channels": 1, "kernel_size": 3}}
    network = Network.model_validate({"input": image, "blocks": [one], "classes": 2})
    assert [variant.name for variant in variants(network)] == ["blocks[0] doubled"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run a study whose winner has two seeds."""
    folder = tmp_path_factory.mktemp("explained")
    finals = {"candidates": 1, "finalists": 1, "seeds": 2, "epochs": 1, "baselines": []}
    space = {"blocks": [{"conv": {"out_channels": 4, "kernel_size": 3}}, {"conv": {"out_channels": 4}}]}
    space["blocks"][1]["conv"]["kernel_size"] = 1
    status, _, err = run(folder, write_plan(folder, TINY, space=space, finals=finals, name="x", budget={"trials": 1}))
    assert (status, err) == (0, "")
    return folder


def test_each_block_is_taken_away_halved_and_doubled_and_told_with_an_interval(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "runs", tmp_path / "runs")
    before = history.read(tmp_path / "runs/x")
    done = python(["-m", "cnnsearch.explain", "runs/x"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("without blocks[0]", "blocks[0] halved", "blocks[0] doubled", "without blocks[1]"):
        assert f"│ {name} " in done.stdout
    after = history.read(tmp_path / "runs/x")
    assert len(after.varied) == 6
    assert after._replace(varied=()) == before, "a variant takes no part in the finals"
    assert len(list((tmp_path / "runs/x/finals").iterdir())) == 2, "no weights of variants are kept"
    assert done.stdout.endswith("runs/x/report.html shows it too, and what each choice did over all trials.\n")
    assert "What each block of trial 0 (" in (tmp_path / "runs/x/report.html").read_text()
    again = python(["-m", "cnnsearch.explain", "runs/x"], tmp_path)
    assert again.stdout.endswith(done.stdout[done.stdout.index("What each block") :].lstrip())
    assert history.read(tmp_path / "runs/x").varied == after.varied


def test_a_kind_without_channels_of_its_own_is_taken_away_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "listed", Listed)
    blocks = [*LISTED["blocks"], {"conv": {"out_channels": 2, "kernel_size": 1}}]
    network = Network.model_validate({**LISTED, "blocks": blocks})
    assert str(network) == "l 2(1x1), average"
    names = [variant.name for variant in variants(network)]
    assert names == ["without blocks[0]", "without blocks[1]", "blocks[1] halved", "blocks[1] doubled"]


def test_without_finals_nobody_knows_what_differences_mean(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "x", plan=Plan.model_validate({"dataset": "mnist"}).stored())
    done = python(["-m", "cnnsearch.explain", "runs/x"], tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    law = "its finals have no winner with two seeds or more, so nobody knows which differences mean something"
    assert done.stderr == f"runs/x: {law}; python -m cnnsearch.evaluate runs/x trains them\n"


def test_no_seeds_are_refused(tmp_path: Path) -> None:
    done = python(["-m", "cnnsearch.explain", "x", "--seeds", "0"], tmp_path)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2,
        "python -m cnnsearch.explain: error: --seeds: from 1 to 100, not 0",
    )


def varied(to: record.Record, variant: str, accuracy: float | None, reason: str = "", seed: int = 0) -> None:
    accuracies = () if accuracy is None else (accuracy,)
    to.append(Retrained(entrant=variant, seed=seed, state="failed" if accuracy is None else "complete", reason=reason,
                        recipe=RECIPE, parameters=1, macs=1, accuracies=accuracies, role="variant"))  # fmt: skip


@pytest.fixture
def ablated(tmp_path: Path) -> Path:
    """Write a run whose winner has two seeds, and variants of which two trainings failed."""
    folder = write_run(tmp_path / "x", ("complete",), plan={"finals": FINALS.model_dump(mode="json")})
    with record.own(folder) as to:
        for seed, accuracy in enumerate((0.98, 0.99)):
            to.append(Retrained(entrant="trial 0", seed=seed, state="complete", recipe=RECIPE, parameters=1, macs=1,
                                accuracies=(accuracy,), sha256=f"{seed}"))  # fmt: skip
            to.append(events.Tested(entrant="trial 0", seed=seed, sha256=f"{seed}", images=100, wrong=()))
        varied(to, "trial 0 blocks[1] halved", 0.975)
        varied(to, "trial 0 without blocks[10]", 0.985)
        varied(to, "trial 0 without blocks[1]", None, "diverged: the loss is <nan>")
        varied(to, "trial 0 blocks[1] halved", None, "out of memory: 3 MB", seed=1)
        varied(to, "trial 1 without blocks[0]", None, "of an earlier winner")
        varied(to, "trial 0 in another way", 0.5)  # of somebody else's record
    return folder


def test_a_variant_that_failed_is_named_with_its_reason(ablated: Path) -> None:
    found = ablation(history.read(ablated))
    assert found
    assert [each.variant for each in found.differences] == ["blocks[1] halved", "without blocks[10]"]
    assert [f"{each.difference:+.3f}" for each in found.differences] == ["-0.010", "+0.000"]
    told = [sentence for sentence in sentences(found) if sentence.startswith("Failed")]
    assert told == [
        "Failed: without blocks[1], seed 0: diverged: the loss is <nan>.",
        "Failed: blocks[1] halved, seed 1: out of memory: 3 MB.",
    ]


def test_the_spread_is_that_of_all_finalists_too(tmp_path: Path) -> None:
    finals = FINALS.model_copy(update={"candidates": 2, "finalists": 2})
    folder = write_run(tmp_path / "x", ("complete",) * 2, plan={"finals": finals.model_dump(mode="json")})
    seeds = {"trial 0": (0.98, 0.99), "trial 1": (0.90, 0.94)}
    with record.own(folder) as to:
        for name, scores in seeds.items():
            for seed, accuracy in enumerate(scores):
                digest = f"{name} {seed}"
                to.append(Retrained(entrant=name, seed=seed, state="complete", recipe=RECIPE, parameters=1, macs=1,
                                    accuracies=(accuracy,), sha256=digest))  # fmt: skip
                to.append(events.Tested(entrant=name, seed=seed, sha256=digest, images=100, wrong=()))
        varied(to, "trial 0 blocks[1] halved", 0.975)
    found = ablation(history.read(folder))
    assert found
    assert found.deviation == pytest.approx(pooled_deviation([*seeds.values()])[0])


def test_the_page_has_each_variant_and_each_failure(ablated: Path) -> None:
    page = write_report(ablated).read_text()
    assert "What each block of trial 0 (" in page
    assert '<td>blocks[1] halved</td><td class="n">1</td>' in page
    assert '<p class="caption">Failed: without blocks[1], seed 0: diverged: the loss is &lt;nan&gt;.</p>' in page
    assert "of an earlier winner" not in page


def test_no_part_of_the_page_is_there_where_nothing_was_varied(tmp_path: Path) -> None:
    assert "What each block of" not in write_report(write_run(tmp_path / "x", ("complete",))).read_text()


def test_where_all_variants_failed_no_interval_is_spoken_of() -> None:
    failures = (Failure("without blocks[0]", 0, "bug: why"),)
    row = Row("trial 0", None, (), ())
    assert list(sentences(Ablation(row, (), failures, 0.0))) == ["Failed: without blocks[0], seed 0: bug: why."]


def test_seeds_that_agree_to_the_image_are_said_to_make_intervals_too_narrow() -> None:
    row = Row("trial 0", None, (), ())
    same = Difference("without blocks[0]", 1, 1, (1.0,), 0.0, (0.0, 0.0))
    law = "All seeds of a network read equally many right, so the intervals are too narrow."
    assert law in list(sentences(Ablation(row, (same,), (), 0.0)))
