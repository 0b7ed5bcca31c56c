"""How do trained weights get onto the disk and back? safetensors, so no pickle: opening a file runs no code.

One metadata entry, `cnnsearch`, holds as JSON what the weights mean: network, data set, class names, mean and spread
of the pixels; and a sha256 of all of that and of every tensor, since neither torch nor safetensors notices a flipped
bit. It is one entry because safetensors writes several in random order: so equal weights are equal files.

Axes: N images, C channels, H height, W width, K classes.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes  # pyright: ignore[reportUnknownVariableType] (untyped)
from torch import Tensor, nn

from cnnsearch.data import DataSet
from cnnsearch.errors import DiskFullError, RunError
from cnnsearch.files import write_whole
from cnnsearch.module import build
from cnnsearch.network import Network
from cnnsearch.places import BEST, NETWORK, WEIGHTS, WINNER
from cnnsearch.record import RECORD
from cnnsearch.word import Word, faults

ENTRY = "cnnsearch"
PARTS = (WINNER, BEST)
"""Of a run's folder, that hold weights; the first one that is there counts."""


class Label(Word):
    """What trained weights mean."""

    network: Network
    dataset: str
    """Its key, by which what works with the weights later finds the images again."""
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    """Of each channel's pixels, from 0 to 1, over the training images."""
    std: tuple[float, ...]


_LABEL = TypeAdapter(Label)


class Classifier(nn.Module):
    """A trained network that takes pixels from 0 to 1 and gives a logit for each of its `classes`."""

    mean_C11: Tensor
    std_C11: Tensor

    def __init__(self, module: nn.Module, label: Label) -> None:
        super().__init__()
        self.module = module
        self.network = label.network
        self.classes = label.classes
        self.dataset = label.dataset
        for name, values in (("mean_C11", label.mean), ("std_C11", label.std)):
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1), persistent=False)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Normalise as in the training, and give logits_NK; raise ValueError for images of another kind."""
        expected, kind = tuple(self.network.input.shape), self.mean_C11.dtype
        if images_NCHW.dtype != kind or images_NCHW.shape[1:] != expected:
            raise ValueError(
                f"images of {images_NCHW.dtype} and shape {tuple(images_NCHW.shape)}: this network takes {kind} from 0"
                f" to 1 of shape (images, {', '.join(map(str, expected))}); divide bytes by 255, and .to({kind})"
            )
        return self.module((images_NCHW - self.mean_C11) / self.std_C11)


def save(path: Path, module: nn.Module, network: Network, data: DataSet) -> None:
    """Write the weights of a trained module with what they mean; the file is whole or not there.

    Raises DiskFullError when the disk takes no more, RunError when it cannot be written otherwise.
    """
    label = Label(network=network, dataset=data.key, classes=data.classes, mean=data.mean, std=data.std)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, sealed(label.model_dump_json(), module.state_dict()))
    except DiskFullError:
        raise
    except OSError as error:
        raise RunError(
            f"{path}: the weights could not be written ({error}); is there space, and permission?"
        ) from error


def load(path: str | Path) -> Classifier:
    """Return a trained network, in eval mode on the CPU, from the folder or file it was saved to.

    It takes float32 pixels from 0 to 1, (N, C, H, W), and gives logits, (N, K); its `classes` name the K. Of a whole
    run it is the winner of the finals, or the best of the search where there were none. Raises RunError for a file that
    is missing, damaged or not ours.
    """
    file = _file(Path(path))
    content, tensors = opened(file)
    label = _label(file, content)
    module = build(label.network)
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        law = f"the weights do not fit the network as it is built here ({str(error).partition(':')[0]})"
        raise RunError(f"{file}: {law}; was a kind of block changed since? bring it back, or train again") from None
    return Classifier(module, label).eval()


def sealed(content: str, tensors: Mapping[str, Tensor]) -> bytes:
    """Write tensors with a text that says what they mean, and a checksum of both."""
    plain = {name: _plain(tensor) for name, tensor in tensors.items()}
    return to_bytes(plain, {ENTRY: json.dumps({"label": content, "sha256": _digest(content, plain)})})


def opened(file: Path) -> tuple[str, dict[str, Tensor]]:
    """Read text and tensors; raise RunError for a file that is missing, damaged or not ours."""
    entry, tensors = _read(file)
    return _checked(file, entry, tensors), tensors


def _file(path: Path) -> Path:
    if path.name == NETWORK and path.is_file():
        raise RunError(f"{path}: describes a network and holds no weights; give its folder, or that of the run")
    if not path.is_dir():
        return path
    files = [path / WEIGHTS, *(path / part / WEIGHTS for part in PARTS)]
    # Where the weights of a network that is there were lost, no others take their place.
    found = next((file for file in files if file.is_file() or (file.parent / NETWORK).is_file()), None)
    if found is None and (path / RECORD).is_file():
        law = "this run has no weights: no trial of it is complete, or they were removed"
        raise RunError(f"{path}: {law}; the study's own command goes on, and report.html tells what became of each")
    return found or files[0]


def _plain(tensor: Tensor) -> Tensor:
    # safetensors takes neither channels_last nor two names for one memory.
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def _digest(content: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(content.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _read(file: Path) -> tuple[str, dict[str, Tensor]]:
    if not file.is_file():
        raise RunError(f"{file}: no such file; give a run, such as runs/NAME, or the folder of its weights")
    try:
        opener: Any = safe_open(file, framework="pt")  # safetensors is untyped
        with opener as reading:
            metadata: dict[str, str] = reading.metadata() or {}
            tensors: dict[str, Tensor] = {name: reading.get_tensor(name) for name in reading.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(_damaged(file, str(error))) from None
    if ENTRY not in metadata:
        raise RunError(f"{file}: no weights of cnnsearch: the metadata has no entry {ENTRY!r}; give a file of a run")
    return metadata[ENTRY], tensors


def _checked(file: Path, entry: str, tensors: dict[str, Tensor]) -> str:
    try:
        written: dict[str, Any] = json.loads(entry)
        content, expected = str(written["label"]), str(written["sha256"])
    except (ValueError, TypeError, KeyError) as error:
        raise RunError(_damaged(file, f"its label cannot be read: {error}")) from None
    found = _digest(content, tensors)
    if found != expected:
        raise RunError(_damaged(file, f"sha256 {found[:12]}... is not the {expected[:12]}... it was written with"))
    return content


def _label(file: Path, content: str) -> Label:
    try:
        return _LABEL.validate_json(content)
    except ValidationError as error:
        why = "; ".join(str(fault) for fault in faults(error, Label))
        raise RunError(f"{file}: this program cannot read its label: {why}") from None


def _damaged(file: Path, why: str) -> str:
    return f"{file}: damaged or cut off ({why}); take it from a backup, or train the network again"
