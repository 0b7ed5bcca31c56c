"""Studies that seek more than accuracy, told by scripts in place of training."""

from collections.abc import Iterator
from math import log
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_rig import TINY, cut_off, fail, in_turn, learn, network, plan, proposer_of, search, stored, tell

from cnnsearch import cost, history
from cnnsearch.dashboard.copy import copied
from cnnsearch.errors import InvalidSpecError
from cnnsearch.events import FinalState
from cnnsearch.history import Run
from cnnsearch.messages import Done, Event, Job
from cnnsearch.objectives import HEADS, WORDS, Aim, Latency, Name, Objective, price, price_tag
from cnnsearch.plan import Plan
from cnnsearch.ranking import Standing, beats, costs_no_more
from cnnsearch.report import figures
from cnnsearch.report.charts import Material
from cnnsearch.report.wording import notices
from cnnsearch.report.write import as_page
from cnnsearch.study.outcome import Outcome, outcomes
from cnnsearch.study.screen import table_of
from cnnsearch.study.summary import SUMMARY
from cnnsearch.text import read_file
from cnnsearch.trials import study
from cnnsearch.units import percent

pytestmark = pytest.mark.usefixtures("no_wait_for_the_disk")

CONV = {"out_channels": {"int": [1, 16]}, "kernel_size": {"choice": [1, 3, 5]}, "padding": "same"}
SMALL: dict[str, Any] = {
    **TINY,
    "space": {"blocks": [{"conv": CONV}, {"conv": CONV}]},
    "recipe": {"epochs": 3, "learning_rate": 0.01, "augmentation": None},
    "objectives": {"parameters": {}, "macs": {}},
    "pruner": {"kind": "halving", "rungs": [1], "keep": 0.5, "startup": 2},
    "budget": {"trials": 16},
}
FLOOR: dict[str, Any] = {"validation_accuracy": {"at_least": 0.8}, "parameters": {}}
ALL_COSTS: tuple[Name, ...] = ("parameters", "macs", "weight_bytes", "activation_bytes", "latency")


def larger_is_better(job: Job) -> Iterator[Event]:
    """Read the more right the more parameters there are, but for much luck."""
    luck = job.seed % 100 / 300
    final = min(1.0, 0.5 + job.network.cost.parameters / 6000 + luck)
    for epoch in range(1, job.recipe.epochs + 1):
        yield tell(job, epoch, final - 0.1 * (job.recipe.epochs - epoch))
    yield Done(trial=job.trial, stopped=False)


def standing(run: Run, number: int, epoch: int) -> Standing:
    trial = run.trials[number]
    return Standing(trial.epochs[epoch - 1].validation_accuracy, run.aim.prices(trial, trial.latency))


def shape(run: Run) -> list[object]:
    return [(trial.asked, trial.state, trial.score, trial.of) for trial in run.trials]


def network_cost() -> cost.Cost:
    return cost.Cost(parameters=1, macs=2, weight_bytes=3, weight_bytes_int8=0, activation_bytes=4)


# The words


def test_every_cost_has_its_price_and_its_name() -> None:
    latency = Latency(5, 5, 5)
    assert [price(name, network_cost(), latency) for name in ALL_COSTS] == [1, 2, 3, 4, 5]
    assert {"validation_accuracy", *ALL_COSTS} == set(WORDS) == set(HEADS)
    measured = Latency(0.000_086_4, 0, 1)
    assert price_tag("latency", network_cost(), measured) == "0.0864 ms"
    assert price_tag("latency", network_cost(), Latency(1.2, 0, 2)) == "1,200 ms"
    assert price_tag("latency", network_cost(), None) == "not measured"
    assert price_tag("weight_bytes", network_cost()._replace(weight_bytes=4_000), None) == "4,000"


def test_a_latency_that_was_not_measured_is_endless() -> None:
    assert Aim(costs=("latency",)).prices(network_cost(), None) == (float("inf"),)


@given(st.permutations(ALL_COSTS))
def test_costs_have_one_order_however_they_are_written(names: list[Name]) -> None:
    assert Aim.of({"validation_accuracy": Objective(), **{name: Objective() for name in names}}).costs == ALL_COSTS


def test_an_aim_is_said_in_words() -> None:
    assert str(Aim()) == "the best validation accuracy"
    assert str(Aim(("parameters", "macs"))) == "the best validation accuracy, with few parameters and multiply-adds"
    assert str(Aim(("macs",), 0.99)) == "the fewest multiply-adds with a validation accuracy of at least 99.00 %"


# The story of a study


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Run]:
    wanted = plan(tmp_path_factory.mktemp("several"), SMALL, storage=None)
    return wanted, search(wanted, larger_is_better)[0]


