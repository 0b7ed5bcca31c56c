"""A few cases of each goal of `faults.py`; each goal is also seen to fail once what it guards is taken away."""

import faults
import goals_words as words
import pytest

from cnnsearch import network, shapes, text
from cnnsearch.cost import Cost
from cnnsearch.errors import Fault, InvalidSpecError


def test_fuzzed_networks_are_exact_or_refused_with_a_place() -> None:
    words.fuzzed_networks(1_000)


def test_a_wrong_size_law_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_through", network.__dict__["_through"].__wrapped__)  # which remembers what was right
    monkeypatch.setattr(shapes, "_reach", lambda window, axis: window.kernel_size[axis])  # forgets the dilation
    with pytest.raises(AssertionError, match="priced wrongly"):
        words.fuzzed_networks(1_000)


def test_fuzzed_bytes_are_read_or_refused_with_a_position() -> None:
    words.fuzzed_bytes(1_000)


def test_a_refusal_that_lost_its_position_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_refusal", lambda _, message: InvalidSpecError((Fault("", message),)))
    with pytest.raises(AssertionError, match="not UTF-8"):
        words.fuzzed_bytes(1_000)


def test_bombs_are_refused_at_once() -> None:
    words.bombs(len(words.BOMBS))


def test_a_bomb_that_is_taken_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnsearch.network.MOST", Cost(*[10**30] * 5))
    with pytest.raises(AssertionError, match=r"a product of 10\^18 was taken"):
        words.bombs(len(words.BOMBS))


def test_a_goal_s_line_says_whether_it_is_met() -> None:
    def missed(count: int) -> str:
        raise AssertionError(f"{count} lost\nand more")

    def met(count: int) -> str:
        return f"{count} tried"

    said = faults.line(faults.Goal("R0", "all", 3, met))
    assert said[0]
    assert said[1].startswith("met    R0   all: 3 tried (")
    said = faults.line(faults.Goal("R0", "all", 3, missed))
    assert not said[0]
    assert said[1].startswith("MISSED R0   all: 3 lost (")
