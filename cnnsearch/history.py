"""What happened in a run? Reads its folder into one frozen value; needs neither torch nor optuna."""

import json
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, cast

from pydantic import TypeAdapter

from cnnsearch import lock
from cnnsearch.errors import RunError, brief
from cnnsearch.events import (
    COUNTED,
    Closed,
    CloseState,
    Event,
    FinalsClosed,
    FinalsOpened,
    Finished,
    Opened,
    Retrained,
    Tested,
    TestOpened,
    from_line,
)
from cnnsearch.files import read_own
from cnnsearch.objectives import Aim, Objectives
from cnnsearch.parts import Finals
from cnnsearch.ranking import Standing, front
from cnnsearch.record import EPOCHS, RECORD, sound_bytes
from cnnsearch.sameness import fingerprint_of
from cnnsearch.story import Trial, trials

if TYPE_CHECKING:
    from cnnsearch.recipe import Recipe

T = TypeVar("T")
PLAN = "plan.json"
SUMMARY = "summary.json"
A_RUN = 'cnnsearch.read_run("runs/NAME") reads one, and cnnsearch.search(plan) gives one'
_OBJECTIVES: TypeAdapter[Objectives] = TypeAdapter(Objectives)
_WAY_OUT = "restore it from a copy, or remove it and give the study's command again"


class Run(NamedTuple):
    """A run as its folder tells it."""

    folder: Path
    plan: dict[str, Any]
    trials: tuple[Trial, ...]
    state: CloseState | Literal["running"]
    seconds: float
    """The coordinator's time for the search, summed over its invocations."""
    versions: dict[str, str]
    notice: str
    hosts: tuple[str, ...] = ()
    """The machines that the search ran on, by their names."""
    retrained: tuple[Retrained, ...] = ()
    """The trainings of the finals; of one that was done again the last."""
    varied: tuple[Retrained, ...] = ()
    """Those of the winner's variants."""
    openings: tuple[TestOpened, ...] = ()
    """Every time that the test images were read, and what for."""
    tested: tuple[Tested, ...] = ()
    finals_seconds: float = 0.0
    """The coordinator's time for the finals."""
    finals_are_begun: bool = False
    """Whether there were finals, however far they came."""
    finals_are_open: bool = False
    """Whether finals began anew and did not come to their end."""
    finals_are_closed: bool = False
    """Whether the last finals say themselves that they came to their end; those of the first runs did not."""
    validation_images: int | None = None
    """How many images each score is measured on, where the run says so."""
    classes: tuple[str, ...] = ()
    """Their names, where the finals say them."""

    def __repr__(self) -> str:
        return f"<Run {self.folder}: {len(self.trials)} trials, {self.state}>"

    def count(self, *states: str) -> int:
        """Count the trials in any of these states."""
        return sum(trial.state in states for trial in self.trials)

    @property
    def counted(self) -> int:
        """How many trials count against the budget."""
        return self.count(*COUNTED)

    @property
    def aim(self) -> Aim:
        """What was sought; the plans of the first runs do not say it, and sought accuracy."""
        return self._of_plan("objectives", lambda given: Aim.of(_OBJECTIVES.validate_python(given)))

    @property
    def finals(self) -> Finals:
        """How the winner is chosen; as by default where the plan does not say."""
        return self._of_plan("finals", Finals.model_validate)

    def _of_plan(self, name: str, read: Callable[[dict[str, Any]], T]) -> T:
        given: dict[str, Any] = self.plan.get(name) or {}
        try:
            return read(given)
        except ValueError as error:  # of a later version, or edited
            law = f"its {name} cannot be read ({brief(given)})"
            raise RunError(
                f"{self.folder / PLAN}: {law}; restore it, or read it with the version that wrote it"
            ) from error

    @property
    def ranked(self) -> tuple[Trial, ...]:
        """The complete trials, best first: by accuracy, or the cheapest first of those that meet the plan's floor."""
        aim, standings = self.aim, self.standings
        complete = [trial for trial in self.trials if trial.number in standings]
        return tuple(sorted(complete, key=lambda trial: aim.place(standings[trial.number], trial, trial.number)))

    @property
    def front(self) -> tuple[Trial, ...]:
        """The complete trials that none beats in all objectives (in parameters where there is one), cheapest first."""
        return tuple(self.trials[number] for number in front(self.standings))

    @property
    def standings(self) -> dict[int, Standing]:
        """Say of each complete trial how good it is."""
        aim = self.aim
        complete = (trial for trial in self.trials if trial.state == "complete")
        return {
            trial.number: aim.standing(trial.score, trial, trial.latency)
            for trial in complete
            if trial.score is not None
        }


def read_run(folder: str | Path) -> Run:
    """Read what a study has come to, from its folder (`runs/NAME`), also while it runs.

    Raises RunError naming file and line where it cannot be read.
    """
    return read(Path(folder))


