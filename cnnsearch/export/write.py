"""How does a trained network become a folder of files that stand for themselves?

Each format is made from the one before (the program from the network, the graph from the program, ONNX from the
graph, int8 from ONNX), in a folder of its own, and looked at from outside. Only what passed is put into its place,
and the table and the card last: where they are, everything they tell of is there.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from platform import machine
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch

from cnnsearch import data
from cnnsearch.errors import ExportError, RunError
from cnnsearch.export import own
from cnnsearch.export.bench import Bench
from cnnsearch.export.card import STUDY, card
from cnnsearch.export.check import look_from_outside, refuse_another
from cnnsearch.export.graphs import GRAPH, ONNX, write_graph, write_onnx
from cnnsearch.export.int8 import INT8, write_int8
from cnnsearch.export.material import write_material
from cnnsearch.export.program import PROGRAM, write_program
from cnnsearch.export.source import Source
from cnnsearch.export.table import Made, Table, verdict_of
from cnnsearch.files import write_whole
from cnnsearch.places import NETWORK, WEIGHTS
from cnnsearch.versions import versions

LOCAL = {"name", "runs", "storage", "data_root", "executor"}  # of a plan: where, and on what
TABLE, CARD = "table.json", "README.md"
MARK = ".cnnsearch-export"
"""In a folder that `export` may write into again: put there first, it tells an export that was cut from other files."""
PACKAGES = ("cnnsearch", "torch", "numpy", "safetensors", "onnx", "onnxruntime", "onnxscript")


class Format(NamedTuple):
    """A way to write a network."""

    name: str
    file: str
    make: Callable[[Bench], None]
    exact: bool = True
    """Whether it computes with the network's own numbers."""


FORMATS = (
    Format("plain torch", PROGRAM, write_program),
    Format("torch.export", GRAPH, write_graph),
    Format("ONNX", ONNX, write_onnx),
    Format("ONNX int8", INT8, write_int8, exact=False),
)


def export(source: Source, to: Path, data_root: Path) -> Table:
    """Write every format into the folder `to`, with a table and a card; what cannot be made is told in the table.

    Raises DataError where the data set is not to be had, RunError where `to` holds something else. The test images
    are not read.
    """
    _refuse_foreign(to)
    classifier = source.classifier
    images = data.load(classifier.dataset, data_root, torch.device("cpu"))
    with TemporaryDirectory(prefix="cnnsearch-export-") as folder, TemporaryDirectory() as aside:
        bench, material = Bench(Path(folder), classifier, images), Path(aside) / "material.npz"
        accuracy = write_material(material, classifier, images.validation)
        _copy_words(source, bench.folder)
        made, missing = _make(bench, material)
        table = Table(
            network=str(classifier.network),
            role=source.role,
            dataset=classifier.dataset,
            validation_images=len(images.validation.labels_N),
            validation_accuracy=accuracy,
            made=made,
            missing=missing,
            processor=processor(),
            versions=versions(PACKAGES),
        )
        _put(bench.folder, to, table, card(source, images, table))
    return table


def _refuse_foreign(to: Path) -> None:
    if to.exists() and not to.is_dir():
        raise RunError(f"{to}: no folder; name another with --to")
    if to.is_dir() and any(to.iterdir()) and not (to / MARK).is_file():
        raise RunError(f"{to}: neither empty nor an earlier export (no {MARK} in it); name a new folder with --to")


def _copy_words(source: Source, folder: Path) -> None:
    """Write what needs no making: the network, its weights, and the plan without what is this machine's own."""
    for name in (NETWORK, WEIGHTS):
        shutil.copyfile(source.files / name, folder / name)
    if source.run:
        plan = {key: value for key, value in source.run.plan.items() if key not in LOCAL}
        (folder / STUDY).write_text(json.dumps(plan, indent=2) + "\n", encoding="utf-8")


def _make(bench: Bench, material: Path) -> tuple[tuple[Made, ...], dict[str, str]]:
    made: list[Made] = []
    missing: dict[str, str] = {}
    for kind in FORMATS:
        path = bench.folder / kind.file
        try:
            kind.make(bench)
            found = look_from_outside(path, material)
            refuse_another(found, bench.classifier.classes, exact=kind.exact)
        except ExportError as error:
            path.unlink(missing_ok=True)
            missing[kind.file] = str(error)
        else:
            files = _files(kind, bench)
            size = sum((bench.folder / name).stat().st_size for name in files)
            made.append(Made(format=kind.name, files=files, bytes=size, verdict=verdict_of(found), found=found))
    return tuple(made), missing


def _files(kind: Format, bench: Bench) -> tuple[str, ...]:
    return (PROGRAM, WEIGHTS, *own.sources(bench.classifier.network)) if kind.file == PROGRAM else (kind.file,)


def _put(made: Path, to: Path, table: Table, card_text: str) -> None:
    to.mkdir(parents=True, exist_ok=True)
    (to / MARK).touch()
    for name in (TABLE, CARD, STUDY, *(kind.file for kind in FORMATS)):  # of an earlier export
        (to / name).unlink(missing_ok=True)
    for path in sorted(made.iterdir()):
        if path.is_file():  # Python leaves a cache beside the programs
            write_whole(to / path.name, path.read_bytes())
    write_whole(to / CARD, card_text)
    write_whole(to / TABLE, table.model_dump_json(indent=2) + "\n")


def processor() -> str:
    """Name the machine's processor, as Linux does, else only its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), machine())
