import re
import runpy
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis
import plotly.graph_objects as go
import pytest
from hypothesis import strategies as st
from made_runs import BEGIN, STATES, asked, draw, network, story, write_run

import cnnsearch
from cnnsearch import files, record, trials
from cnnsearch.errors import RunError
from cnnsearch.events import Closed, Epoch, FinalState, Finished, Started
from cnnsearch.history import Run, read
from cnnsearch.network import Network
from cnnsearch.objectives import WORDS, Aim
from cnnsearch.report import charts, figures
from cnnsearch.report.charts import Material
from cnnsearch.report.drawing import drawn, stages
from cnnsearch.report.figures import Figure
from cnnsearch.report.names import readable, short_names
from cnnsearch.report.plots import new_chart, plotly_js
from cnnsearch.report.write import as_page, write_report

FIGURES = tuple(figures.asked(Aim()))

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return read(write_run(tmp_path_factory.mktemp("runs") / "mnist-1a2b3c", states=STATES * 3))


@pytest.fixture(scope="module")
def page(run: Run) -> str:
    return as_page(run).replace(plotly_js(), "")


def _material(run: Run) -> Material:
    return Material(run, trials.study(run, scale=100))


def test_the_page_says_the_result_in_words(run: Run, page: str) -> None:
    best = run.ranked[0]
    assert (
        f"The best network found reads {(best.score or 0) * 100:.2f} % of the validation images of mnist right with "
        f"{best.parameters:,} parameters (trial {best.number}). In 7 min 40 s 9 networks were trained to the end, "
        "3 stopped early, 3 failed, 3 turned away untrained, 3 drawn again and answered from the record."
    ) in page


def test_the_page_ranks_the_networks(run: Run, page: str) -> None:
    rows = re.findall(r"<tr[^>]*><td class=\"n\">(\d+)</td><td class=\"n\">(\d+)</td>", page)
    assert rows == [(str(place), str(trial.number)) for place, trial in enumerate(run.ranked, start=1)]


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.title)
def test_every_figure_is_drawn_from_an_ordinary_run(run: Run, page: str, figure: Figure) -> None:
    assert figures.draw(figure, _material(run)).reason == ""
    assert f"<h2>{figure.title}</h2>" in page


def test_the_timeline_shows_what_was_trained_and_nothing_else(run: Run) -> None:
    (figure,) = charts.timeline(_material(run))
    shown = {bar.name: set(bar.y) for bar in figure.data}
    trained = [trial for trial in run.trials if trial.slot is not None]
    assert shown == {
        state: {trial.number for trial in trained if trial.state == state}
        for state in {trial.state for trial in trained}
    }
    assert [len(bar.x) == len(bar.y) == len(bar.base) == len(bar.text) for bar in figure.data] == [True] * len(shown)


def test_no_figure_has_a_button_to_a_cloud_or_the_makers_mark(page: str) -> None:
    plots = page.count("Plotly.newPlot(")
    assert plots >= len(FIGURES)
    assert page.count('"showSendToCloud": false, "displaylogo": false') == plots


def test_the_page_asks_no_network_for_anything(page: str) -> None:
    assert re.findall(r"(?:src|href|action)\s*=\s*[\"']?(?!data:)[^\"'\s>]+", page) == []
    assert "default-src 'none'" in page
    assert "@import" not in page
    assert "url(" not in page


def test_only_the_pages_own_scripts_are_allowed_to_run(run: Run) -> None:
    whole = as_page(run)
    allowed = re.findall(r"'sha256-[^']+'", whole[: whole.index("<style>")])
    assert len(allowed) == len(re.findall(r"<script", whole.replace(plotly_js(), "")))
    assert "'unsafe-eval'" not in whole[: whole.index("<style>")]


