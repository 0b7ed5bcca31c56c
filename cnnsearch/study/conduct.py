"""How does a study run, from its plan to its page?"""

import os
import socket
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from cnnsearch import history, parse
from cnnsearch.download import prepare
from cnnsearch.errors import refuse_unlike
from cnnsearch.evaluate.conduct import hold
from cnnsearch.evaluate.entrants import random_twin
from cnnsearch.evaluate.publish import figures, renew
from cnnsearch.events import Closed, CloseState, Opened
from cnnsearch.executors.executor import Executor, Setup
from cnnsearch.executors.local import LocalExecutor
from cnnsearch.files import make_folder, sync_folder
from cnnsearch.fit import kinds_of
from cnnsearch.gain import expected_gain
from cnnsearch.history import PLAN, Run
from cnnsearch.imports import import_kinds, refuse_unknown_to_workers
from cnnsearch.plan import Plan
from cnnsearch.preview import out_of_reach
from cnnsearch.record import Record, own
from cnnsearch.signals import check
from cnnsearch.speed import remember
from cnnsearch.study.best import publish, tidy
from cnnsearch.study.kept import keep, refuse_other_twin
from cnnsearch.study.ledger import Ledger
from cnnsearch.study.screen import Screen, bar_of
from cnnsearch.study.summary import summarize, write_summary
from cnnsearch.terminal import Bar
from cnnsearch.text import Plain
from cnnsearch.versions import versions

if TYPE_CHECKING:
    from cnnsearch.study.proposer import Proposer

SAME_TIME = 30.0  # seconds by which two calls of as many minutes may differ: an epoch, or the end of one


def search(plan: Plan, *, notice: str = "", quiet: bool = False) -> Run:
    """Search as the plan says, or go on where an earlier call with the same plan ended; return the run.

    `notice` is said beside every result; `quiet` shows no progress. Raises RunError where the run's folder belongs
    to another plan or to a running study, DataError where the data cannot be had, InvalidSpecError for a device that is
    not here, or a kind of block that workers would not know, TypeError for what is no Plan. On KeyboardInterrupt
    everything done is kept, and the same call goes on.

    >>> plan = Plan.model_validate({"dataset": "digits", "budget": {"trials": 2}})
    >>> run = search(plan)  # doctest: +SKIP
    """
    refuse_unlike(plan, Plan, "cnnsearch.read_plan(path) reads one, cnnsearch.Plan.model_validate({...}) makes one")
    import_kinds(plan.imports)
    trees = (plan.searched.tree, *(parse.read(network.model_dump(mode="json")) for network in plan.start))
    refuse_unknown_to_workers(set[object]().union(*map(kinds_of, trees)), plan.imports)
    refuse_other_twin(plan)
    folder = plan.folder
    with own(folder) as record:
        with bar_of(plan, quiet=quiet) as bar:
            _search_until_enough(plan, record, bar, notice)
            _write_page(folder, bar)
        _finals(plan, record, quiet=quiet)
    return history.read(folder)


def _search_until_enough(plan: Plan, record: Record, bar: Bar, notice: str) -> None:
    """Search until the budget is spent; where the plan says so, spend it again until more promises only noise.

    Once the finals have begun that is settled: what they tell of the noise shall not begin the search anew.
    """
    run = keep(plan)
    if not plan.budget.until_flat:
        _search(plan, run, record, Screen(plan, bar), notice)
        return
    for part in _parts(plan, _begun(plan, run)):
        _search(part, run, record, Screen(part, bar), notice)
        run = history.read(plan.folder)
        if run.state != "complete":
            return
        if run.retrained:
            bar.say("--until-flat searches no further, as the finals have begun; --trials N does")
            return
        gain = expected_gain(run)
        if gain is None:
            law = f"what more trials may add cannot be told from {run.count('complete')} complete ones"
            bar.say(f"{law}; --trials N goes on")
        if gain is None or gain.is_flat:
            return
        from cnnsearch.report.enough import in_words  # Optuna's figures come with it

        bar.say(in_words(gain))


def _begun(plan: Plan, run: Run) -> int:
    """Count the trials that have a place in the budget: those that were cut or wait too, but no repetitions."""
    first = {trial.fingerprint: trial.number for trial in reversed(run.trials)}
    running = (trial for trial in run.trials if trial.state == "running")
    return run.counted + sum(plan.trains_again or first[trial.fingerprint] == trial.number for trial in running)


def _parts(plan: Plan, begun: int) -> Iterator[Plan]:
    """Give the plan with its budget, then with twice as much, and so on; begin where an earlier call came to.

    The minutes are those of the call's whole search: each part has what is left of them, and the last ends with them.
    """
    began, budget = time.monotonic(), plan.budget
    for times in count(budget.times(begun)):
        minutes = budget.minutes and budget.minutes - (time.monotonic() - began) / 60
        if minutes is not None and minutes <= 0:
            return
        yield plan.with_budget(trials=times * budget.trials, minutes=minutes)


