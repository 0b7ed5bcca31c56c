"""Texts that are compared as a whole with a file in `tests/golden`; CNNSEARCH_RENEW=1 writes the files anew."""

import os
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str, text: str) -> str:
    """Give the text that the file holds, which is the text given when files are renewed."""
    path = GOLDEN / name
    if os.environ.get("CNNSEARCH_RENEW"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return path.read_text()
