"""What would somebody train who does not search? Networks from the literature and by hand, for images of any size."""

from cnnsearch.errors import InvalidSpecError
from cnnsearch.network import Network
from cnnsearch.recipe import Recipe
from cnnsearch.shapes import Shape
from cnnsearch.text import Plain

GENTLE = 0.002  # AdamW's highest learning rate for networks without batch norm
LEAST_TO_POOL_TWICE = 16  # pixels of an image's shorter side


def lenet5(shape: Shape, classes: int) -> Network | None:
    """Make LeNet-5 (LeCun et al. 1998) with ReLU and max pooling, as it is built today; None where it does not fit.

    Made for 32x32 images; the first convolution's padding makes 28x28 ones as large.
    """
    blocks = [
        {"conv": {"out_channels": 6, "kernel_size": 5, "padding": 2}, "maxpool": {"kernel_size": 2}},
        {"conv": {"out_channels": 16, "kernel_size": 5}, "maxpool": {"kernel_size": 2}},
    ]
    plain = [{**block, "batchnorm": None} for block in blocks]
    try:
        return _network(shape, classes, plain, {"pool": None, "hidden": [120, 84]})
    except InvalidSpecError:
        return None


def handmade(shape: Shape, classes: int) -> Network:
    """Make what one would write first: three 3x3 convolutions of 16, 32 and 64 channels, pooled as the size allows."""
    pools = 2 if min(shape.size) >= LEAST_TO_POOL_TWICE else 1
    blocks = [
        {
            "conv": {"out_channels": channels, "kernel_size": 3, "padding": "same", "bias": False},
            "maxpool": {"kernel_size": 2} if number < pools else None,
        }
        for number, channels in enumerate((16, 32, 64))
    ]
    return _network(shape, classes, blocks, {"pool": "average"})


def gentle(recipe: Recipe) -> Recipe:
    """Train without batch norm: by AdamW at a rate that is gentle, or at the recipe's own where that is lower."""
    return recipe.model_copy(update={"optimizer": "adamw", "learning_rate": min(GENTLE, recipe.learning_rate)})


def _network(shape: Shape, classes: int, blocks: Plain, head: Plain) -> Network:
    image = {"channels": shape.channels, "height": shape.height, "width": shape.width}
    return Network.model_validate({"input": image, "blocks": blocks, "head": head, "classes": classes})
