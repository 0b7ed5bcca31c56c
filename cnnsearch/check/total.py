"""What do the lines of a table come to?"""

from collections.abc import Sequence

from cnnsearch.check.collect import Line


def add(lines: Sequence[Line]) -> Line:
    """Add the columns up; of maps alive at once the most count, since they are not there together."""
    return Line(
        place="total",
        kind="",
        map=lines[-1].map,
        field=lines[-1].field,
        parameters=sum(line.parameters for line in lines),
        macs=sum(line.macs for line in lines),
        weight_bytes=sum(line.weight_bytes for line in lines),
        weight_bytes_int8=sum(line.weight_bytes_int8 for line in lines),
        live_bytes=max(line.live_bytes for line in lines),
    )