def read(folder: Path) -> Run:
    """Read a run's folder; raise RunError naming file and line where it cannot be read.

    A run whose coordinator died without a word is `interrupted`; its unfinished trials are still `running` in the
    record, as is everything while the coordinator lives.
    """
    plan = plan_of(folder)
    alive = lock.is_owned(folder)  # asked before reading: one that ends in between has written its `closed`
    events = tuple(_events(folder / RECORD))
    ended = frozenset(event.trial for event in events if isinstance(event, Finished))
    epochs = tuple(_events(folder / EPOCHS, ended))  # read last, so that a trial with a last word has them all
    opened = [event for event in events if isinstance(event, Opened)]
    finals = [event for event in events if isinstance(event, FinalsOpened)]
    turns = [event for event in events if isinstance(event, FinalsOpened | FinalsClosed)]
    are_closed = bool(turns) and isinstance(turns[-1], FinalsClosed)
    _check_plan(folder, plan, opened)
    return Run(
        folder=folder,
        plan=plan,
        trials=trials(folder / RECORD, events, epochs),
        state=_state(events, alive=alive),
        seconds=_seconds(events, Opened),
        versions=opened[-1].versions if opened else {},
        notice=opened[-1].notice if opened else "",
        hosts=tuple(dict.fromkeys(event.host for event in opened)),
        retrained=_last_of_each(events, "entrant"),
        varied=_last_of_each(events, "variant"),
        openings=tuple(event for event in events if isinstance(event, TestOpened)),
        tested=tuple(event for event in events if isinstance(event, Tested)),
        finals_seconds=_seconds(events, FinalsOpened),
        finals_are_begun=bool(finals),
        # The first ones are not over as long as nobody was tested.
        finals_are_open=not are_closed and any(isinstance(event, FinalsClosed) for event in turns),
        finals_are_closed=are_closed,
        validation_images=opened[-1].validation_images if opened else None,
        classes=finals[-1].classes if finals else (),
    )


def plan_of(folder: Path) -> dict[str, Any]:
    """Read the plan that a run was made by; raise RunError where there is none to read."""
    path = folder / PLAN
    try:
        plan: object = json.loads(read_own(path))
    except (FileNotFoundError, NotADirectoryError):
        law = f"no {path.name} in it" if folder.exists() else "no such folder"
        raise RunError(f"{path.parent}: {law}; give the folder of a run, such as runs/NAME") from None
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: not readable as JSON ({error}); {_WAY_OUT}") from None
    if not isinstance(plan, dict):
        raise RunError(f"{path}: holds no plan but a {type(plan).__name__}; {_WAY_OUT}")
    return cast("dict[str, Any]", plan)


def _check_plan(folder: Path, plan: dict[str, Any], opened: Sequence[Opened]) -> None:
    """Refuse a plan that the run was not made by: it is shown, and results are judged by it."""
    is_named = isinstance(plan.get("dataset"), str)
    if opened and opened[-1].plan and not (is_named and opened[-1].plan == fingerprint_of(plan)):
        raise RunError(f"{folder / PLAN}: is not the plan of this run, so damaged or edited; {_WAY_OUT}")


def _events(path: Path, ended: Container[int] = ()) -> Iterator[Event]:
    try:
        content = read_own(path)
    except FileNotFoundError:
        return
    for number, line in enumerate(content[: sound_bytes(content, ended)].splitlines(), start=1):
        try:
            yield from_line(line)
        except ValueError:
            raise RunError(
                f"{path}, line {number}: not an event of a run: {line[:60].decode(errors='replace')!r}; "
                "the file was damaged or edited: restore it from a copy"
            ) from None


def _state(events: Iterable[Event], *, alive: bool) -> CloseState | Literal["running"]:
    """Tell the run's state by the last invocation's own word, or by whether its process lives."""
    said = [event for event in events if isinstance(event, Opened | Closed)]
    if said and isinstance(said[-1], Closed):
        return said[-1].state
    return "running" if alive else "interrupted"


def _seconds(events: Iterable[Event], opening: type[Opened | FinalsOpened]) -> float:
    """Sum up the times from each such opening to the last event before the next one of any kind.

    Where an invocation said how long it took, that counts; else a clock that was set back counts as nothing, and so do
    the winner's variants, which come whenever one likes, and the finals' last word, which may come late.
    """
    total, since, until, counts = 0.0, 0.0, 0.0, False
    for event in events:
        if isinstance(event, FinalsClosed) or (isinstance(event, Retrained) and event.role == "variant"):
            continue
        if isinstance(event, Opened | FinalsOpened):
            total += max(0.0, until - since) if counts else 0.0
            since, counts = event.time, isinstance(event, opening)
        told = event.seconds if isinstance(event, Closed) else None
        until = event.time if told is None else since + told
    return total + (max(0.0, until - since) if counts else 0.0)


def _last_of_each(events: Iterable[Event], role: str) -> tuple[Retrained, ...]:
    """Give the last training of each entrant, seed and recipe, in the order in which they were over."""
    last: dict[tuple[str, int, Recipe | None], Retrained] = {}
    for event in events:
        if isinstance(event, Retrained) and event.role == role:
            key = event.entrant, event.seed, event.recipe
            last.pop(key, None)  # else a later one would take its early place
            last[key] = event
    return tuple(last.values())
