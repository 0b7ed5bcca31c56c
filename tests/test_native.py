"""Compiling and loading: once a machine, whole or not at all, and never an obstacle."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cnnsearch import native

READY = native.library()
needs_compiler = pytest.mark.skipif(READY is None, reason="no C++ compiler here")


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    native.library.cache_clear()
    yield
    native.library.cache_clear()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(native, "user_cache_path", lambda _: tmp_path / "cache")
    return tmp_path / "cache" / "native"


def compiler(folder: Path, script: str) -> str:
    path = folder / "c++"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def quick(home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Lend a compiler that gives what the real one made before: that one takes seconds."""
    assert READY
    made = READY._name  # noqa: SLF001 (where it lies)
    monkeypatch.setenv("CXX", copies := compiler(home.parents[1], f"for last; do :; done; cp '{made}' \"$last\""))
    return copies


def test_without_a_compiler_there_is_none(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert native.library() is None
    assert capfd.readouterr().err == "training without compiled layers: no C++ compiler 'no-such-compiler' here\n"


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNSEARCH_NATIVE", "0")
    assert native.library() is None


def test_a_compiler_that_fails_is_quoted_and_leaves_nothing(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXX", compiler(tmp_path, "echo no such option >&2; exit 1"))
    assert native.library() is None
    assert "training without compiled layers: " in (said := capfd.readouterr().err)
    assert said.endswith("says\nno such option\n\n")
    assert list(home.iterdir()) == []


@needs_compiler
def test_what_a_power_cut_left_of_one_is_made_anew(home: Path, quick: str) -> None:
    home.mkdir(parents=True)
    made = home / f"{native._identity(quick)}.so"  # noqa: SLF001 (where it lies)
    made.touch()
    assert native.library() is not None
    assert made.stat().st_size > 0


@pytest.mark.usefixtures("home")
def test_what_is_no_library_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXX", compiler(tmp_path, 'for last; do :; done; echo text > "$last"'))
    assert native.library() is None
    assert "training without compiled layers: " in capfd.readouterr().err


@needs_compiler
def test_it_is_compiled_once_and_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert native.library() is not None
    (made,) = home.iterdir()
    assert made.suffix == ".so"
    native.library.cache_clear()
    monkeypatch.setattr(native.subprocess, "run", lambda *_, **__: pytest.fail("compiled again"))
    assert native.library() is not None


@needs_compiler
@pytest.mark.usefixtures("quick")
def test_a_home_that_cannot_be_written_is_no_obstacle(home: Path) -> None:
    home.parent.mkdir()
    home.write_text("a file where the folder should be")
    assert native.library() is not None
    assert home.is_file()
