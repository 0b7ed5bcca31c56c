"""To what form are images brought?"""

from typing import Literal

from cnnsearch.pairs import PairFrom1
from cnnsearch.word import Word


class Image(Word):
    """What every image of a data set of one's own is brought to; null leaves it as it is."""

    size: PairFrom1 | None = None
    """Height and width in pixels, [height, width] or one number for both: images of other sizes are stretched or
    shrunk (smoothed) to it. Needed where the sizes differ."""
    channels: Literal[1, 3] | None = None
    """1 makes all images grey, 3 makes all of them RGB. Needed where some are grey and some coloured."""
