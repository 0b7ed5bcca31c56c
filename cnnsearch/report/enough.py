"""How is it told whether more trials would pay?"""

from cnnsearch.gain import Gain, expected_gain
from cnnsearch.history import Run


def sentence(run: Run) -> str:
    """Say what more trials may add, beside the noise; nothing where that cannot be told."""
    gain = expected_gain(run)
    return in_words(gain) if gain else ""


def in_words(gain: Gain) -> str:
    """Say it of a gain.

    >>> print(in_words(Gain(50, 0.0002, 0.0007, 0.0008, True)))
    50 more trials may add about 0.02 points to the best score (95 %: at most 0.07), less than seeds do (0.08 points).
    """
    if gain.is_over:
        return "More trials can add nothing to the best score: it has every validation image right."
    if gain.is_beyond_telling:
        law = f"{gain.trials} more trials may add as much as there is to add ({100 * gain.left:.2f} points)"
        return f"{law}: the scores so far lie too far apart to tell."
    rise = f"about {100 * gain.expected:.2f} points to the best score (95 %: at most {100 * gain.at_most:.2f})"
    told = f"{gain.trials} more trials may add {rise}"
    if gain.noise is None:
        return f"{told}."
    chance = "seeds do" if gain.of_seeds else "the choice of validation images does"
    return f"{told}, {'less' if gain.is_flat else 'more'} than {chance} ({100 * gain.noise:.2f} points)."
