"""How are training images moved about? Each image by its own draw, on the device, a batch at a time.

Axes: N images, C channels, H height, W width. Tried: torchvision's v2 transforms draw one move for a whole batch;
this costs about 1.1 ms for 128 images of 28x28 on one core, some 8 % of a small network's step.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from cnnsearch.recipe import Augmentation


def augment(images_NCHW: Tensor, moves: Augmentation, generator: torch.Generator) -> Tensor:
    """Move each image by its own shift, rotation and scale; what comes in from outside repeats the border."""
    by_N23 = _draw(images_NCHW, moves, generator)
    grid_NHW2 = functional.affine_grid(by_N23, list(images_NCHW.shape), align_corners=False)
    return functional.grid_sample(images_NCHW, grid_NHW2, padding_mode="border", align_corners=False)


def _draw(images_NCHW: Tensor, moves: Augmentation, generator: torch.Generator) -> Tensor:
    """Draw an affine matrix an image, in grid_sample's units, where an image reaches from -1 to 1."""
    images, _, height, width = images_NCHW.shape
    drawn_4N = torch.rand(4, images, generator=generator, device=images_NCHW.device) * 2 - 1
    angle_N = drawn_4N[0] * math.radians(moves.rotation)
    zoom_N = 1 / (1 + drawn_4N[1] * moves.scale)
    cos_N, sin_N = angle_N.cos() * zoom_N, angle_N.sin() * zoom_N
    right_N, down_N = drawn_4N[2] * (2 * moves.shift / width), drawn_4N[3] * (2 * moves.shift / height)
    # A turn in pixels is a shear in grid units where height and width differ.
    across, along = height / width, width / height
    rows = (cos_N, -sin_N * across, right_N, sin_N * along, cos_N, down_N)
    return torch.stack(rows, dim=1).view(images, 2, 3)
