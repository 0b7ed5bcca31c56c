"""What did an export make? `table.json`: fields are added, never renamed. And the same as a table to look at.

network, role (winner, best or given), dataset, validation_images, validation_accuracy (the network's own, from 0 to
1), made [{format, files, bytes, verdict, and what was found as in cnnsearch/export/check.py}], missing {file: why},
processor (the one latencies were measured on), versions.
"""

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict
from rich.table import Table as RichTable

from cnnsearch.export.check import Found
from cnnsearch.export.source import Role
from cnnsearch.units import interval_in_ms, percent

Judgement = Literal["equal", "better", "worse"]
HEADS = ("format", "file", "bytes", "right on validation", "largest difference", "changed", "one image, one thread")


class Made(BaseModel):
    """One format, made and checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: str
    files: tuple[str, ...]
    bytes: int
    verdict: Judgement
    """Whether it reads as many validation images right as the network."""
    found: Found


class Table(BaseModel):
    """All formats."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    network: str
    role: Role
    dataset: str
    validation_images: int
    validation_accuracy: float
    made: tuple[Made, ...]
    missing: dict[str, str]
    processor: str
    versions: dict[str, str]


_ROLES: dict[Role, str] = {
    "winner": "The winner",
    "best": "The search's best, not yet trained again nor tested",
    "given": "A network without a run",
}


def of_whom(table: Table) -> str:
    """Say what kind of network it is."""
    return _ROLES[table.role]


def verdict_of(found: Found) -> Judgement:
    """Judge by the images read right: a file that loses as many as it gains is equal."""
    if found.lost == found.gained:
        return "equal"
    return "worse" if found.lost > found.gained else "better"


def sentences(table: Table) -> Iterator[str]:
    """Say what became of the decisions, and whether int8 is slower than the ONNX that it was made of."""
    formats = {row.format: row for row in table.made}
    for row in table.made:
        yield in_words(row, table.validation_images)
    if {"ONNX", "ONNX int8"} <= formats.keys():
        whole, quantized = (formats[name].found.latency_seconds for name in ("ONNX", "ONNX int8"))
        if quantized[1] > whole[2]:  # the intervals do not overlap
            yield f"ONNX int8 is slower here than ONNX: {interval_in_ms(quantized)} against {interval_in_ms(whole)}."


def in_words(row: Made, images: int) -> str:
    """Say what became of the decisions."""
    found = row.found
    if not found.changed:
        return f"{row.format} gives each of {images:,} validation images the class that the network gives."
    than = "as good as" if row.verdict == "equal" else f"{row.verdict} than"
    lost = f"{found.lost} of them the network reads right and it wrong, {found.gained} the other way round"
    return f"{row.format} is {than} the network: {found.changed} of {images:,} images get another class; {lost}."


def cells(row: Made) -> tuple[str, ...]:
    """Write a row under HEADS."""
    found = row.found
    return (
        row.format,
        ", ".join(row.files),
        f"{row.bytes:,}",
        percent(found.validation_accuracy),
        f"{found.largest_difference:.1e}",
        str(found.changed),
        interval_in_ms(found.latency_seconds),
    )


def on_screen(table: Table) -> RichTable:
    """Draw it for a terminal."""
    drawn = RichTable(*HEADS)
    for row in table.made:
        drawn.add_row(*cells(row))
    return drawn


def in_markdown(table: Table) -> str:
    """Draw it for a page."""
    rows = [HEADS, ("---",) * len(HEADS), *(cells(row) for row in table.made)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
