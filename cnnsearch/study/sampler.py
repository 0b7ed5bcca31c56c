"""Which of the draws that Optuna could propose is taken?

TPE fits its models once for a proposal, draws 24 candidates from the better ones' model, and takes the one that is the
likeliest to be better. Where few networks are good, it soon draws those that it knows: on MNIST's default space three
proposals in four were known or over a limit by the 200th trial. To fit again costs 20 to 60 ms, so of the 24 the
likeliest is taken that nobody has tried yet. Uniform draws are made again until one is new, as often.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from optuna.samplers import RandomSampler, TPESampler

from cnnsearch.parts import Sampler

DRAWS = 24  # TPE's own number

IsWanted = Callable[[Mapping[str, float]], bool]


class ChoosyTPE(TPESampler):
    """TPE that takes the likeliest wanted one of its draws; the likeliest where none is wanted."""

    def __init__(self, startup: int, is_wanted: IsWanted) -> None:
        # With several values it would not be multivariate by itself.
        super().__init__(n_startup_trials=startup, n_ei_candidates=DRAWS, multivariate=True)
        self._is_wanted = is_wanted

    def _compute_acquisition_func(
        self,
        samples: dict[str, np.ndarray[Any, Any]],
        mpe_below: Any,  # noqa: ANN401 (Optuna's own)
        mpe_above: Any,  # noqa: ANN401
    ) -> np.ndarray[Any, Any]:
        # Optuna's own affair; a test notices when a new version asks it no more.
        likely = super()._compute_acquisition_func(samples, mpe_below, mpe_above)
        for index in np.argsort(-likely, kind="stable"):
            if self._is_wanted({name: column[index].item() for name, column in samples.items()}):
                likely[index] = np.inf
                break
        return likely


def sampler_of(sampler: Sampler, is_wanted: IsWanted) -> RandomSampler | ChoosyTPE:
    """Make the sampler that a plan asks for."""
    return RandomSampler() if sampler.kind == "random" else ChoosyTPE(sampler.startup, is_wanted)


def seed(sampler: RandomSampler | ChoosyTPE, seed: int) -> None:
    """Seed the generators of one sampler again: a fresh sampler for every candidate costs four times as much.

    These attributes are Optuna's own affair; a test notices when a new version moves them.
    """
    random = sampler._random_sampler if isinstance(sampler, TPESampler) else sampler  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    for state in (sampler._rng, random._rng):  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        state.rng.seed(seed)
