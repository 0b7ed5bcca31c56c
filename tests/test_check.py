"""What `python -m cnnsearch.check` says of a file, and how it refuses one."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from amount import examples
from commands import ROOT, heavy_imports, python
from golden_files import golden
from hypothesis import given
from hypothesis import strategies as st

from cnnsearch.blocks import KINDS, Block
from cnnsearch.check.__main__ import main
from cnnsearch.check.collect import collect
from cnnsearch.check.describe import describe, holes
from cnnsearch.check.reading import Reading, reading
from cnnsearch.check.table import table
from cnnsearch.check.total import add
from cnnsearch.cost import Cost
from cnnsearch.network import Network
from cnnsearch.plan import Plan
from cnnsearch.space import Space
from cnnsearch.strategies import networks

IMAGE = {"channels": 1, "height": 4, "width": 4}
CONV = {"out_channels": 8, "kernel_size": 3}
SPACE: dict[str, Any] = {
    "input": {"channels": 1, "height": 28, "width": 28},
    "blocks": [
        {
            "repeat": {"int": [2, 4]},
            "block": {
                "conv": {"out_channels": {"choice": [8, 16, 32]}, "kernel_size": {"choice": [3, 5]}, "padding": "same"},
                "maxpool": {"choice": [None, {"kernel_size": 2}]},
            },
        }
    ],
    "head": {"dropout": {"float": [0.0, 0.5]}, "hidden": {"choice": [[], [{"int": [16, 64], "log": True}]]}},
    "classes": 10,
}
PLAN = """
dataset: digits
name: example
space:
  blocks: [{conv: {out_channels: {int: [4, 40], step: 4}, kernel_size: 3}}]