def test_who_was_stopped_was_behind_somebody_who_costs_no_more(several: tuple[Plan, Run]) -> None:
    _, run = several
    stopped = [trial.number for trial in run.trials if trial.state == "stopped"]
    assert stopped
    for number in stopped:
        mine = standing(run, number, 1)
        before = [standing(run, other.number, 1) for other in run.trials[:number] if other.epochs]
        assert any(beats(other, mine) for other in before if costs_no_more(other, mine))


def test_nobody_beats_a_network_on_the_front(several: tuple[Plan, Run]) -> None:
    _, run = several
    assert len(run.front) > 1
    for member in run.front:
        mine = run.aim.standing(member.score or 0, member, None)
        assert not any(beats(run.aim.standing(other.score or 0, other, None), mine) for other in run.ranked)


def test_the_storage_keeps_what_was(several: tuple[Plan, Run]) -> None:
    wanted, run = several
    for seen, trial in zip(stored(wanted), run.trials, strict=True):
        ended = run.trials[trial.of if trial.of is not None else trial.number]
        values = [ended.score, ended.parameters, ended.macs] if ended.state == "complete" else None
        assert seen.values == values
        assert seen.state.name == {"complete": "COMPLETE", "stopped": "PRUNED"}[ended.state]


def test_optuna_finds_the_same_front(several: tuple[Plan, Run]) -> None:
    wanted, run = several
    url = f"sqlite:///{wanted.folder}/storage.sqlite3"
    best = optuna.load_study(storage=url, study_name=wanted.run_name).best_trials
    front = {(trial.score, trial.parameters, trial.macs) for trial in run.front}
    assert {tuple(trial.values) for trial in best} == front


def test_the_dashboard_shows_all_objectives(several: tuple[Plan, Run]) -> None:
    _, run = several
    storage = copied(run)
    (study,) = storage.get_all_studies()
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE", "MINIMIZE"]
    complete = {trial.number: trial.values for trial in storage.get_all_trials(0) if trial.state.name == "COMPLETE"}
    assert complete == {trial.number: [trial.score, trial.parameters, trial.macs] for trial in run.ranked}


def test_the_summary_tells_objectives_and_front(several: tuple[Plan, Run]) -> None:
    wanted, run = several
    summary: Any = read_file(wanted.folder / SUMMARY)
    assert list(summary["objectives"]) == ["validation_accuracy", "parameters", "macs"]
    assert [(each["trial"], each["validation_accuracy"], each["costs"]) for each in summary["front"]] == [
        (trial.number, trial.score, {"parameters": trial.parameters, "macs": trial.macs}) for trial in run.front
    ]


@pytest.mark.parametrize("pruner", ["halving", "successive", "median"])
@pytest.mark.parametrize("objectives", [SMALL["objectives"], FLOOR], ids=["front", "floor"])
def test_a_study_that_was_cut_goes_on_as_if_it_had_not_been(
    pruner: str, objectives: dict[str, Any], tmp_path: Path
) -> None:
    fields = {"objectives": objectives, "pruner": {**SMALL["pruner"], "kind": pruner}}
    whole, _ = search(plan(tmp_path / "whole", SMALL, **fields), larger_is_better)
    cut = plan(tmp_path / "cut", SMALL, **fields)
    with pytest.raises(KeyboardInterrupt):
        search(cut, in_turn(*[larger_is_better] * 7, cut_off))
    resumed, _ = search(cut, larger_is_better)
    assert shape(resumed) == shape(whole)
    assert [trial.number for trial in resumed.ranked] == [trial.number for trial in whole.ranked]


