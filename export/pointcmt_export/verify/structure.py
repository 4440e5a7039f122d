"""What an ONNX artefact consists of: the student's weights and nothing else, and its interface."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor

from pointcmt.description import ModelConfig
from pointcmt_export.verify.check import Check, decide
from pointcmt_export.verify.runners import metadata

MIN_OPSET = 20
UNUSED = "num_batches_tracked"  # batch norm's counter plays no part in inference


def weights_check(model: onnx.ModelProto, expected: Mapping[str, Tensor]) -> Check:
    """Prove that the artefact holds exactly these weights, by name, count and hash.

    The converter stores some matrices transposed, under a name of its own; they are found by their
    hash. Besides the weights a graph needs constants: integers, single numbers, identity matrices,
    and vectors that are constant or count up. Any other tensor of floating-point numbers is a
    stranger.

    Args:
        model: the artefact.
        expected: the deployable network's weights, made afresh from the checkpoint.
    """
    arrays = {k: _array(t) for k, t in expected.items() if UNUSED not in k}
    wanted = {k: _sha(array) for k, array in arrays.items()}
    held = dict(_tensors(model.graph))
    _name_transposed(held, arrays)
    changed = [k for k in wanted if k in held and _sha(held[k]) != wanted[k]]
    absent = [k for k in wanted if k not in held]
    extra = [k for k, array in held.items() if k not in wanted and not _is_plain(array)]
    figures = {
        "tensors": len(wanted),
        "numbers": sum(t.numel() for k, t in expected.items() if k in wanted),
        "sha256": wanted,
        "changed": changed,
        "absent": absent,
        "extra": {k: list(held[k].shape) for k in extra},
    }
    faults = {"changed": changed, "absent": absent, "not the student's": extra}
    told = [f"{len(names)} {what} ({names[0]})" for what, names in faults.items() if names]
    count = f"{figures['numbers']:,} numbers in {len(wanted)} tensors"
    detail = f"weights: {', '.join(told)}" if told else f"{count}, all the student's, nothing else"
    return decide("structure", not told, detail, figures)


def _array(tensor: Tensor) -> NDArray[Any]:
    """Return a weight as numpy holds it, which knows bfloat16 by another library's name alone."""
    if tensor.dtype == torch.bfloat16:
        return tensor.detach().view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return tensor.detach().numpy()


def _name_transposed(held: dict[str, NDArray[Any]], wanted: dict[str, NDArray[Any]]) -> None:
    """Give tensors that are an absent weight transposed the weight's name and layout."""
    strangers = {_sha(array): name for name, array in held.items() if name not in wanted}
    for name, array in wanted.items():
        stranger = strangers.get(_sha(array.T)) if array.ndim == 2 else None
        if name not in held and stranger in held:
            held[name] = held.pop(stranger).T


def interface_check(model: onnx.ModelProto, config: ModelConfig, inputs: Sequence[str]) -> Check:
    """Check the file against the ONNX standard, and its inputs, outputs and metadata."""
    faults = [*_standard_faults(model), *_signature_faults(model, config, inputs)]
    faults += _metadata_faults(model, config)
    figures = {"opset": model.opset_import[0].version if model.opset_import else None}
    detail = "; ".join(faults) or (
        f"standard operators of opset {figures['opset']}, dynamic batch and points, metadata whole"
    )
    return decide("interface", not faults, detail, figures)


def _standard_faults(model: onnx.ModelProto) -> list[str]:
    domains = {o.domain for o in model.opset_import}
    if domains - {"", "ai.onnx"}:
        return [f"operators outside the standard ({', '.join(sorted(domains))})"]
    if min(o.version for o in model.opset_import) < MIN_OPSET:
        return [f"an opset below {MIN_OPSET}"]
    try:
        onnx.checker.check_model(model, full_check=True)  # with strict shape inference
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        return [f"not valid ONNX ({str(error).splitlines()[0]})"]
    return []


def _signature_faults(
    model: onnx.ModelProto, config: ModelConfig, inputs: Sequence[str]
) -> list[str]:
    given = [i.name for i in model.graph.input]
    if given != list(inputs):
        return [f"the inputs {given} instead of {list(inputs)}"]
    faults, channels = [], len(config.channels)
    batch, points, last = _shape(model.graph.input[0])
    if not isinstance(batch, str) or not isinstance(points, str):
        faults.append(f"static batch or points: {(batch, points, last)}")
    if last != channels:
        faults.append(f"points of {last} channels instead of {channels}")
    logits = [(o.name, _shape(o)[-1:]) for o in model.graph.output]
    if logits != [("logits", [config.outputs])]:
        what = "parts" if config.parts else "classes"
        faults.append(f"the outputs {logits} instead of logits of {config.outputs} {what}")
    return faults


def _shape(value: onnx.ValueInfoProto) -> list[str | int]:
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


def _metadata_faults(model: onnx.ModelProto, config: ModelConfig) -> list[str]:
    held = metadata(model)
    wanted = {
        "channels": json.dumps(list(config.channels)),
        "up": json.dumps(config.up),
        "parts": json.dumps({name: list(parts) for name, parts in config.parts.items()}),
        "classes": json.dumps(list(config.classes)),
        "points": str(config.points),
        "normalization": config.normalization,
        "student": config.student,
        "provenance": json.dumps(dict(config.provenance)),
    }
    return [
        f"metadata {key} is {str(held.get(key))[:60]!r}, not the checkpoint's"
        for key, value in wanted.items()
        if held.get(key) != value
    ]


def _tensors(graph: onnx.GraphProto) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield every tensor a graph holds, of its subgraphs and constant nodes too."""
    for tensor in graph.initializer:
        yield tensor.name, onnx.numpy_helper.to_array(tensor)
    for sparse in graph.sparse_initializer:
        yield sparse.values.name, onnx.numpy_helper.to_array(sparse.values)
    for node in graph.node:
        for attribute in node.attribute:
            name = f"{node.output[0]}.{attribute.name}" if node.output else attribute.name
            for tensor in (attribute.t, *attribute.tensors):
                if tensor.data_type:
                    yield name, onnx.numpy_helper.to_array(tensor)
            if attribute.floats:
                yield name, np.asarray(attribute.floats, dtype=np.float32)
            for inner in (attribute.g, *attribute.graphs):
                yield from ((f"{name}.{k}", array) for k, array in _tensors(inner))


def _is_plain(array: NDArray[Any]) -> bool:
    """Whether an array carries no learnt information."""
    if array.size <= 1 or array.dtype.kind in "iub":
        return array.size < 2**16
    if array.ndim == 2 and np.array_equal(array, np.eye(*array.shape)):
        return True
    steps = np.diff(array.ravel().astype(np.float64))
    return bool((steps == steps[0]).all() and steps[0] in (0.0, 1.0))


def _sha(array: NDArray[Any]) -> str:
    digest = hashlib.sha256(f"{array.dtype} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
