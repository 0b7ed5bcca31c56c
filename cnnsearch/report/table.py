"""How does a table get onto the page? Whatever stands in it is escaped here."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Literal, NamedTuple


class Column(NamedTuple):
    """How the cells of a column are written."""

    name: str = ""
    kind: Literal["text", "number", "code"] = "text"


def named(first: str, *others: str) -> list[Column]:
    """Give the columns of a table whose rows are a name and figures.

    >>> named("entrant", "seeds")
    [Column(name='entrant', kind='text'), Column(name='seeds', kind='number')]
    """
    return [Column(first), *(Column(name, "number") for name in others)]


def table(columns: Sequence[Column], rows: Iterable[Sequence[object]], best: int | None = None) -> str:
    """Write a table, with a head where its columns have names; `best` is the place of the row that stands out.

    >>> table([Column("kind", "code")], [("a<b",)])
    '<div class="wide"><table><tr><th>kind</th></tr><tr><td><code>a&lt;b</code></td></tr></table></div>'
    """
    head = "".join(f"<th{_aligned(column)}>{escape(column.name)}</th>" for column in columns if column.name)
    inside = f"<tr>{head}</tr>" if head else ""
    for place, row in enumerate(rows):
        cells = "".join(_cell(column, str(value)) for column, value in zip(columns, row, strict=True))
        inside += f"<tr{' class=best' if place == best else ''}>{cells}</tr>"
    return f'<div class="wide"><table>{inside}</table></div>'


def _cell(column: Column, text: str) -> str:
    inside = f"<code>{escape(text)}</code>" if column.kind == "code" else escape(text)
    return f"<td{_aligned(column)}>{inside}</td>"


def _aligned(column: Column) -> str:
    return ' class="n"' if column.kind == "number" else ""
