"""Requests and responses of the Open Inference Protocol, version 2, and its binary tensors.

A tensor travels as JSON numbers, or as little-endian bytes behind the JSON (Triton's "binary
tensor data" extension, which the header `Inference-Header-Content-Length` announces).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt_serve.prediction import Prediction

DATATYPES = {"FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}
OUTPUTS = ("logits", "probabilities", "indices", "labels")


@dataclass(frozen=True)
class InferRequest:
    """One inference request.

    Attributes:
        id: what the client calls it, returned with the answer; "" for none.
        points: (N, 3) or (B, N, 3), as the client sent them.
        outputs: the outputs asked for, each with whether it is wanted as bytes.
    """

    id: str
    points: NDArray[Any]
    outputs: dict[str, bool]


def read_request(body: bytes, header_length: int | None) -> InferRequest:
    """Parse the body of an infer request.

    Args:
        body: the whole body.
        header_length: how many of its bytes are JSON, the rest being tensors; None for all.

    Raises:
        InputError: it is no such request; the message says what is wrong with it.
    """
    if header_length is not None and not 0 <= header_length <= len(body):
        raise InputError(f"Inference-Header-Content-Length is {header_length}, beyond the body")
    split = len(body) if header_length is None else header_length
    try:
        request = json.loads(body[:split])
    except (ValueError, RecursionError) as error:
        raise InputError(f"the request is not JSON ({error})") from error
    inputs = _objects(request, "inputs")
    if [tensor.get("name") for tensor in inputs] != ["points"]:
        raise InputError("the request needs exactly one input, named points")
    identity = request.get("id", "")
    return InferRequest(
        id=identity if isinstance(identity, str) else "",
        points=_tensor(inputs[0], body[split:]),
        outputs=_outputs(request),
    )


def _objects(request: Any, key: str) -> list[dict[str, Any]]:
    found = request.get(key, []) if isinstance(request, dict) else None
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise InputError(f"the request's {key} are no list of objects")
    return found


def _tensor(tensor: dict[str, Any], raw: bytes) -> NDArray[Any]:
    datatype, shape = tensor.get("datatype"), tensor.get("shape")
    if datatype not in DATATYPES:
        raise InputError(f"points has datatype {datatype!r}; send one of {', '.join(DATATYPES)}")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise InputError(f"points has shape {shape!r}, which is no list of sizes")
    if len(shape) not in (2, 3) or shape[-1] != 3:
        raise InputError(f"points has shape {shape}; send [N, 3] or [B, N, 3]")
    dtype = np.dtype(DATATYPES[datatype])
    binary = _parameters(tensor).get("binary_data_size")
    values = _from_json(tensor, dtype) if binary is None else _from_bytes(raw, binary, dtype)
    if values.size != prod(shape):
        raise InputError(f"points has {values.size} numbers, but its shape {shape} holds more")
    return values.reshape(shape)


def _from_json(tensor: dict[str, Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    try:
        return np.asarray(tensor["data"], dtype=dtype).ravel()
    except KeyError as error:
        raise InputError("points has neither data nor the parameter binary_data_size") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"the data of points are not numbers ({error})") from error


def _from_bytes(raw: bytes, size: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    if size != len(raw) or len(raw) % dtype.itemsize:
        raise InputError(
            f"points has binary_data_size {size!r}, but {len(raw)} bytes of {dtype.itemsize} "
            "each follow the JSON"
        )
    return np.frombuffer(raw, dtype)


def _parameters(tensor: dict[str, Any]) -> dict[str, Any]:
    found = tensor.get("parameters", {})
    if not isinstance(found, dict):
        raise InputError("the parameters of a tensor are no object")
    return found


def _outputs(request: dict[str, Any]) -> dict[str, bool]:
    default = _parameters(request).get("binary_data_output", False) is True
    wanted = _objects(request, "outputs") or [{"name": name} for name in OUTPUTS]
    unknown = [str(output.get("name")) for output in wanted if output.get("name") not in OUTPUTS]
    if unknown:
        raise InputError(f"there is no output {unknown[0]!r}; ask for {', '.join(OUTPUTS)}")
    return {o["name"]: _parameters(o).get("binary_data", default) is True for o in wanted}


def write_response(
    request: InferRequest, predictions: Sequence[Prediction], model: str, version: str
) -> tuple[bytes, int | None]:
    """Return the body that answers `request`, and its JSON's length where bytes follow it."""
    described, raw = [], b""
    for name, binary in request.outputs.items():
        datatype, values = _output(name, predictions)
        tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(values.shape)}
        if binary:
            content = _bytes(values)
            tensor["parameters"] = {"binary_data_size": len(content)}
            raw += content
        else:
            tensor["data"] = values.ravel().tolist()
        described.append(tensor)
    answer: dict[str, Any] = {"model_name": model, "model_version": version, "outputs": described}
    if request.id:
        answer["id"] = request.id
    text = json.dumps(answer).encode()
    return text + raw, len(text) if raw else None


def _output(name: str, predictions: Sequence[Prediction]) -> tuple[str, NDArray[Any]]:
    if name == "logits":
        return "FP32", np.array([p.logits for p in predictions], dtype="<f4")  # (B, C)
    if name == "probabilities":
        return "FP32", np.array([p.probabilities for p in predictions], dtype="<f4")  # (B, C)
    if name == "indices":
        return "INT64", np.array([p.index for p in predictions], dtype="<i8")  # (B,)
    return "BYTES", np.array([p.label for p in predictions], dtype=object)  # (B,)


def _bytes(values: NDArray[Any]) -> bytes:
    if values.dtype != object:
        return values.tobytes()
    texts = [text.encode() for text in values]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def metadata(model: str, version: str, classes: int) -> dict[str, Any]:
    """Return the protocol's description of a model and its tensors."""
    shapes = {"logits": [-1, classes], "probabilities": [-1, classes]}
    datatypes = {"indices": "INT64", "labels": "BYTES"}
    return {
        "name": model,
        "versions": [version],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "points", "datatype": "FP32", "shape": [-1, -1, 3]}],
        "outputs": [
            {
                "name": name,
                "datatype": datatypes.get(name, "FP32"),
                "shape": shapes.get(name, [-1]),
            }
            for name in OUTPUTS
        ],
    }
