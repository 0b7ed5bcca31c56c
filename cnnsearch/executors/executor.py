"""What must whoever runs jobs be able to do?"""

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from cnnsearch.messages import Event, Job
from cnnsearch.network import Network
from cnnsearch.objectives import Latency


class Setup(NamedTuple):
    """What every worker is told at its start."""

    dataset: str
    data_root: Path
    imports: tuple[str, ...] = ()
    """Modules that register the user's own blocks."""


class Executor(ABC):
    """Runs jobs on its slots and tells what happens; called by one thread.

    >>> def story(executor: Executor, jobs: list[Job]) -> None:
    ...     with executor:
    ...         while jobs or executor.free < len(executor.slots):
    ...             while jobs and executor.free:
    ...                 executor.submit(jobs.pop())
    ...             event = executor.events(timeout=1.0)
    ...             ...  # an Epoch at a rung is answered by go or stop, a Died one's job is submitted again
    """

    @property
    @abstractmethod
    def slots(self) -> tuple[str, ...]:
        """Device of each slot in use; one job at a time runs in a slot."""

    @property
    @abstractmethod
    def free(self) -> int:
        """Number of slots without a job, those still starting included."""

    @abstractmethod
    def submit(self, job: Job) -> int:
        """Give a job to a free slot and return the slot's number."""

    @abstractmethod
    def events(self, timeout: float) -> Event | None:
        """Return what happened next, or None when nothing did for `timeout` seconds.

        Done, Failed and Died free the slot, and say how long its worker was at the job. A dead worker is replaced by
        itself. A Failed that is `shared` may have cost a slot; its trial is tried again.
        Raises RunError when workers cannot be started.
        """

    @abstractmethod
    def go(self, trial: int) -> None:
        """Let a trial that waits at a rung train on; `stop` alone could not tell a passed rung from a slow answer."""

    @abstractmethod
    def stop(self, trial: int) -> None:
        """Let a trial that waits at a rung end; Done follows."""

    @abstractmethod
    def latency(self, network: Network) -> Latency | None:
        """Measure how long one image takes while nothing of this executor trains; None where it cannot be run.

        Raises RunError where the process that measures cannot be started.
        """

    @abstractmethod
    def close(self) -> None:
        """End all workers at once, whatever they do; no process is left. A second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
