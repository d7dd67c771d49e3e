"""Export the patch scorer as one ONNX file, for machines without PyTorch."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import onnx
import torch

from surface_crack.evaluation.calibration import Decision
from surface_crack.scoring.dense import Patches
from surface_crack.scoring.scorer import STRINGS, pixel_values

LICENCE = "MIT"
CONFIG_KEYS = (  # copied from the model's config
    *("classes", "data_digest", "image_size", "model", "normalise", "photo_side", "sources"),
)
AXES = {"pixels": ("batch", "height", "width"), "probability": ("batch", "rows", "columns")}


def onnx_bytes(scores: Patches, metadata: Mapping[str, str]) -> bytes:
    """Export as ONNX: `pixels` uint8 (B, H, W, 3) -> `probability` float32 (B, rows, columns).

    B, H and W are dynamic; only B is if each patch is normalised by itself. Metadata about the
    machine and the exporter are removed, so that the same network gives the same bytes.
    """
    size = scores.size
    free: dict[int, Any] = {0: torch.export.Dim.DYNAMIC}
    if scores.model.by == "photo":
        example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    else:
        example = torch.zeros(2, 2 * size, 2 * size + scores.step, 3, dtype=torch.uint8)
        free |= {1: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC}
    program = torch.onnx.export(
        scores,
        (example,),
        dynamo=True,
        dynamic_shapes=(free,),
        input_names=["pixels"],
        output_names=["probability"],
        external_data=False,
        verbose=False,
    )
    assert program
    proto: onnx.ModelProto = program.model_proto
    graph = proto.graph
    for noted in (graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        del noted.metadata_props[:]  # such as stack traces with paths of this machine
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        for axis, name in zip(value.type.tensor_type.shape.dim, AXES[value.name], strict=False):
            if axis.dim_param:
                axis.dim_param = name
    pixels = {name: json.dumps(values) for name, values in pixel_values(scores.model).items()}
    onnx.helper.set_model_props(proto, dict(sorted({**metadata, **pixels}.items())))
    onnx.checker.check_model(proto, full_check=True)
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def metadata_of(config: Mapping[str, Any], decision: Decision) -> dict[str, str]:
    """Metadata that `load_scorer` reads: keys in STRINGS as text, all others as JSON."""
    values = {key: config[key] for key in CONFIG_KEYS}
    values |= {key: config[key] for key in ("context",) if key in config}
    values |= {"licence": LICENCE, **asdict(decision)}
    return {key: x if key in STRINGS else json.dumps(x) for key, x in values.items()}
