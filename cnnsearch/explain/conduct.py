"""How are the winner's variants trained?"""

from pathlib import Path

from cnnsearch import history
from cnnsearch.ablation import Ablation, ablation
from cnnsearch.errors import RunError
from cnnsearch.evaluate.conduct import plan_of_run
from cnnsearch.evaluate.entrants import Entrant, Field, seconds_for
from cnnsearch.evaluate.machine import UNCHANGED, Machine
from cnnsearch.evaluate.training import Trainings, bar_of_trainings, make_ready
from cnnsearch.explain.variants import variants
from cnnsearch.history import Run
from cnnsearch.parts import Finals
from cnnsearch.plan import Plan
from cnnsearch.record import own
from cnnsearch.verdict import Row, decided


def explain(folder: Path, seeds: int = 1, *, machine: Machine = UNCHANGED, quiet: bool = False) -> Ablation | None:
    """Train what is not trained yet of the winner's variants, and give the winner beside them; None where none fits.

    The recipe is that of the finals. Raises RunError where a run has no finals with two seeds or more: without a spread
    no difference means anything.
    """
    plan = plan_of_run(folder, machine)
    make_ready(plan)
    with own(folder) as record, bar_of_trainings("variants", quiet=quiet) as bar:
        run = history.read(folder)
        winner = _winner(run)
        taking_part = _field(winner, seeds, plan)
        trainings = Trainings(taking_part, run, plan.seed, record, bar, role="variant")
        trainings.run_in_workers(plan)
    return ablation(history.read(folder))


def _winner(run: Run) -> Row:
    found = decided(run)
    if found is None or len(found.winner.scores) < 2:  # noqa: PLR2004 (one seed has no spread)
        law = "its finals have no winner with two seeds or more, so nobody knows which differences mean something"
        seeds = f" --seeds {max(3, run.finals.seeds + 1)}" if found else ""  # its other seeds may have diverged
        raise RunError(f"{run.folder}: {law}; python -m cnnsearch.evaluate {run.folder}{seeds} trains them")
    return found.winner


def _field(winner: Row, seeds: int, plan: Plan) -> Field:
    network, recipe = winner.network, winner.recipe
    assert network
    assert recipe
    assert winner.trial
    limit = seconds_for(recipe, winner.trial.recipe, plan)
    others = tuple(
        Entrant(f"{winner.entrant} {variant.name}", variant.network, recipe, seconds=limit)
        for variant in variants(network)
    )
    # Not checked: a plan has at most 100 finalists, a deep network may have more variants.
    finals = Finals().model_copy(update={"finalists": len(others), "seeds": seeds})
    return Field(finals, others, ())
