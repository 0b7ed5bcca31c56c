"""The goals that count tests: one that fails, is skipped or is missing is noticed."""

from pathlib import Path

import goals_tests
import pytest


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def test_a(): assert False\ndef test_b(): pass", "1 failed, 1 passed in "),
        (
            "import pytest\ndef test_a(): pytest.skip()\ndef test_b(): pass",
            "1 of 2 cases: 1 passed, 1 skipped in ",
        ),
        ("x = 1 +", "1 error in "),
        ("", "no tests ran in "),
    ],
    ids=["fails", "is skipped", "no Python", "none"],
)
def test_cases_that_do_not_pass_miss_the_goal(
    source: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_it.py").write_text(source)
    monkeypatch.setattr(goals_tests, "ROOT", tmp_path)
    with pytest.raises(AssertionError) as missed:
        goals_tests.counted(2, "test_it.py")
    assert str(missed.value).splitlines()[0].startswith(said)


def test_cases_that_pass_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_it.py").write_text("def test_a(): pass\ndef test_ab(): pass\ndef test_c(): assert False")
    monkeypatch.setattr(goals_tests, "ROOT", tmp_path)
    assert goals_tests.counted(2, "test_it.py", "a") == "2 tests of test_it.py passed"
