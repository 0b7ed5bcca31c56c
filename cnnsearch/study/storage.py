"""What do other tools see of a study? The only file that opens Optuna's storage.

The record is the truth; each finished trial is added whole to the storage, for other tools to look at. To add one takes
about as long as to propose one (examples/benchmarks/README.md): it is done while nothing waits, and what a killed study
did not come to, the next one does.
"""

from collections import deque
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, quote_plus

import optuna
from optuna.exceptions import StorageInternalError
from sqlalchemy import URL, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from cnnsearch.errors import DiskFullError, RunError
from cnnsearch.plan import Plan
from cnnsearch.signals import held
from cnnsearch.study.outcome import Outcome
from cnnsearch.study.sqlite import is_free, set_aside, set_aside_damaged
from cnnsearch.study.told import TRIAL, fact, frozen
from cnnsearch.trials import directions, name_values
from cnnsearch.units import counted


class Storage:
    """Optuna's storage, and what it lacks."""

    def __init__(self, plan: Plan, folder: Path, known: Iterable[Outcome]) -> None:
        """Open it; raise RunError when it cannot be reached, or tells of trials that are not among the `known`.

        The run's own file that tells of such trials is set aside: the record may be an older copy, put back.
        """
        own = folder / "storage.sqlite3"
        self._url = make_url(plan.storage) if plan.storage else URL.create("sqlite", database=str(own))
        self._holes = plan.holes
        if not plan.storage:
            set_aside_damaged(own)
        outcomes = {outcome.trial: outcome for outcome in known}
        self._study, stored = self._open(plan)
        if stored - outcomes.keys() and not plan.storage:
            set_aside(own, "unknown")
            self._study, stored = self._open(plan)
        if strange := stored - outcomes.keys():
            law = f"has {counted(len(strange), 'trial', 'trials')} of a study {plan.run_name!r}"
            raise RunError(
                f"storage {_shown(self._url)} {law} that {folder} knows nothing of; take another --storage or --name"
            )
        self._lacks = deque[Outcome]()
        for outcome in outcomes.values():
            if outcome.trial not in stored:
                self.owe(outcome)

    def _open(self, plan: Plan) -> tuple[optuna.Study, set[int]]:
        """Give the study in the storage, made where it is not there, and which trials it has."""
        with _reaching(self._url):
            study = optuna.create_study(
                storage=self._url.render_as_string(hide_password=False),
                study_name=plan.run_name,
                directions=directions(plan.aim),
                load_if_exists=True,
            )
            name_values(study, plan.aim)
            return study, {trial.user_attrs.get(TRIAL, -1) for trial in study.get_trials(deepcopy=False)}

    @property
    def lacking(self) -> int:
        """How many trials it lacks."""
        return len(self._lacks)

    def owe(self, outcome: Outcome) -> None:
        """Note a trial that it lacks; of a start network nothing was asked, so there is nothing to tell."""
        if outcome.asked:
            self._lacks.append(outcome)

    def add_one(self, patience: float) -> bool:
        """Add one trial that it lacks; False when it lacks none, or others look at it for all these seconds."""
        if not self._lacks or not self._is_free(patience):
            return False
        with _reaching(self._url):
            self._study.add_trial(frozen(self._holes, self._lacks[0], fact(self._lacks[0])))
        self._lacks.popleft()
        return True

    def _is_free(self, patience: float) -> bool:
        database = self._url.database or ":memory:"
        is_file = self._url.get_backend_name() == "sqlite" and not database.startswith((":memory:", "file:"))
        return not is_file or is_free(Path(database), patience)


@contextmanager
def _reaching(url: URL) -> Generator[None]:
    """Turn whatever a database says into an error that names it, without its password.

    Cut in two by a signal, SQLAlchemy says what is no truth about the database, or nothing at all. Optuna itself raises
    RuntimeError for tables of another version, and ValueError for a kind of URL that it does not know.
    """
    try:
        with held():
            yield
    except (SQLAlchemyError, StorageInternalError, ImportError, RuntimeError, ValueError) as error:
        said = error.__cause__ or error
        own = said.orig if isinstance(said, DBAPIError) else None  # the driver's word; the other tells where it came up
        reason = _scrubbed(str(own or said).partition("\n")[0], url)
        law = f"storage {_shown(url)} cannot be used ({reason})"
        way_out = "nothing is lost: remove it, or name another --storage, and the same command fills it from the record"
        kind = DiskFullError if "disk is full" in reason else RunError  # in SQLite's words
        raise kind(f"{law}; {way_out}") from None


def _scrubbed(text: str, url: URL) -> str:
    """Take out of what a driver says whatever may be secret in the URL: its password, and all values of its query."""
    values = [url.password, *(value for values in url.normalized_query.values() for value in values)]
    for secret in sorted({str(value) for value in values if value}, key=len, reverse=True):
        for form in {secret, quote(secret), quote_plus(secret)}:
            text = text.replace(form, "***")
    return text


def _shown(url: URL) -> str:
    return url.set(query={}).render_as_string(hide_password=True)
