"""How does a table of lines look on a terminal?"""

from collections.abc import Iterator, Sequence

from cnnsearch.check.collect import Line

_HEADS = ("layer", "kind", "map", "sees", "parameters", "multiply-adds", "fp32 bytes", "int8 bytes", "bytes of maps")
_TEXTS = 4  # so many columns are texts, to the left


def table(lines: Sequence[Line], total: Line) -> Iterator[str]:
    """Write heads, lines and total in columns."""
    rows = [_HEADS, *(_cells(line) for line in (*lines, total))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    written = [_aligned(row, widths) for row in rows]
    rule = "-" * max(len(row) for row in written)
    yield from (written[0], rule, *written[1:-1], rule, written[-1])


def _cells(line: Line) -> tuple[str, ...]:
    return (*line[:_TEXTS], *(f"{number:,}" for number in line[_TEXTS:]))


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    texts = (cell.ljust(width) for cell, width in zip(cells[:_TEXTS], widths[:_TEXTS], strict=True))
    numbers = (cell.rjust(width) for cell, width in zip(cells[_TEXTS:], widths[_TEXTS:], strict=True))
    return "  ".join((*texts, *numbers)).rstrip()
