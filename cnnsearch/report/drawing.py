"""How does a network look? Its layers as boxes in the proportions of their maps, block by block, as HTML and SVG."""

# ruff: noqa: RUF001, RUF002 (sizes are written with the sign for it, as people write them)

from html import escape
from itertools import groupby
from math import log2
from typing import NamedTuple

from cnnsearch.flow import Row
from cnnsearch.network import Network
from cnnsearch.shapes import Shape

TALLEST = 92.0  # pixels of the network's largest map
SLANT = 0.35  # of a box's depth, seen from the side


class Stage(NamedTuple):
    """A box: a layer that makes a new map, and the layers after it that only change its numbers."""

    row: Row
    label: str
    followers: tuple[str, ...]
    parameters: int


def drawn(network: Network) -> str:
    """Draw a network from its input to its output."""
    largest = max(max(stage.row.shape.size) for stage in stages(network))
    largest = max(largest, *network.input.shape.size)
    blocks = [
        _block("input", _item(_box(network.input.shape, largest, "input"), "image", "", network.input.shape, None))
    ]
    for title, group in groupby(stages(network), key=lambda stage: _owner(network, stage.row)):
        boxes = (_stage(stage, largest) for stage in group)
        blocks.append(_block(title, "".join(boxes)))
    return f'<div class="network">{"".join(blocks)}</div>'


def stages(network: Network) -> list[Stage]:
    """Join what follows a box without changing its shape, such as batch norm and ReLU, to that box."""
    found: list[Stage] = []
    for row in network.layers:
        label = _label(row)
        last = found[-1] if found else None
        if last and _only_changes_numbers(row) and _branch(row) == _branch(last.row):
            found[-1] = last._replace(followers=(*last.followers, label), parameters=last.parameters + row.parameters)
        else:
            found.append(Stage(row, label, (), row.parameters))
    return found


def _only_changes_numbers(row: Row) -> bool:
    return not row.macs and row.shape == row.shape_in and row.kind not in {"Sum", "MaxPool"}


def _branch(row: Row) -> str:
    return row.place.rpartition(".")[0]


def _label(row: Row) -> str:
    """Write a layer as people say it: Conv 3×3, stride 2."""
    if row.layer is None or row.kind not in {"Conv", "MaxPool"}:
        return row.kind
    window = row.layer.window()
    usual = (1, 1) if row.kind == "Conv" else window.kernel_size
    groups: int = getattr(row.layer, "groups", 1)
    depthwise = "depthwise " if 1 < groups == row.shape_in.channels else ""
    notes = [
        _side_by_side(window.kernel_size),
        f"stride {_side_by_side(window.stride)}" if window.stride != usual else "",
        f"dilation {_side_by_side(window.dilation)}" if window.dilation != (1, 1) else "",
        f"{groups} groups" if groups > 1 and not depthwise else "",
    ]
    return f"{depthwise}{row.kind} {', '.join(note for note in notes if note)}"


def _side_by_side(pair: tuple[int, int]) -> str:
    return f"{pair[0]}×{pair[1]}"


def _owner(network: Network, row: Row) -> str:
    owner = row.place.partition(".")[0]
    number = owner.removeprefix("blocks[").removesuffix("]")
    kind = getattr(network.blocks[int(number)], "kind", "plain") if number.isdigit() else "plain"
    return owner if kind == "plain" else f"{owner} {kind}"


def _block(title: str, items: str) -> str:
    return f'<section class="block"><h4>{escape(title)}</h4><div class="stages">{items}</div></section>'


def _stage(stage: Stage, largest: int) -> str:
    row = stage.row
    branch = _branch(row).split(".")[2:]  # of a sum: blocks[1].add.shortcut
    label = ": ".join([*branch, stage.label])
    box = _box(row.shape, largest, row.kind.lower() if row.kind in {"Conv", "MaxPool", "Sum", "Linear"} else "other")
    return _item(box, label, " + ".join(stage.followers), row.shape, stage.parameters)


def _item(box: str, label: str, followers: str, shape: Shape, parameters: int | None) -> str:
    after = f"<i>+ {escape(followers)}</i>" if followers else ""
    count = f"<small>{parameters:,} parameters</small>" if parameters else ""
    size = str(shape.channels) if shape.size == (1, 1) else f"{shape.channels} × {shape.height}×{shape.width}"
    caption = f"<b>{escape(label)}</b>{after}<span>{size}</span>{count}"
    return f'<figure class="stage">{box}<figcaption>{caption}</figcaption></figure>'


def _box(shape: Shape, largest: int, kind: str) -> str:
    """Draw a map as a box: height and slant as its height and width, thickness as the logarithm of its channels."""
    if shape.size == (1, 1):
        return _column(shape.channels, kind)
    high = max(TALLEST * shape.height / largest, 5)
    deep = max(TALLEST * shape.width / largest, 5) * SLANT
    thick = 5 + 5 * log2(shape.channels + 1)
    front = f"0,{deep:.1f} {thick:.1f},{deep:.1f} {thick:.1f},{deep + high:.1f} 0,{deep + high:.1f}"
    top = f"0,{deep:.1f} {deep:.1f},0 {thick + deep:.1f},0 {thick:.1f},{deep:.1f}"
    side = f"{thick:.1f},{deep:.1f} {thick + deep:.1f},0 {thick + deep:.1f},{high:.1f} {thick:.1f},{deep + high:.1f}"
    faces = f'<polygon class="top" points="{top}"/><polygon class="side" points="{side}"/><polygon points="{front}"/>'
    return _svg(thick + deep, high + deep, faces, kind)


def _column(features: int, kind: str) -> str:
    """Draw a row of features as a column of dots, at most twelve of them."""
    dots = min(features, 12)
    circles = "".join(f'<circle cx="6" cy="{6 + 9 * number}" r="3.4"/>' for number in range(dots))
    more = f'<text x="6" y="{9 * dots + 9}" text-anchor="middle">⋮</text>' if features > dots else ""
    return _svg(12, 9 * dots + 3 + (12 if more else 0), circles + more, kind)


def _svg(width: float, height: float, inside: str, kind: str) -> str:
    frame = f'width="{width + 2:.0f}" height="{height + 2:.0f}" viewBox="-1 -1 {width + 2:.1f} {height + 2:.1f}"'
    return f'<svg class="box {escape(kind)}" {frame} aria-hidden="true">{inside}</svg>'
