"""What is said of each layer of a network?"""

from typing import NamedTuple

from cnnsearch.cost import total
from cnnsearch.network import Network


class Line(NamedTuple):
    """One layer on the data's way, or what all of them come to."""

    place: str
    kind: str
    map: str
    """CxHxW after the layer."""
    field: str
    """Height x width of the patch of the input on which one of its outputs depends."""
    parameters: int
    macs: int
    weight_bytes: int
    weight_bytes_int8: int
    live_bytes: int
    """fp32 bytes of all maps that exist while it runs."""


def collect(network: Network) -> tuple[Line, ...]:
    """Give a line for the input and one for each layer."""
    image = network.input.shape
    lines = [Line("input", "", str(image), "1x1", 0, 0, 0, 0, 0)]
    for row in network.layers:
        cost = total((row,))
        field = "x".join(str(side) for side in row.receptive_field)
        lines.append(Line(row.place, row.kind, str(row.shape), field, *cost))
    return tuple(lines)
