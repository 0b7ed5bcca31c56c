"""How does `model.py` become a graph that is run without it? torch.export's, and from that one ONNX's.

Both exporters note for every operation where in which file it was written, and ONNX's much more: that is left out,
since it tells of the machine and made the ONNX file of a small network nearly twice as large.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
# (torch's own annotations have holes, and onnx has nearly none)

import json
from itertools import chain
from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from cnnsearch.export.bench import Bench, need_extra, told
from cnnsearch.export.program import PROGRAM, load_program

GRAPH = "model.pt2"
ONNX = "model.onnx"
CLASSES = "classes.json"  # beside the graph in the file of torch.export
BATCH, PIXELS, LOGITS = "images", "pixels", "logits"


def write_graph(bench: Bench) -> None:
    """Write `model.pt2`, for torch.export.load; the class names are the extra file classes.json."""
    model = load_program(bench.take(PROGRAM))
    images_NCHW = torch.zeros(2, *bench.classifier.network.input.shape)
    with told("torch.export"):
        exported = torch.export.export(model, (images_NCHW,), dynamic_shapes=({0: Dim(BATCH, min=1)},))
        for node in exported.graph.nodes:
            node.meta.pop("stack_trace", None)
        torch.export.save(exported, bench.folder / GRAPH, extra_files={CLASSES: json.dumps(bench.classifier.classes)})


def write_onnx(bench: Bench) -> None:
    """Write `model.onnx`: `pixels` in, `logits` out; the class names are the entry `classes` of its metadata."""
    need_extra()
    import onnx

    graph = bench.take(GRAPH)
    with told("torch.onnx"):
        model = _converted(torch.export.load(graph))
        _forget(model)
        onnx.helper.set_model_props(model, {"classes": json.dumps(bench.classifier.classes)})
        onnx.checker.check_model(model, full_check=True)
    (bench.folder / ONNX).write_bytes(model.SerializeToString())


def _converted(exported: ExportedProgram) -> Any:  # noqa: ANN401 (onnx's classes are made while it is imported)
    program: Any = torch.onnx.export(
        exported, (), dynamo=True, input_names=[PIXELS], output_names=[LOGITS], verbose=False
    )
    program.rename_axes({program.model.graph.inputs[0].shape[0]: BATCH})
    return program.model_proto


def _forget(model: Any) -> None:  # noqa: ANN401 (as above)
    """Remove what the exporter noted about how the model came about."""
    graph = model.graph
    for part in chain((model, graph), graph.node, graph.input, graph.output, graph.value_info, graph.initializer):
        part.ClearField("metadata_props")