def test_texts_of_the_record_cannot_become_part_of_the_page(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", states=(), notice=HOSTILE, plan={"dataset": HOSTILE, "seed": HOSTILE})
    with record.own(folder) as to:
        for trial in range(4):
            event = asked(trial, network(draw(trial)))
            built = {HOSTILE: f"{HOSTILE}{trial % 2}", f"a[0].{HOSTILE}": trial}
            to.append(event.model_copy(update={"built": built, "fingerprint": HOSTILE}))
            to.append(Started(trial=trial, attempt=1, slot=0))
            to.append(Finished(trial=trial, state="complete", reason=HOSTILE, score=trial / 10))
    page = as_page(read(folder))
    assert "<script>alert" not in page
    assert "<img" not in page.replace(plotly_js(), "")


OBJECTIVES: tuple[dict[str, Any], ...] = (
    {"parameters": {}},
    {"parameters": {}, "macs": None, "activation_bytes": {}},
    {"macs": {}, "validation_accuracy": {"at_least": 0.985}},
)


def seeking(folder: Path, objectives: dict[str, Any], states: tuple[FinalState, ...] = STATES * 3) -> Run:
    return read(write_run(folder, states=states, plan={"objectives": objectives}))


@pytest.mark.parametrize("objectives", OBJECTIVES)
def test_with_several_objectives_the_front_and_its_hypervolume_are_drawn(
    objectives: dict[str, Any], tmp_path: Path
) -> None:
    run = seeking(tmp_path / "run", objectives)
    drawn = [figures.draw(figure, _material(run)) for figure in figures.asked(run.aim)]
    assert [each.reason for each in drawn] == [""] * len(drawn)
    front, covered, *_ = drawn
    names = [WORDS[name] for name in run.aim.costs]
    assert front.title == f"Accuracy against {' and '.join(names)}"
    assert [chart.layout.xaxis.title.text for chart in front.drawings] == names
    for chart in front.drawings:
        points = next(trace for trace in chart.data if trace.name == "nobody is better in everything")
        assert list(points.y) == [(trial.score or 0) * 100 for trial in run.front]
    shares = list(covered.drawings[0].data[0].y)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(100)
    assert as_page(run).count("<h2>Hypervolume</h2>") == 1


def test_a_floor_is_said_and_its_winner_comes_first(tmp_path: Path) -> None:
    run = seeking(tmp_path / "run", OBJECTIVES[2])
    best, page = run.ranked[0], as_page(run)
    assert (
        f"The network with the fewest multiply-adds that reaches 98.50 % reads {(best.score or 0) * 100:.2f} %" in page
    )
    assert best.macs == min(trial.macs for trial in run.ranked if (trial.score or 0) >= 0.985)
    order = "First those that reach 98.50 % of the validation images in their last epoch, by multiply-adds; then the"
    assert order in page
    missed = as_page(seeking(tmp_path / "missed", {"macs": {}, "validation_accuracy": {"at_least": 1.0}}))
    assert "No network found reaches 100.00 %. The best one reads " in missed


def test_one_complete_trial_has_no_hypervolume_yet(tmp_path: Path) -> None:
    run = seeking(tmp_path / "run", OBJECTIVES[0], ("complete",))
    drawn = {figure.title: figures.draw(figure, _material(run)).reason for figure in figures.asked(run.aim)}
    assert drawn["Hypervolume"] == "the hypervolume needs measured costs, of at least 2 complete trials; there is 1"


def test_networks_that_are_all_alike_cover_nothing(tmp_path: Path) -> None:
    run = seeking(tmp_path / "run", OBJECTIVES[0], ("complete",) * 2)
    alike = run._replace(trials=tuple(trial.model_copy(update={"score": 0.9, "parameters": 5}) for trial in run.trials))
    drawn = figures.draw(list(figures.asked(run.aim))[1], _material(alike))
    assert drawn.reason == "the hypervolume needs two networks of which one is better and the other cheaper"


def test_objectives_and_finals_that_nobody_knows_are_refused_with_their_file(tmp_path: Path) -> None:
    run = seeking(tmp_path / "run", OBJECTIVES[0])
    for name, given in (("objectives", {"speed": {}}), ("finals", {"seed": 3})):
        with pytest.raises(RunError) as error:
            as_page(run._replace(plan={**run.plan, name: given}))
        law = f"{tmp_path / 'run' / 'plan.json'}: its {name} cannot be read ({given})"
        assert str(error.value) == f"{law}; restore it, or read it with the version that wrote it"


@pytest.mark.parametrize(
    ("states", "reasons"),
    [
        (
            (),
            {
                "Accuracy against parameters": "accuracies need at least 1 complete trial; there are 0",
                "History": "the history needs at least 1 complete trial; there are 0",
                "What mattered": "importances need at least 2 complete trials; there are 0",
                "Parallel coordinates": "importances need at least 2 complete trials; there are 0",
                "Choice by choice": "importances need at least 2 complete trials; there are 0",
                "Learning curves": "learning curves need at least 1 trained epoch; there is none",
                "Timeline": "the timeline needs at least 1 trial that a worker began with; there is none",
            },
        ),
        (
            ("complete",),
            {
                "What mattered": "importances need at least 2 complete trials; there is 1",
                "Parallel coordinates": "importances need at least 2 complete trials; there is 1",
                "Choice by choice": "importances need at least 2 complete trials; there is 1",
            },
        ),
    ],
)
def test_a_figure_that_does_not_apply_yet_says_why(
    tmp_path: Path, states: tuple[FinalState, ...], reasons: dict[str, str]
) -> None:
    run = read(write_run(tmp_path / "run", states=states))
    drawings = [figures.draw(figure, _material(run)) for figure in FIGURES]
    assert {drawing.title: drawing.reason for drawing in drawings if drawing.reason} == reasons
    assert all(reason in as_page(run) for reason in reasons.values())


def test_importances_of_equal_scores_say_why_there_are_none(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", states=())
    with record.own(folder) as to:
        for trial in range(3):
            to.append(asked(trial, network(draw(trial))))
            to.append(Finished(trial=trial, state="complete", score=0.5))
    drawing = figures.draw(FIGURES[2], _material(read(folder)))
    assert drawing.reason == "importances need complete trials of different accuracy; all have the same"


def test_importances_of_a_plan_without_holes_say_why_there_are_none(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", states=())
    with record.own(folder) as to:
        for trial in range(3):
            to.append(asked(trial, network(draw(trial))).model_copy(update={"built": {}}))
            to.append(Finished(trial=trial, state="complete", score=trial / 10))
    drawing = figures.draw(FIGURES[2], _material(read(folder)))
    assert drawing.reason == "importances need holes that more than one value was built in"


def test_the_curves_of_trials_that_wait_to_go_on_are_drawn(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", states=(), closed=None)
    with record.own(folder) as to:
        for event in story(0, "complete")[:-1]:
            to.append(event)
        to.append(Closed(state="interrupted"))
    run = read(folder)
    (curve,) = charts.curves(_material(run))[0].data
    assert [trial.state for trial in run.trials] == ["running"]
    assert list(curve.y) == [100 * epoch.validation_accuracy for epoch in run.trials[0].epochs]


def _breaks(material: Material) -> list[go.Figure]:
    raise ZeroDivisionError(f"by {len(material.run.trials)}")


def _cannot_be_written(material: Material) -> list[object]:
    _ = material
    return ["no figure"]


@pytest.mark.parametrize(
    ("draw_it", "reason"),
    [
        (_breaks, "could not be drawn: ZeroDivisionError: by 21"),
        (_cannot_be_written, "could not be written: ValueError: "),
    ],
)
def test_a_broken_figure_breaks_only_itself(
    run: Run, monkeypatch: pytest.MonkeyPatch, draw_it: Callable[[Material], list[Any]], reason: str
) -> None:
    broken = Figure("Broken", "It breaks.", draw_it)
    monkeypatch.setattr("cnnsearch.report.write.asked", lambda _: (broken, FIGURES[0]))
    page = as_page(run)
    assert reason in page
    assert "<h2>Accuracy against parameters</h2>" in page


def test_a_network_that_cannot_be_drawn_says_why(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", states=())
    mine = asked(0, network(draw(1)))
    with record.own(folder) as to:
        to.append(mine.model_copy(update={"network": mine.network | {"blocks": [{"kind": "mine"}]}}))
        to.append(Finished(trial=0, state="complete", score=0.5))
    page = as_page(read(folder))
    assert "the network cannot be drawn: blocks[0].kind: &#x27;mine&#x27; is no registered kind of block" in page
    assert "1 block of kinds not imported here" in page


@pytest.mark.parametrize("notice", ["MNIST is not to be had: this run is on digits"])
def test_a_notice_stands_above_everything_else(tmp_path: Path, notice: str) -> None:
    page = as_page(read(write_run(tmp_path / "run", notice=notice)))
    assert page.index(f'<p class="notice">{notice}</p>') < page.index("The best network found")


def test_a_run_without_a_result_says_so(tmp_path: Path) -> None:
    page = as_page(read(write_run(tmp_path / "run", states=("failed",), closed=None)))
    assert "No network has a result yet. In " in page
    assert "interrupted: the same command goes on" in page


def test_a_run_is_drawn_while_it_runs(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", closed=None)
    with record.own(folder) as to:
        to.append(asked(len(STATES), network(draw(1)), BEGIN))
        to.append(Started(trial=len(STATES), attempt=1, slot=0, time=BEGIN))
        to.append(Epoch(trial=len(STATES), epoch=1, loss=1, validation_accuracy=0.9, validation_loss=1, seconds=1))
        run = read(folder)
        assert [figures.draw(figure, _material(run)).reason for figure in FIGURES] == [""] * len(FIGURES)
        assert "still running" in as_page(run)


@pytest.fixture
def handler_of_ctrl_c() -> Iterator[None]:
    """Give the tests' own handler back, which the command replaces while it loads."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("handler_of_ctrl_c")
def test_the_report_is_written_beside_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_run(tmp_path / "run ?#%é")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(sys, "argv", ["report", str(folder)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("cnnsearch.report", run_name="__main__")
    assert (ended.value.code, capsys.readouterr().out) == (0, f"{folder / 'report.html'}\n")
    assert (folder / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "report.html"} == before


@pytest.mark.usefixtures("handler_of_ctrl_c")
def test_the_report_of_no_run_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["report", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("cnnsearch.report", run_name="__main__")
    error = f"{tmp_path}: no plan.json in it; give the folder of a run, such as runs/NAME\n"
    assert (ended.value.code, capsys.readouterr().err) == (1, error)


def test_a_page_may_be_written_into_another_folder(tmp_path: Path) -> None:
    assert write_report(write_run(tmp_path / "run"), tmp_path) == tmp_path / "report.html"
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_a_page_whose_draft_a_study_clears_away_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, tidied = write_run(tmp_path / "run"), []
    sync_file = files.sync_file

    def tidy_once(descriptor: int) -> None:
        if not tidied:
            tidied.append(True)
            files.remove_drafts(folder)
        sync_file(descriptor)

    monkeypatch.setattr(files, "sync_file", tidy_once)
    assert write_report(folder).read_text().startswith("<!doctype html>")
    assert tidied


def test_writing_twice_gives_the_same_page(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first


def test_the_front_has_all_networks_that_no_smaller_one_equals_and_no_others(run: Run) -> None:
    worth = {trial.number: (-trial.parameters, trial.score or 0) for trial in run.ranked}
    beaten = {
        number
        for number, mine in worth.items()
        if any(other != mine and other[0] >= mine[0] and other[1] >= mine[1] for other in worth.values())
    }
    assert beaten
    assert {trial.number for trial in run.front} == worth.keys() - beaten
    assert run.front[-1] == run.ranked[0]


def test_optuna_sees_every_trial_under_its_own_number(run: Run) -> None:
    told = trials.study(run).trials
    states = {"complete": "COMPLETE", "failed": "FAIL"}
    assert [trial.number for trial in told] == [trial.number for trial in run.trials]
    assert [trial.state.name for trial in told] == [states.get(trial.state, "PRUNED") for trial in run.trials]
    assert [trial.value for trial in told] == [trial.score for trial in run.trials]
    assert told[0].datetime_start == datetime.fromtimestamp(BEGIN + 1)  # noqa: DTZ006
    assert told[2].intermediate_values == {e.epoch: e.validation_accuracy for e in run.trials[2].epochs}
    assert told[0].user_attrs["macs"] == run.trials[0].macs
    assert not told[5].user_attrs["feasible"]


@pytest.fixture
def berlin() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("berlin")
def test_no_trial_ends_before_it_began_though_summer_time_ends(tmp_path: Path) -> None:
    folder, before_its_end = tmp_path / "run", datetime(2026, 10, 25, 1, tzinfo=UTC).timestamp() - 10
    with record.own(write_run(folder, states=(), closed=None)) as to:
        for event in story(0, "complete"):
            to.append(event.model_copy(update={"time": before_its_end + event.time - BEGIN}))
    (told,) = trials.study(read(folder)).trials
    assert told.duration == timedelta(0)


def test_optuna_sees_what_was_built_and_not_what_was_asked(run: Run) -> None:
    for told, trial in zip(trials.study(run).trials, run.trials, strict=True):
        assert set(told.params) == set(trial.built)
        assert told.params["blocks[0].repeat"] == trial.built["blocks[0].repeat"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3, 5, 3], "CategoricalDistribution(choices=(3, 5))"),
        (list(range(2, 20)), "IntDistribution(high=19, log=False, low=2, step=1)"),
        (list(range(1, 100)), "IntDistribution(high=99, log=True, low=1, step=1)"),
        ([0.1, 0.2], "FloatDistribution(high=0.2, log=False, low=0.1, step=None)"),
        ([0.001, 0.1], "FloatDistribution(high=0.1, log=True, low=0.001, step=None)"),
        ([0.1, 0.2] * 4, "CategoricalDistribution(choices=(0.1, 0.2))"),
        ([None, True, "same", 3], "CategoricalDistribution(choices=('3', 'null', 'same', 'true'))"),
    ],
)
def test_a_hole_gets_a_distribution_that_holds_what_was_built(
    run: Run, values: list[int | float | str | bool | None], expected: str
) -> None:
    built = [run.trials[0].model_copy(update={"built": {"hole": value}}) for value in values]
    holes = trials.distributions(built)
    assert str(holes["hole"]) == expected
    assert all("hole" in trials.frozen(trial, holes, alive=False).params for trial in built)


def test_a_trial_whose_coordinator_died_is_waiting(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", states=(), closed=None)
    with record.own(folder) as to:
        to.append(asked(0, network(draw(1))))
        assert trials.study(read(folder)).trials[0].state.name == "RUNNING"
    assert trials.study(read(folder)).trials[0].state.name == "WAITING"


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["head.hidden", "recipe.epochs"], ["hidden", "epochs"]),
        (["blocks[0].conv.kernel_size", "blocks[0].maxpool.kernel_size"], ["conv.kernel_size", "maxpool.kernel_size"]),
        (["blocks[0].block[1].relu", "blocks[2].relu"], ["0.1 relu", "2 relu"]),
        (["blocks[0].block[1].conv.stride", "blocks[0].repeat"], ["1 stride", "repeat"]),
        (["a.choice[1].stride", "a.choice[2].stride"], ["a.choice[1].stride", "a.choice[2].stride"]),
    ],
)
def test_holes_are_shortened_until_two_would_be_alike(names: list[str], short: list[str]) -> None:
    assert short_names(names) == dict(zip(names, short, strict=True))


def test_options_are_shown_in_words_and_not_as_tags(run: Run) -> None:
    built = {"a": '{"kernel_size": 2, "stride": 1}', "b": "<b>", "c": 3, "d": "{}"}
    shown = readable(
        run._replace(trials=(run.trials[0].model_copy(update={"built": built}),)), {x: f"<{x}>" for x in "abcd"}
    )
    words = {"&lt;a&gt;": "kernel_size 2, stride 1", "&lt;b&gt;": "&lt;b&gt;", "&lt;c&gt;": 3, "&lt;d&gt;": "{}"}
    assert shown.trials[0].built == words


def test_every_layer_of_a_network_is_in_its_drawing(run: Run) -> None:
    net = run.ranked[0].network
    boxes = stages(net)
    assert sum(1 + len(box.followers) for box in boxes) == len(net.layers)
    assert sum(box.parameters for box in boxes) == net.cost.parameters
    assert boxes[-1].row.shape == net.layers[-1].shape


def test_a_drawing_names_what_is_unusual_and_nothing_else() -> None:
    conv = {"out_channels": 4, "kernel_size": [3, 5], "stride": 2, "dilation": 2, "groups": 2}
    pool = {"kernel_size": 3, "stride": 2, "padding": 1}
    net = Network.model_validate(
        {
            "input": {"channels": 2, "height": 32, "width": 32},
            "blocks": [
                {"conv": conv | {"groups": 1}, "maxpool": pool},
                {"conv": {"out_channels": 6, "kernel_size": 1, "groups": 2}, "maxpool": {"kernel_size": 2}},
                {"kind": "residual", "conv": {"out_channels": 6, "kernel_size": 1}},
                {"kind": "separable", "conv": {"out_channels": 6, "kernel_size": 1}},
            ],
            "classes": 3,
        }
    )
    labels = [box.label for box in stages(net)]
    assert labels[:4] == [
        "Conv 3\N{MULTIPLICATION SIGN}5, stride 2\N{MULTIPLICATION SIGN}2, dilation 2\N{MULTIPLICATION SIGN}2",
        "MaxPool 3\N{MULTIPLICATION SIGN}3, stride 2\N{MULTIPLICATION SIGN}2",
        "Conv 1\N{MULTIPLICATION SIGN}1, 2 groups",
        "MaxPool 2\N{MULTIPLICATION SIGN}2",
    ]
    assert "depthwise Conv 1\N{MULTIPLICATION SIGN}1" in labels
    html = drawn(net)
    assert "<h4>blocks[2] residual</h4>" in html
    assert "<b>add.body: Conv" not in html
    assert "<b>body: Conv 1\N{MULTIPLICATION SIGN}1</b>" in html


@hypothesis.given(st.floats(1e-6, 1e9), st.floats(1.0001, 1e5))
def test_round_numbers_stand_between_any_two_costs(lowest: float, times: float) -> None:
    highest = lowest * times
    ticks = charts.ticks([lowest, highest])
    inside = [tick for tick in ticks if lowest <= tick <= highest]
    assert 2 <= len(inside) <= 7 or times >= 30
    assert ticks[0] <= lowest * 1.0001
    assert ticks[-1] >= highest * 0.9999


def test_the_figures_of_a_page_are_plotlys(tmp_path: Path) -> None:
    write_run(tmp_path / "run", states=("complete", "stopped") * 4)
    run = cnnsearch.read_run(str(tmp_path / "run"))
    assert run == read(tmp_path / "run")
    shown = cnnsearch.figures(run)
    page = as_page(run)
    assert all(f"<h2>{title}</h2>" in page for title in shown)
    assert {type(chart) for charts in shown.values() for chart in charts} == {type(new_chart())}
    write_run(tmp_path / "none", states=())
    assert set(cnnsearch.figures(cnnsearch.read_run(tmp_path / "none"))) < set(shown), "what does not apply is left out"
