"""The goal of the dashboard's server; it is also seen to fail once what it guards is taken away."""

import sys

import pytest

pytest.importorskip("optuna_dashboard", reason="the extra `dashboard` is not installed")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="all of 127.0.0.0/8 is this machine on Linux alone")

import goals_server as server  # noqa: E402 (it asks the dashboard for its routes)


def test_nobody_gets_or_changes_what_is_not_theirs() -> None:
    server.requests(100)


@pytest.mark.parametrize(("guard", "missed"), [("filter", "^get / .*: 302"), ("address", "it can be reached at ")])
def test_a_server_without_its_guard_is_noticed(monkeypatch: pytest.MonkeyPatch, guard: str, missed: str) -> None:
    monkeypatch.setenv("CNNSEARCH_BROKEN", guard)
    with pytest.raises(AssertionError, match=missed):
        server.requests(0)
