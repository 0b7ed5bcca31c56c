"""Why did a training fail? A record says it in one text: the cause, a colon, what is known of it."""

from typing import Literal

Cause = Literal["diverged", "out of memory", "timeout", "disk full", "bug", "worker died"]


def is_to_blame(state: str, reason: str) -> bool:
    """Say whether a candidate itself is to blame that it was not trained, and not the program or the machine."""
    return state in {"failed", "turned_away"} and cause_of(reason) in {"diverged", "timeout", "out of memory"}


def reason_of(cause: Cause, message: str) -> str:
    """Write the reason, as a record and a page show it."""
    return f"{cause}: {message}"


def cause_of(reason: str) -> str:
    """Read the cause back; another text, such as the limit that a network exceeds, has none that is known here."""
    return reason.partition(":")[0]
