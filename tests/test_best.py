from pathlib import Path

from cnnsearch.network import Network
from cnnsearch.places import BEST_NETWORK, BEST_WEIGHTS
from cnnsearch.study.best import drop, publish, tidy, weights_of

NET = Network.model_validate(
    {
        "input": {"channels": 1, "height": 8, "width": 8},
        "blocks": [{"kind": "residual", "conv": {"out_channels": 2, "kernel_size": 3, "padding": "same"}}],
        "classes": 10,
    }
)


def trained(folder: Path, trial: int) -> Path:
    path = weights_of(folder, trial)
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"weights of {trial}")
    return path


def test_the_best_network_lies_in_its_place_and_nowhere_else(tmp_path: Path) -> None:
    source = trained(tmp_path, 3)
    publish(tmp_path, 3, NET)
    assert (tmp_path / BEST_WEIGHTS).read_text() == "weights of 3"
    assert Network.model_validate_json((tmp_path / BEST_NETWORK).read_text()) == NET
    assert not source.exists()


def test_a_better_one_takes_its_place_and_doing_so_again_changes_nothing(tmp_path: Path) -> None:
    for trial in (3, 8):
        trained(tmp_path, trial)
        publish(tmp_path, trial, NET)
    publish(tmp_path, 8, NET)
    assert (tmp_path / BEST_WEIGHTS).read_text() == "weights of 8"


def test_weights_that_nobody_asks_for_are_removed_once_or_twice(tmp_path: Path) -> None:
    source = trained(tmp_path, 3)
    drop(tmp_path, 3)
    drop(tmp_path, 3)
    assert not source.exists()


def test_what_a_killed_invocation_left_behind_is_removed(tmp_path: Path) -> None:
    trained(tmp_path, 3)
    publish(tmp_path, 3, NET)
    trained(tmp_path, 4)
    drafts = [tmp_path / ".summary.json.0123abcd.tmp", tmp_path / "best" / ".network.json.0123abcd.tmp"]
    for draft in drafts:
        draft.touch()
    (tmp_path / "notes.tmp").touch()
    tidy(tmp_path, ())
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {BEST_NETWORK, BEST_WEIGHTS, "notes.tmp"}
