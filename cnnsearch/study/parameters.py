"""How does a hole look as one of Optuna's parameters?

Where the answers are options it is an option's index; of a logarithmic range it is the number itself.
"""

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from cnnsearch.holes import Hole, Real


def distribution(hole: Hole | Real) -> BaseDistribution:
    """Give the distribution that Optuna is asked by: numbers keep their order, a logarithmic range its scale."""
    if isinstance(hole, Real):
        return FloatDistribution(hole.low, hole.high, log=hole.log)
    last = len(hole.options) - 1
    if hole.log:
        return IntDistribution(hole.lowest, hole.lowest + last, log=True)
    return IntDistribution(0, last) if hole.ordered else CategoricalDistribution(tuple(range(last + 1)))


def suggest(trial: optuna.Trial, hole: Hole | Real) -> float:
    """Ask for a hole's answer."""
    if isinstance(hole, Real):
        return trial.suggest_float(hole.name, hole.low, hole.high, log=hole.log)
    asked = distribution(hole)
    if isinstance(asked, IntDistribution):
        return trial.suggest_int(hole.name, asked.low, asked.high, log=asked.log) - param_of(hole, 0)
    return trial.suggest_categorical(hole.name, range(len(hole.options)))


def answer_of(hole: Hole | Real, param: float | None) -> float:
    """Turn Optuna's parameter into the answer for a hole; None for a hole that has only one."""
    if isinstance(hole, Real):
        return hole.low if param is None else param
    return 0 if param is None else int(param) - int(param_of(hole, 0))


def param_of(hole: Hole | Real, answer: float) -> float:
    """Turn the answer for a hole into Optuna's parameter: of a logarithmic range the number itself, not its index."""
    return answer + hole.lowest if isinstance(hole, Hole) and hole.log else answer
