"""How does a long command speak to a person? A bar on a terminal, plain lines elsewhere, and how it ends."""

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn

from cnnsearch.errors import CnnsearchError, status_of
from cnnsearch.signals import obeying


class Bar:
    """How far something is, with lines above; `quiet` shows nothing."""

    def __init__(
        self, task: str, last: ProgressColumn, total: int | None = None, state: str = "", *, quiet: bool = False
    ) -> None:
        """Make the bar of a task; its `last` column may show `state`."""
        self._console = Console(quiet=quiet, highlight=False, emoji=False, soft_wrap=True)
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), last)
        self._progress = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._progress.add_task(task, total=total, state=state)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    @property
    def is_seen(self) -> bool:
        """Whether there is a terminal to draw it on."""
        return self._console.is_terminal

    def say(self, text: str, *, style: str = "") -> None:
        """Print a line above the bar."""
        self._console.print(text, style=style, markup=False)

    def doing(self, text: str) -> None:
        """Show what is being done; only on a terminal."""
        self._progress.update(self._task, description=text)

    def counted(self, done: int, **changes: Any) -> None:  # noqa: ANN401 (rich's own: total, state)
        """Move the bar."""
        self._progress.update(self._task, completed=done, **changes)


def console(width: int) -> Console:
    """Make a console for tables; a file or pipe, which has no width of its own, gets this one."""
    made = Console(highlight=False, emoji=False, soft_wrap=True)
    if not made.is_terminal:
        made.width = width
    return made


def exit_status(story: Callable[[], int], stopped: str) -> int:
    """Do what may be stopped, which gives its exit status; say `stopped` where a signal ends it.

    129, 130 or 143 stopped by a signal, or `status_of` what went wrong.
    """
    try:
        return obeying(story, lambda: print(f"\nstopped; {stopped}", file=sys.stderr))  # noqa: T201
    except (CnnsearchError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 (it is for the terminal)
        return status_of(error)
