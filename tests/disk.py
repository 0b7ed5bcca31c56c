"""Studies on a disk that can be seen and stopped, by `disk.c`: on Linux, with a C compiler."""

import json
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from study_rig import HERE, environment

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
MISSING = (
    "" if sys.platform == "linux" and COMPILER else "the disk is watched on Linux alone, by C that is compiled here"
)
MEMORY = Path("/dev/shm")  # noqa: S108 (a kill spares what was written, whatever is below: no need to wait for a disk)


class Op(NamedTuple):
    """Something that was done to a folder; `disk.c` says what there is."""

    name: str
    path: str
    other: str
    offset: int
    data: bytes


class Studies:
    """Runs studies in one folder, one after the other."""

    def __init__(self, work: Path, preload: Path) -> None:
        """Import all that they need; `work` is for what they say, and their folder `case` in it."""
        self.case = work / "case"
        self._work = work
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "forked_study.py")],
            env={**environment(work), "LD_PRELOAD": str(preload)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, plan: str, **watched: str) -> tuple[int, str, str]:
        """Run a study to its end, with variables of `disk.c`; give exit status, output and errors."""
        assert self._process.stdin
        assert self._process.stdout
        out, err = self._work / "out", self._work / "err"
        variables = {"DISK_BELOW": str(self.case), **watched}
        order = {"folder": str(self.case), "plan": plan, "out": str(out), "err": str(err), "environment": variables}
        print(json.dumps(order), file=self._process.stdin, flush=True)
        status = self._process.stdout.readline()
        assert status, "what forks the studies ended"
        return int(status), out.read_text(), err.read_text()

    def watched(self, plan: str) -> tuple[list[Op], str]:
        """Run a study to its end; give all that was done to its folder, and what it said."""
        log = self._work / "log"
        status, out, err = self.run(plan, DISK_LOG=str(log))
        assert (status, err) == (0, ""), f"exit status {status}: {err[-300:]}"
        return list(_operations(log.read_bytes())), out

    def close(self) -> None:
        """Let go of the process that forks."""
        self._process.communicate()


@contextmanager
def studies(work: Path) -> Generator[Studies]:
    """Compile what watches the disk, and lend what runs studies on it."""
    work = work.resolve()
    preload = work / "disk.so"
    assert COMPILER
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", str(preload), str(HERE / "disk.c"), "-ldl"], check=True)
    lent = Studies(work, preload)
    try:
        yield lent
    finally:
        lent.close()


def _operations(log: bytes) -> Iterator[Op]:
    while log:
        head, _, log = log.partition(b"\n")
        name, path, other, offset, length = head.decode().split("\t")
        data, log = log[: int(length)], log[int(length) :]
        yield Op(name, path, other, int(offset), data)