recipe: {epochs: 3, learning_rate: {float: [0.001, 0.1], log: true}}
limits: {max_parameters: 200}
sampler: {kind: random}
pruner: {kind: none}
start: [start.json]
executor: {workers: 2, device: cpu}
"""
START = {"input": {"channels": 1, "height": 8, "width": 8}, "blocks": [{"conv": CONV}], "classes": 10}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))  # no speed of earlier runs
    monkeypatch.setenv("HOME", str(tmp_path))


def written(name: str, content: object) -> str:
    Path(name).write_text(content if isinstance(content, str) else json.dumps(content))
    return name


def refusal(name: str, content: object, capsys: pytest.CaptureFixture[str]) -> str:
    assert main([written(name, content)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_a_network_is_shown_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(ROOT / "examples/network.json")]) == 0
    said = capsys.readouterr()
    assert said.out == golden("check_network.txt", said.out)


def test_a_space_is_shown_with_its_holes_and_drawn_networks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([written("space.json", SPACE)]) == 0
    said = capsys.readouterr()
    assert said.out == golden("check_space.txt", said.out)


def test_a_plan_is_shown_as_a_dry_run_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    written("start.json", START)
    assert main([written("plan.yaml", PLAN)]) == 0
    said = capsys.readouterr()
    assert said.out == golden("check_plan.txt", said.out)


@pytest.mark.parametrize("kind", list(KINDS.values()), ids=list(KINDS))
def test_the_columns_add_up_to_the_cost(kind: type[Block]) -> None:
    def law(network: Network) -> None:
        total = add(collect(network))
        assert Cost(*total[4:]) == network.cost
        assert total.map == f"{network.classes}x1x1"

    examples(30)(given(networks(kind))(law))()


@examples(30)
@given(networks(*KINDS.values()))
def test_the_printed_columns_add_up_to_the_printed_total(network: Network) -> None:
    lines = collect(network)
    printed = [row.split() for row in table(lines, add(lines)) if not row.startswith("-")]
    numbers = [[int(cell.replace(",", "")) for cell in row[-5:]] for row in printed[1:]]
    *columns, live = ([*column] for column in zip(*numbers, strict=True))
    assert [sum(column[:-1]) for column in columns] == [column[-1] for column in columns]
    assert max(live[:-1]) == live[-1]


def test_a_network_in_yaml_reads_as_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        "input: {channels: 1, height: 4, width: 4}\nblocks: [{conv: {out_channels: 8, kernel_size: 3}}]\nclasses: 10\n"
    )
    assert main([written("net.yml", text)]) == 0
    assert capsys.readouterr().out.startswith("a network: 8, average\n")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"blocks": []}, Reading("network", "it has `blocks` at its top and no hole")),
        ({"classes": 3}, Reading("network", "it has `classes` at its top and no hole")),
        ({"blocks": [{"repeat": 2, "block": {}}]}, Reading("space", "it has `blocks` at its top and a `repeat`")),
        ({"head": {"dropout": {"float": [0, 1]}}}, Reading("space", "it has `head` at its top and a `float`")),
        ({"dataset": "mnist", "blocks": []}, Reading("plan", "it has `dataset` at its top")),
        ({}, Reading("plan", "none of input, blocks, head, classes stands at its top")),
        ({"space": {"blocks": []}}, Reading("plan", "none of input, blocks, head, classes stands at its top")),
        ([1, 2], Reading("plan", "none of input, blocks, head, classes stands at its top")),
    ],
)
def test_the_keys_at_the_top_decide_as_what_a_file_is_read(data: object, said: Reading) -> None:
    assert reading(data) == said


def test_a_network_that_does_not_fit_is_refused_with_place_law_and_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = [{"conv": CONV, "maxpool": {"kernel_size": 4}}]
    said = refusal("net.json", {"input": IMAGE, "blocks": blocks, "classes": 10}, capsys)
    assert said == (
        "net.json: no valid network (read as a network: it has `input` at its top and no hole)\n"
        "  blocks[0].maxpool.kernel_size: window 4 is wider than its 2x2 input"
        " (floor((2 + 2*0 - 1*(4-1) - 1)/4) + 1 = 0); drop this pool or pool less before it\n"
    )


def test_every_fault_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = [{"conv": {"out_channels": "8", "kernel_size": 2.5}}, {"conv": CONV, "relu": True, "pool": {}}]
    said = refusal("net.json", {"input": IMAGE, "blocks": blocks}, capsys)
    assert said.splitlines()[1:] == [
        "  blocks[0].conv.out_channels: input should be a valid integer, not '8'; write it without quotation marks",
        "  blocks[0].conv.kernel_size: must be a whole number or a [height, width] pair of them, not 2.5",
        "  blocks[1].relu: must be a mapping such as {inplace: ...}, not True",
        "  blocks[1].pool: unknown key; perhaps you meant 'maxpool'",
        "  classes: missing; this key must be given",
    ]


def test_a_space_is_refused_as_a_space(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = [{"conv": {"out_channels": {"choice": [8, "many"]}, "kernel_size": 3}}]
    said = refusal("space.json", {"input": IMAGE, "blocks": blocks, "classes": 10}, capsys)
    assert said == (
        "space.json: no valid space (read as a space: it has `input` at its top and a `choice`)\n"
        "  blocks[0].conv.out_channels.choice[1]: input should be a valid integer, not 'many'\n"
    )


def test_a_plan_is_refused_as_a_plan(capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal("plan.yaml", "dataset: mnits\nrecipy: {}\n", capsys)
    assert said == (
        "plan.yaml: no valid plan (read as a plan: none of input, blocks, head, classes stands at its top)\n"
        "  dataset: 'mnits' is neither 'mnist' nor 'digits', and no folder or .npz file of that name is there; "
        "perhaps you meant 'mnist'\n"
        "  recipy: unknown key; perhaps you meant 'recipe'\n"
    )


def test_a_start_network_is_read_relative_to_its_plan(capsys: pytest.CaptureFixture[str]) -> None:
    Path("plans").mkdir()
    written("plans/net.json", {"input": IMAGE, "blocks": []})
    said = refusal("plans/plan.yaml", "start: [net.json, none.json]", capsys)
    assert (
        said.splitlines()[1]
        == "  start[1]: plans/none.json: cannot be read (No such file or directory); check the path"
    )


def test_text_that_is_no_json_is_refused_by_line_and_column(capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal("net.json", '{"blocks":\n ]', capsys)
    assert said == "net.json: neither network, space nor plan\n  line 2, column 2: not JSON: Expecting value\n"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("none.json", "cannot be read (No such file or directory); check the path"),
        (".", "a folder, not a file; in that of a run the plan is plan.json"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(path: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([path]) == 2
    heading = f"{path}: neither network, space nor plan\n"
    assert capsys.readouterr().err == f"{heading}  {reason}\n"


def test_a_bomb_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    conv = {"out_channels": 1_000_000_000, "kernel_size": 3}
    said = refusal("net.json", {"input": IMAGE, "blocks": [{"conv": conv}], "classes": 10}, capsys)
    law = "input should be less than or equal to 4096, not 1000000000"
    assert said.splitlines()[1] == f"  blocks[0].conv.out_channels: {law}"


def test_a_module_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--import", "nowhere", "net.json"]) == 2
    law = "'nowhere' cannot be imported (ModuleNotFoundError: No module named 'nowhere')"
    assert capsys.readouterr().err == f"imports: {law}; give it as `import` would, from the folder it lies in\n"


def test_a_module_that_ends_the_program_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "script_without_a_guard.py").write_text("import sys\nsys.exit()\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["--import", "script_without_a_guard", "net.json"]) == 2
    law = f"({tmp_path / 'script_without_a_guard.py'}, line 2: SystemExit: ); mend it there"
    assert capsys.readouterr().err == f"imports: 'script_without_a_guard' cannot be imported {law}\n"


def test_nothing_to_check_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([])
    said = capsys.readouterr().err
    assert said.endswith("error: what is to be checked? give a FILE, or --write-schemas FOLDER\n")


def test_a_space_beyond_the_librarys_limits_shows_which(capsys: pytest.CaptureFixture[str]) -> None:
    wide = {"out_channels": {"choice": [4096]}, "kernel_size": 31, "padding": "same"}
    data = {"input": {"channels": 4096, "height": 99, "width": 99}, "blocks": [{"conv": wide}], "classes": 10}
    assert main([written("space.json", data)]) == 0
    law = "parameters 16,122,957,834 exceeds the library's limit of 1,000,000,000"
    assert capsys.readouterr().out.splitlines()[-1] == f"  blocks: {law}; use fewer channels or pool earlier"


def test_repetitions_share_a_line_and_long_lists_are_cut() -> None:
    block = {"conv": {"out_channels": {"int": [1, 100]}, "kernel_size": 1}}
    space = Space({"input": IMAGE, "classes": 2, "blocks": [{"repeat": 3, "block": block}]})
    place = "  blocks[0].block.conv.out_channels"
    assert list(holes(space.holes)) == ["3 holes:", f"{place}  1, 2, 3, 4, 5, 6, ..., 100, in each of 3 repetitions"]


def test_a_space_without_holes_says_so() -> None:
    plan = Plan.model_validate(
        {"dataset": "digits", "space": {"blocks": [{"conv": CONV}]}, "recipe": {"learning_rate": 0.1}}
    )
    assert next(holes(plan.searched.holes)) == "no holes"
    assert "space     1 distinct network;" in "\n".join(describe(plan))


def test_a_file_with_an_own_kind_needs_its_import_and_no_torch(tmp_path: Path) -> None:
    written("net.json", {"input": IMAGE, "blocks": [{"kind": "excited", "conv": CONV}], "classes": 10})
    there = {"PYTHONPATH": str(ROOT / "examples")}
    without = python(["-m", "cnnsearch.check", "net.json"], tmp_path, **there)
    law = "'excited' is no registered kind of block (known: plain, residual, separable)"
    law += "; import the module that registers it first (--import, or `imports` in a plan file)"
    assert (without.returncode, without.stderr.splitlines()[1]) == (2, f"  blocks[0].kind: {law}")
    own = python(["-X", "importtime", "-m", "cnnsearch.check", "net.json", "--import", "own_block"], tmp_path, **there)
    assert own.returncode == 0, own.stderr
    assert "blocks[0].squeeze    SqueezeExcite" in own.stdout
    assert heavy_imports(own.stderr) == []


@pytest.mark.parametrize("content", ["space: {blocks: [}", json.dumps(SPACE), PLAN.replace("[start.json]", "[]")])
def test_an_answer_takes_no_heavy_library(content: str, tmp_path: Path) -> None:
    written("file.yaml", content)
    said = python(["-X", "importtime", "-m", "cnnsearch.check", "file.yaml"], tmp_path)
    assert heavy_imports(said.stderr) == []
    assert "Traceback" not in said.stderr


@examples(50)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_no_plain_data_makes_a_traceback(data: object) -> None:
    assert main([written("any.json", {"blocks": data})]) == 2


@pytest.mark.parametrize("command", ["check studies/digits.yaml", "study --dataset digits --dry-run"])
def test_a_reader_that_has_enough_ends_a_command_quietly(command: str) -> None:
    arguments = [sys.executable, "-m", *f"cnnsearch.{command}".split()]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(arguments, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, "")


def test_of_several_files_each_is_told_whatever_is_wrong_in_another(capsys: pytest.CaptureFixture[str]) -> None:
    network = {"input": IMAGE, "blocks": [{"conv": CONV}], "classes": 10}
    good, bad = written("good.json", network), written("bad.json", {**network, "classes": 1})
    assert main([good]) == 0
    alone = capsys.readouterr().out
    assert main([bad, good, good]) == 2
    said = capsys.readouterr()
    assert said.out == f"{good}:\n{alone}\n" * 2
    assert said.err.startswith(f"{bad}: no valid network (read as a network: it has `input` at its top and no hole)\n")


def test_an_option_that_fits_nowhere_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    pool = {"choice": [None, {"kernel_size": 40}, {"kernel_size": {"choice": [2, 30]}}]}
    block = {"conv": {"out_channels": 8, "kernel_size": 3}, "maxpool": pool}
    blocks = [{"repeat": {"int": [1, 4]}, "block": block}]
    image = {"channels": 1, "height": 28, "width": 28}
    assert main([written("space.json", {"input": image, "blocks": blocks, "classes": 10})]) == 0
    rest = "fits in no network and is never drawn: a typo?"
    place = "blocks[0].block.maxpool.choice"
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")] == [
        f"warning   {place}[1] {rest}", f"warning   {place}[2].kernel_size.choice[1] {rest}",
    ]  # fmt: skip


def test_an_option_that_fits_in_one_repetition_only_is_no_slip() -> None:
    block = {"conv": CONV, "maxpool": {"choice": [None, {"kernel_size": 4}]}}
    image = {"channels": 1, "height": 8, "width": 8}
    space = Space({"input": image, "classes": 2, "blocks": [{"repeat": 2, "block": block}]})
    assert space.never_drawn == ()
