"""What must an exported file agree with? The network's own logits for the validation images.

Axes: N images, C channels, H height, W width, K classes.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cnnsearch.data import Split
from cnnsearch.weights import Classifier

FIRST_ENDS = (1, 8)  # the first batches are of 1 and of 7 images: a graph must take any number
BATCH = 256


def write_material(path: Path, classifier: Classifier, split: Split) -> float:
    """Write images, labels, logits and the ends of batches as `outside.py` reads them; give the network's accuracy."""
    ends = [end for end in (*FIRST_ENDS, *range(BATCH, len(split.labels_N), BATCH)) if end < len(split.labels_N)]
    batches = split.images_NCHW.tensor_split(ends)
    logits_NK = torch.cat([_logits(classifier, images_NCHW) for images_NCHW in batches])
    np.savez(
        path,
        images=split.images_NCHW.numpy(), labels=split.labels_N.numpy(), logits=logits_NK.numpy(), ends=np.array(ends),
    )  # fmt: skip
    return (logits_NK.argmax(dim=1) == split.labels_N).double().mean().item()


def _logits(classifier: Classifier, images_NCHW: Tensor) -> Tensor:
    with torch.inference_mode():
        return classifier(images_NCHW.float() / 255)
