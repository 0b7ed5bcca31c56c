"""How does a study run, from its plan to its page?"""

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from cnnsearch import history
from cnnsearch.datasets import data_root
from cnnsearch.devices import slots
from cnnsearch.download import prepare
from cnnsearch.errors import RunError
from cnnsearch.events import Closed, CloseState, Opened
from cnnsearch.executors.executor import Executor, Setup
from cnnsearch.executors.local import LocalExecutor
from cnnsearch.files import write_whole
from cnnsearch.history import PLAN, Run
from cnnsearch.imports import import_kinds
from cnnsearch.plan import Plan, decisive, differences
from cnnsearch.record import Record, own
from cnnsearch.speed import remember
from cnnsearch.study.best import publish, tidy
from cnnsearch.study.ledger import Ledger
from cnnsearch.study.screen import Screen
from cnnsearch.study.summary import summarize, versions, write_summary


def search(plan: Plan, *, notice: str = "", quiet: bool = False) -> Run:
    """Search as the plan says, or go on where an earlier call with the same plan ended; return the run.

    `notice` is said beside every result; `quiet` shows no progress. Raises RunError where the run's folder belongs
    to another plan or to a running study, DataError where the data cannot be had. On KeyboardInterrupt everything
    done is kept, and the same call goes on.

    >>> plan = Plan.model_validate({"dataset": "digits", "budget": {"trials": 2}})
    >>> run = search(plan)  # doctest: +SKIP
    """
    import_kinds(plan.imports)
    folder = plan.folder
    with own(folder) as record, Screen(plan, quiet=quiet) as screen:
        _keep_plan(folder, plan)
        run = history.read(folder)
        ledger = Ledger(run, plan)
        if ledger.best:
            publish(folder, ledger.best.trial, ledger.best.network)
        tidy(folder)
        notice = notice or run.notice
        save = _saver(plan, ledger, notice)
        if ledger.counted >= plan.budget.trials and not ledger.unfinished:
            screen.say(f"{folder} has {ledger.counted} trials already; --trials N asks for more")
            if run.state in {"running", "interrupted"}:  # an earlier invocation was killed after its last trial
                record.append(_opened(notice))
                record.append(Closed(state="complete"))
            save(history.read(folder).state)
        else:
            _train(plan, record, ledger, screen, save, notice)
            tidy(folder)
        _write_page(folder, screen)
    return history.read(folder)


def _train(
    plan: Plan, record: Record, ledger: Ledger, screen: Screen, save: Callable[[str], None], notice: str
) -> None:
    folder, root = plan.folder, data_root(plan.data_root)
    devices = slots(plan.executor.workers, plan.executor.device)
    prepare(plan.dataset, root)
    (folder / "weights").mkdir(exist_ok=True)
    record.append(_opened(notice))
    save("running")
    state: CloseState = "interrupted"
    setup = Setup(plan.dataset, root, plan.imports)
    try:
        with LocalExecutor(devices, setup, folder / "log") as executor:
            state = _search(plan, executor, record, ledger, screen, lambda: save("running"))
    finally:
        record.append(Closed(state=state))
        save(state)
    remember(history.read(folder), plan.facts, devices[0])


def _opened(notice: str) -> Opened:
    return Opened(host=socket.gethostname(), pid=os.getpid(), versions=versions(), notice=notice)


def _search(
    plan: Plan, executor: Executor, record: Record, ledger: Ledger, screen: Screen, save: Callable[[], None]
) -> CloseState:
    # Optuna is imported while the workers import torch.
    from cnnsearch.study.loop import Search
    from cnnsearch.study.proposer import Proposer

    running = {trial.number: trial.asked for trial in ledger.unfinished}
    proposer = Proposer(plan, plan.folder, ledger.outcomes.values(), running)
    search = Search(plan, plan.folder, executor, proposer, record, ledger, screen, save)
    try:
        return search.run()
    finally:
        search.interrupt("the study ended")


def _keep_plan(folder: Path, plan: Plan) -> None:
    """Write the plan down at the first time; later refuse one that would make the results incomparable."""
    path = folder / PLAN
    now = plan.stored()
    if path.exists():
        changes = list(differences(decisive(history.plan_of(folder)), decisive(now)))
        if changes:
            listed = "\n".join(f"  {change}" for change in changes)
            law = f"{folder} was made by another plan, and results of two plans cannot be compared"
            raise RunError(f"{law}:\n{listed}\ntake another --name, or none for one that follows from the plan")
    write_whole(path, json.dumps(now, indent=2) + "\n")


def _saver(plan: Plan, ledger: Ledger, notice: str) -> Callable[[str], None]:
    began = time.monotonic()

    def save(state: str) -> None:
        seconds = ledger.seconds_before + time.monotonic() - began
        write_summary(plan.folder, summarize(plan, ledger, state, seconds, notice))

    return save


def _write_page(folder: Path, screen: Screen) -> None:
    from cnnsearch.report import write_report

    try:
        write_report(folder)
    except OSError as error:  # the study is over and kept, whatever the disk says to its page
        screen.say(f"no report.html ({error.strerror}); `python -m cnnsearch.report {folder}` makes it later")
