"""How does a picture become bytes? Read as people see it, or refused; never guessed.

Only formats of pictures are opened (no PostScript, which Pillow hands to another program), and nothing is unpacked
before its header has been believed.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image as pillow  # noqa: N813 (its `Image` is a module)
from PIL import ImageOps, UnidentifiedImageError

from cnnsearch.own.image import Image

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
MOST_PIXELS = 1 << 26  # 8192 x 8192: no camera's picture is refused, and no bomb is unpacked
GREY, COLOURED = frozenset({"1", "L", "LA"}), frozenset({"RGB", "RGBA", "P", "PA"})
OPAQUE = 255


class PictureError(ValueError):
    """A picture cannot be read; says why, and what to do."""


def read(path: Path, image: Image) -> NDArray[np.uint8]:
    """Return a picture as (height, width, channels) bytes; raise PictureError."""
    try:
        _refuse_empty(path)
        with pillow.open(path, formats=FORMATS) as picture:
            _check(picture)
            return brought(_opaque(ImageOps.exif_transpose(picture)), image)
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise PictureError("it is no picture of a kind that is read (PNG, JPEG, ...), or its beginning is damaged;"
                           " save it anew or take it out") from None  # fmt: skip
    except (pillow.DecompressionBombError, pillow.DecompressionBombWarning):
        raise PictureError(f"it claims to have more than {MOST_PIXELS:,} pixels; shrink it or take it out") from None
    except Exception as error:  # noqa: BLE001 (on damaged files Pillow raises whatever its parsers stumble on)
        raise PictureError(f"it is damaged or cut off ({_told(error)}); replace it or take it out") from None


def _refuse_empty(path: Path) -> None:
    if path.stat().st_size == 0:
        raise PictureError("it is empty (0 bytes); replace it or take it out")


def _told(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.partition("\n")[0]


def _check(picture: "Picture") -> None:
    """Refuse by the header what must not or cannot be unpacked."""
    if picture.width * picture.height > MOST_PIXELS:
        size = f"{picture.height}x{picture.width}"
        raise PictureError(f"{size} are more than {MOST_PIXELS:,} pixels; shrink it or take it out")
    if picture.mode not in GREY | COLOURED:
        law = f"its pixels are of mode {picture.mode!r}, and only 8-bit grey and RGB are read"
        raise PictureError(f"{law}; save it as one of these")
    frames: int = getattr(picture, "n_frames", 1)  # only formats that may have several have it
    if frames > 1 and picture.format != "MPO":  # what a phone adds to its JPEG are copies and depth maps
        raise PictureError(f"it holds {frames} pictures; save each to a file of its own")


def _opaque(picture: "Picture") -> "Picture":
    """Return it as grey or RGB; what lies behind transparent pixels nobody knows."""
    plain = "L" if picture.mode in GREY else "RGB"
    if picture.has_transparency_data:
        picture = picture.convert("LA" if plain == "L" else "RGBA")
        lowest, _ = picture.getchannel("A").getextrema()
        if lowest != OPAQUE:
            raise PictureError("some of its pixels are transparent; put it on a background and save it without alpha")
    shown = picture.convert(plain)
    if picture.mode == "P" and len({channel.tobytes() for channel in shown.split()}) == 1:
        return shown.getchannel(0)  # a grey picture: some formats know palettes only
    return shown


def brought(picture: "Picture", image: Image) -> NDArray[np.uint8]:
    """Bring a grey or RGB picture to the size and channels asked for."""
    if image.channels is not None:
        picture = picture.convert("L" if image.channels == 1 else "RGB")
    if image.size is not None and picture.size != (image.size[1], image.size[0]):
        wide_high = image.size[1], image.size[0]
        picture = picture.resize(wide_high, pillow.Resampling.BILINEAR)  # which smooths when it shrinks
    return np.atleast_3d(np.asarray(picture))