def test_progress_names_the_costs_that_are_sought(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, _ = search(plan(tmp_path, objectives={"macs": {}}, budget={"trials": 2}, pruner={"kind": "none"}), quiet=False)
    best = run.ranked[0]
    assert f"; best {100 * best.accuracy:.2f} % with {best.macs:,} multiply-adds, 0 stopped" in capsys.readouterr().out


def test_with_a_floor_the_best_is_the_cheapest_that_meets_it(tmp_path: Path) -> None:
    wanted = plan(tmp_path, SMALL, objectives=FLOOR)
    run, _ = search(wanted, larger_is_better)
    meeting = [trial for trial in run.ranked if (trial.score or 0) >= 0.8]
    assert 0 < len(meeting) < len(run.ranked)
    best = run.ranked[0]
    assert best.parameters == min(trial.parameters for trial in meeting)
    assert run.ranked[: len(meeting)] == tuple(meeting)
    summary: Any = read_file(wanted.folder / SUMMARY)
    assert summary["best"]["trial"] == best.number
    assert (wanted.folder / "best/weights.safetensors").read_text().startswith(f"weights of trial {best.number},")


def test_while_nobody_meets_the_floor_the_best_is_the_most_accurate(tmp_path: Path) -> None:
    floor = {**FLOOR, "validation_accuracy": {"at_least": 1.0}}
    run, _ = search(plan(tmp_path, SMALL, objectives=floor), learn)
    assert run.ranked[0].score == max(trial.score or 0 for trial in run.ranked) < 1


# What the sampler learns


def learned(wanted: Plan, known: Outcome) -> optuna.trial.FrozenTrial:
    proposer = proposer_of(wanted, [known])
    (trial,) = proposer._study.get_trials()  # noqa: SLF001 (what it learns from is seen nowhere else)
    return trial


@pytest.mark.parametrize(
    ("objectives", "state", "accuracies", "values"),
    [
        (SMALL["objectives"], "complete", {1: 0.5, 2: 0.9}, [0.9, 7.0, 8.0]),
        (SMALL["objectives"], "stopped", {1: 0.5}, [0.5, 7.0, 8.0]),
        (FLOOR, "complete", {1: 0.5, 2: 0.9}, [0.9, 7.0]),
        (FLOOR, "stopped", {1: 0.5}, [0.5, 7.0]),
    ],
)
def test_the_sampler_learns_how_far_each_came(
    objectives: dict[str, Any], state: FinalState, accuracies: dict[int, float], values: list[float], tmp_path: Path
) -> None:
    wanted = plan(tmp_path, SMALL, objectives=objectives)
    asked = proposer_of(wanted).propose(0).asked
    score = accuracies[2] if state == "complete" else None
    seen = learned(wanted, Outcome(0, asked, state, "", score, accuracies, {}, (7.0, 8.0)[: len(values) - 1]))
    accuracy, *costs = values
    assert (seen.state.name, seen.values) == ("COMPLETE", [accuracy, *map(log, costs)])


def test_what_diverged_is_still_learned_as_what_does_not_train(tmp_path: Path) -> None:
    wanted = plan(tmp_path, SMALL, budget={"trials": 1})
    run, _ = search(wanted, fail("diverged", "the loss is nan"))
    seen = learned(wanted, next(outcomes(run, wanted)))
    assert (seen.state.name, seen.values, seen.constraints["trains"]) == ("PRUNED", None, 1.0)


def test_a_latency_that_could_not_be_measured_teaches_nothing(tmp_path: Path) -> None:
    wanted = plan(tmp_path, SMALL, objectives={"latency": {}})
    asked = proposer_of(wanted).propose(0).asked
    seen = learned(wanted, Outcome(0, asked, "complete", "", 0.9, {1: 0.9}, {}, (float("inf"),)))
    assert (seen.state.name, seen.values) == ("FAIL", None)


@pytest.mark.parametrize("objectives", [{}, {"parameters": {}}, {"validation_accuracy": {"at_least": 0.1}, "macs": {}}])
def test_the_table_at_the_end_shows_the_best_or_the_front(tmp_path: Path, objectives: dict[str, Any]) -> None:
    run, _ = search(plan(tmp_path, SMALL, objectives=objectives, budget={"trials": 12}), larger_is_better)
    is_front = objectives == {"parameters": {}}
    shown = run.front[::-1] if is_front else run.ranked[:5]
    table = table_of(run)
    assert list(table.columns[0].cells) == [str(trial.number) for trial in shown]
    assert len(shown) > 1
    title = "The Pareto front of" if is_front else "The best networks of"
    assert table.title == f"{title} {run.folder.name}: {run.aim}"


def test_those_that_do_not_reach_a_floor_stand_below_a_line(tmp_path: Path) -> None:
    run, _ = search(plan(tmp_path, SMALL, budget={"trials": 12}))
    least, most = run.ranked[-1].accuracy, run.ranked[0].accuracy
    for floor, lines, caption in (
        (least, 1, None),
        (most, 1, f"Those below the line do not reach {percent(most)}."),
        (most + 0.001, 0, f"None of them reaches {percent(most + 0.001)}."),
    ):
        sought = {"validation_accuracy": {"at_least": floor}, "parameters": {}}
        table = table_of(run._replace(plan={**run.plan, "objectives": sought}))
        assert sum(row.end_section for row in table.rows) == lines
        assert table.caption == caption


# Latency


def test_a_latency_is_measured_before_training_and_once_for_each_network_that_is_trained(tmp_path: Path) -> None:
    large = network(99)
    fields = {"objectives": {"latency": {}}, "limits": {"max_parameters": 1000}, "start": [large]}
    wanted = plan(tmp_path, SMALL, **fields)
    run, executor = search(wanted, larger_is_better)
    trained = [trial for trial in run.trials if trial.state in {"complete", "stopped"}]
    assert [str(network) for network in executor.measured] == [trial.short for trial in trained]
    assert run.count("turned_away") > 0
    for trial in run.trials:
        expected = Latency(trial.macs / 1e9, 0.0, 1.0) if trial in trained else None
        assert trial.latency == expected, trial.number
    assert history.read(wanted.folder).front == run.front
    assert list(run.aim.besides) == ["latency"]
    tag = price_tag("latency", run.ranked[0], run.ranked[0].latency)
    page, columns = as_page(run), table_of(run).columns
    assert f"<dt>latency of one image</dt><dd>{tag}</dd>" in page
    assert f'<td class="n">{tag}</td>' in page
    assert [next(iter(column.cells)) for column in columns if column.header == "latency"] == [tag]


def test_a_network_whose_latency_cannot_be_measured_costs_no_figure(tmp_path: Path) -> None:
    wanted = plan(tmp_path, SMALL, objectives={"latency": {}})
    run, _ = search(wanted, larger_is_better)
    first = run.ranked[0]
    unmeasured = [trial.model_copy(update={"latency": None}) if trial is first else trial for trial in run.trials]
    runs = (run, run._replace(trials=tuple(unmeasured)))
    wholly, partly = (
        [figures.draw(figure, Material(each, study(each, scale=100))) for figure in figures.asked(run.aim)]
        for each in runs
    )
    assert [each.reason for each in partly] == [each.reason for each in wholly]
    front = next(each for each in partly if each.title.startswith("Accuracy against"))
    shown = {point for trace in front.drawings[0].data for point in trace.x or ()}
    assert shown == {trial.latency.seconds for trial in run.ranked[1:] if trial.latency}
    assert [len(trace.x) for trace in front.drawings[0].data if trace.name == "best"] == [0]
    none = run._replace(trials=tuple(trial.model_copy(update={"latency": None}) for trial in run.trials))
    reasons = [figures.draw(each, Material(none, study(none, scale=100))).reason for each in figures.asked(run.aim)]
    assert [reason for reason in reasons if "measured" in reason] == [
        "latency could be measured for no network",
        "the hypervolume needs measured costs, of at least 2 complete trials; there are 0",
    ]


def test_one_network_is_measured_once_whatever_it_is_trained_by(tmp_path: Path) -> None:
    space = {"blocks": [{"conv": {"out_channels": {"choice": [1, 2]}, "kernel_size": 1}}]}
    rate = {"learning_rate": {"choice": [0.01, 0.02, 0.03]}}
    fields = {"objectives": {"latency": {}}, "space": space, "recipe": {**SMALL["recipe"], **rate}}
    first, executor = search(plan(tmp_path, {**SMALL, **fields}, budget={"trials": 3}, name="x"))
    again, more = search(plan(tmp_path, {**SMALL, **fields}, budget={"trials": 6}, name="x"))
    assert len({trial.fingerprint for trial in again.trials}) > 2
    assert len(executor.measured) + len(more.measured) == len({trial.network for trial in again.trials})
    assert len({(trial.network, trial.latency) for trial in again.trials if trial.latency}) == 2
    assert first.trials == again.trials[: len(first.trials)]


def test_latencies_of_two_machines_are_told_wherever_they_are_compared(tmp_path: Path) -> None:
    run, _ = search(plan(tmp_path, SMALL, objectives={"latency": {}}, budget={"trials": 1}))
    elsewhere = run._replace(hosts=("here", "there"))
    law = "Latencies were measured under 2 machine names (here, there) and are compared as if on one machine"
    assert notices(run) == []
    assert notices(elsewhere) == [f"{law}; if these are several machines, a new study (--name) measures all on one."]
    assert law in as_page(elsewhere)
    assert notices(elsewhere._replace(plan={**run.plan, "objectives": {}})) == []


def test_an_objective_of_at_most_is_told_where_limits_stand(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        plan(tmp_path, SMALL, objectives={"macs": {"at_most": 9}})
    law = "an objective is to be as small as possible; what no network may exceed stands in `limits`, as max_macs"
    assert str(caught.value) == f"objectives.macs.at_most: {law}"


@pytest.mark.parametrize(
    ("asked", "law"), [("at_most", "an objective is to be as small as possible"), ("at_least", "a cost has no floor")]
)
def test_a_latency_that_nobody_can_limit_is_not_sent_to_the_limits(tmp_path: Path, asked: str, law: str) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        plan(tmp_path, SMALL, objectives={"latency": {asked: 0.01}})
    way_out = "a latency cannot be limited, only sought to be small: {latency: {}}"
    assert str(caught.value) == f"objectives.latency.{asked}: {law}; {way_out}"


def test_without_that_objective_no_latency_is_measured(several: tuple[Plan, Run]) -> None:
    _, run = several
    assert {trial.latency for trial in run.trials} == {None}