def _search(plan: Plan, run: Run, record: Record, screen: Screen, notice: str) -> None:
    """Search until the plan's budget is spent; `run` is what an earlier call came to."""
    folder, ledger = plan.folder, Ledger(run, plan)
    if ledger.best:
        publish(folder, ledger.best.trial, ledger.best.network)
    tidy(folder, ledger.unended)
    notice = notice or plan.facts.notice or run.notice
    save = _saver(plan, ledger, notice, figures(run))
    if ledger.counted >= plan.budget.trials and not ledger.unfinished:
        if not plan.budget.until_flat:
            way_out = "--trials N asks for more"
            if run.state == "failed":  # its last candidates did, by a bug that may be mended by now
                way_out += f", and `python -m cnnsearch.evaluate {folder}` holds the finals of those that did not fail"
            screen.say(f"the search of {folder} is over with {ledger.counted} trials; {way_out}")
        if run.state in {"running", "interrupted", "out_of_time"}:  # an earlier call was cut after its last trial
            record.append(_opened(plan, notice))
            proposer = _proposer(plan, ledger)
            while proposer.store():  # and before it had stored that
                pass
            sync_folder(folder)
            record.append(Closed(state="complete"))
        save(history.read(folder).state)
    else:
        _train(plan, record, ledger, screen, save, notice)
        tidy(folder, ledger.unended)


def _finals(plan: Plan, record: Record, *, quiet: bool) -> None:
    """Let the best of the search be trained again and judged, if the plan says so, and write the page anew.

    Where it does not, the winner of earlier finals stays.
    """
    run = history.read(plan.folder)
    if plan.finals is None:
        renew(run)
    if plan.finals is None or not run.ranked or run.state == "failed":
        return
    if "random-search" in plan.finals.baselines:
        _search_at_random(random_twin(plan, run.counted), run, quiet=quiet)
    hold(plan, plan.folder, record, quiet=quiet)
    _write_page(plan.folder, bar_of(plan, quiet=quiet))


def _search_at_random(twin: Plan, run: Run, *, quiet: bool) -> None:
    """Give random search as many trials as the study came to, and in calls that their minutes ended as much time."""
    if (twin.folder / PLAN).exists():
        before = history.read(twin.folder)
        if before.state == "out_of_time" and before.seconds + SAME_TIME > run.seconds:
            return
    with bar_of(twin, quiet=quiet) as bar:
        bar.say(f"random search takes part in the finals: the same study with uniform draws, in {twin.folder}")
    search(twin, quiet=quiet)


def _train(
    plan: Plan, record: Record, ledger: Ledger, screen: Screen, save: Callable[[str], None], notice: str
) -> None:
    folder, root, devices = plan.folder, plan.data_folder, plan.devices
    prepare(plan.facts.key, root)
    make_folder(folder / "weights")
    screen.begins(folder, devices, ledger)
    if told := out_of_reach(plan):
        screen.say(told)
    record.append(_opened(plan, notice))
    began, ended_before = time.monotonic(), {*ledger.outcomes}
    save("running")
    state: CloseState = "interrupted"
    setup = Setup(plan.facts.key, root, plan.imports)
    try:
        with LocalExecutor(devices, setup, folder / "log") as executor:
            state = _loop(plan, executor, record, ledger, screen, lambda: save("running"))
    finally:
        record.append(Closed(state=state, seconds=time.monotonic() - began))
        save(state)
    here = [trial for trial in history.read(folder).trials if trial.number not in ended_before]
    remember(here, plan.facts, devices[0])  # earlier calls may have been on another machine


def _opened(plan: Plan, notice: str) -> Opened:
    return Opened(
        host=socket.gethostname(),
        pid=os.getpid(),
        versions=versions(),
        plan=plan.fingerprint,
        notice=notice,
        validation_images=plan.facts.validation_images,
    )


def _loop(
    plan: Plan, executor: Executor, record: Record, ledger: Ledger, screen: Screen, save: Callable[[], None]
) -> CloseState:
    # Optuna is imported while the workers import torch.
    from cnnsearch.study.loop import Search

    search = Search(plan, plan.folder, executor, _proposer(plan, ledger), record, ledger, screen, save)
    try:
        end = search.run()
        sync_folder(plan.folder)  # SQLite does not wait until its journal is gone: back again, it undoes the last trial
        return end
    finally:
        search.interrupt("the study ended")


def _proposer(plan: Plan, ledger: Ledger) -> "Proposer":
    from cnnsearch.study.proposer import Proposer

    running = {trial.number: trial.asked for trial in ledger.unfinished}
    avoided = () if plan.trains_again else ledger.seen
    return Proposer(plan, plan.folder, ledger.outcomes.values(), running, avoided)


def _saver(plan: Plan, ledger: Ledger, notice: str, finals: dict[str, Plain]) -> Callable[[str], None]:
    began = time.monotonic()

    def save(state: str) -> None:
        seconds = ledger.seconds_before + time.monotonic() - began
        write_summary(plan.folder, summarize(plan, ledger, state, seconds, notice, finals))

    return save


def _write_page(folder: Path, bar: Bar) -> None:
    from cnnsearch.report.write import write_report

    try:
        write_report(folder)
    except OSError as error:  # the study is over and kept, whatever the disk says to its page
        bar.say(f"no report.html ({error.strerror or error}); `python -m cnnsearch.report {folder}` makes it later")
    check()  # a library that draws may swallow a signal's exception
