"""`python -m cnnsearch.study` with workers that only pretend to train: fast enough to be killed many times.

CNNSEARCH_BROKEN takes one of its guards away, so that what shall notice that can be seen to do so. With CNNSEARCH_PAGE
the page is made; see phases.py and waits.py for what else may be asked for.
"""

import os
import runpy
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import phases
import waits

from cnnsearch import files, record, signals
from cnnsearch.evaluate import conduct as finals
from cnnsearch.evaluate import training
from cnnsearch.events import Event
from cnnsearch.executors import local
from cnnsearch.executors.local import LocalExecutor
from cnnsearch.study import conduct

AT_ONCE = 5
TRAINER = Path(__file__).with_name("fake_trainer.py")


@contextmanager
def no_lock(_: Path) -> Generator[None]:
    """Let everybody in."""
    yield


def late(append: Callable[[record.Record, Event], None], kind: str) -> Callable[[record.Record, Event], None]:
    """Keep events of a kind back until there are five."""
    kept: list[Event] = []

    def append_late(self: record.Record, event: Event) -> None:
        if event.event != kind:
            append(self, event)
            return
        kept.append(event)
        if len(kept) == AT_ONCE:
            for each in kept:
                append(self, each)
            kept.clear()

    return append_late


@contextmanager
def in_place(path: Path, *, sync: bool = True) -> Generator[Path]:
    """Lend a file's own place to write to."""
    _ = sync
    yield path


match os.environ.get("CNNSEARCH_BROKEN"):
    case "rename":
        files.whole = in_place
    case "fsync":
        record.Log.sync = lambda _: None
    case "folder":
        files.sync_folder = record.sync_folder = lambda _: None
    case "tail":
        record.sound_bytes = lambda content, _=(): len(content)
    case "lock":
        record.owned = no_lock
    case "record":
        record.Record.append = late(record.Record.append, "finished")
    case "epochs":
        record.Record.append = late(record.Record.append, "epoch")
    case "clock":
        time.monotonic = local.monotonic = time.time
    case "signals":
        signals.POLITE.clear()
    case _:
        pass
conduct.LocalExecutor = training.LocalExecutor = partial(LocalExecutor, command=(sys.executable, "-P", str(TRAINER)))
finals._judge = lambda *_: None  # noqa: SLF001 (what was not trained can be judged by nobody)
if "CNNSEARCH_PAGE" not in os.environ:
    conduct._write_page = lambda *_: None  # noqa: SLF001 (it takes longer than all the rest)
if "CNNSEARCH_MIRROR" in os.environ:
    phases.download_from(os.environ["CNNSEARCH_MIRROR"])
if "CNNSEARCH_WAITS" in os.environ:
    from cnnsearch.study.proposer import Proposer

    waits.tell_at_end(Path(os.environ["CNNSEARCH_WAITS"]).absolute())
    for room, name in ((record.Record, "append"), (Proposer, "store"), (conduct, "write_summary")):
        waits.time_waits(room, name)
match phases.PHASE:
    case "report":
        phases.work_for_ever(conduct, "_write_page")
    case "asking":
        from cnnsearch.study.proposer import Proposer

        phases.work_for_ever(Proposer, "propose", after=phases.LATER)
    case _:
        pass
if __name__ == "__main__":
    runpy.run_module("cnnsearch.study", run_name="__main__")
