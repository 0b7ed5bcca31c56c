"""What if a block of a network were missing, half as wide, or twice as wide?"""

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from cnnsearch.errors import InvalidSpecError
from cnnsearch.network import Network


class Variant(NamedTuple):
    """A network that differs from another in one block."""

    name: str
    network: Network


def variants(network: Network) -> Iterator[Variant]:
    """Give every network with one block taken away (its pool too), halved or doubled in channels, that fits.

    >>> conv = {"out_channels": 8, "kernel_size": 3, "padding": "same"}
    >>> image = {"channels": 1, "height": 8, "width": 8}
    >>> one = Network.model_validate({"input": image, "blocks": [{"conv": conv}, {"conv": conv}], "classes": 10})
    >>> [(variant.name, str(variant.network)) for variant in variants(one)][:3]  # doctest: +NORMALIZE_WHITESPACE
    [('without blocks[0]', '8, average'), ('blocks[0] halved', '4 8, average'), ('blocks[0] doubled', '16 8, average')]
    """
    plain = network.model_dump(mode="json")
    for number in range(len(network.blocks)):
        for name, blocks in _changed(plain["blocks"], number):
            try:
                changed = Network.model_validate({**plain, "blocks": blocks})
            except InvalidSpecError:  # such as groups that do not divide half of the channels
                continue
            yield Variant(name, changed)


def _changed(blocks: list[dict[str, Any]], number: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    before, block, after = blocks[:number], blocks[number], blocks[number + 1 :]
    yield f"without blocks[{number}]", [*before, *after]
    conv = block.get("conv")
    conv = cast("dict[str, Any]", conv) if isinstance(conv, dict) else {}
    channels = conv.get("out_channels")
    if not isinstance(channels, int):  # a kind of one's own without channels of its own
        return
    for name, changed in (("halved", channels // 2), ("doubled", channels * 2)):
        yield f"blocks[{number}] {name}", [*before, {**block, "conv": {**conv, "out_channels": changed}}, *after]
