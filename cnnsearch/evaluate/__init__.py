"""The finals: the best few are trained again, the winner is named, and only then the test images are read."""

from cnnsearch.evaluate.conduct import evaluate as evaluate
from cnnsearch.evaluate.conduct import hold as hold

__all__ = ["evaluate", "hold"]
