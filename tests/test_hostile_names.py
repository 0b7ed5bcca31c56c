"""Hostile names in a real browser; skipped with the reason where there is none."""

import re
from html.parser import HTMLParser
from pathlib import Path

import browser
import goals_pages as pages
import pytest

from cnnsearch.report import page
from cnnsearch.report.plots import plotly_js
from cnnsearch.report.write import write_report

WITH_BROWSER = pytest.mark.skipif(bool(browser.missing()), reason=browser.missing() or "there is one")


@WITH_BROWSER
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_hostile_names_run_no_script() -> None:
    pages.hostile_names(pages.A_RUN)


@WITH_BROWSER
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("policy", ["kept", "taken away too"])
def test_a_page_that_forgets_to_escape_is_noticed(policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "escape", str)
    monkeypatch.setattr(page, "_policy", page.__dict__["_policy"] if policy == "kept" else lambda _: "")
    folder = pages.hostile_run(tmp_path, list(pages.PAYLOADS[2:9]))
    with browser.browser() as running:
        seen = browser.look(running, write_report(folder).as_uri())
    assert (bool(seen.refused), bool(seen.ran)) == (policy == "kept", policy != "kept")


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_hostile_names_become_no_tag_and_no_attribute(tmp_path: Path) -> None:
    plain = _Tags()
    whole = write_report(pages.hostile_run(tmp_path, list(pages.texts(60)))).read_text()
    plain.feed(whole.replace(plotly_js(), ""))
    strange = {"img", "iframe", "base", "form", "object", "embed", "a", "math", "link"}
    assert not {tag for tag, _ in plain.found} & strange
    assert not [name for _, attributes in plain.found for name in attributes if name.startswith("on")]
    allowed = re.findall(r"'sha256-[^']+'", whole[: whole.index("<style>")])
    assert len(allowed) == sum(tag == "script" for tag, _ in plain.found)
