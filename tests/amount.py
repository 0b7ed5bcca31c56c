"""On how many examples is a law tried? CNNSEARCH_EXAMPLES=20 takes twenty times as many, and new ones."""

import os

from hypothesis import settings

MORE = int(os.environ.get("CNNSEARCH_EXAMPLES", "1"))


def examples(count: int) -> settings:
    """Set how many examples a law is tried on by day."""
    return settings(max_examples=count * MORE)
