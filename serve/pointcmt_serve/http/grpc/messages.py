"""Between the protocol's messages, as tritonclient publishes their classes, and ours."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2

from pointcmt.errors import InputError
from pointcmt_serve.http.protocol import InferRequest, Tensor, WantedOutput
from pointcmt_serve.http.protocol.checks import (
    checked_count,
    checked_shape,
    checked_timeout,
    checked_up,
    wanted_output,
)
from pointcmt_serve.http.protocol.names import DATATYPES, INPUT, OUTPUTS

_CONTENTS = {"FP32": "fp32_contents", "FP64": "fp64_contents"}


def read_message(message: Any, *, channels: int, clouds: int) -> InferRequest:
    """Return what a `ModelInferRequest` asks for; see `protocol.read_request`.

    Raises:
        InputError: it is no request that makes sense.
    """
    if [tensor.name for tensor in message.inputs] != [INPUT]:
        raise InputError(f"the request needs exactly one input, named {INPUT}")
    tensor = message.inputs[0]
    shape = checked_shape([int(size) for size in tensor.shape], channels, clouds)
    checked_count(len(message.outputs))
    outputs = [wanted_output(o.name, parameters(o)) for o in message.outputs]
    return InferRequest(
        id=message.id,
        clouds=_values(tensor, list(message.raw_input_contents), shape).reshape(shape),
        outputs=tuple(outputs or [WantedOutput(name) for name in OUTPUTS]),
        timeout=checked_timeout(parameters(message).get("timeout")),
        up=checked_up(parameters(message).get("up")),
    )


def write_message(asked: InferRequest, model: str, version: str, tensors: Sequence[Tensor]) -> Any:
    """Return the `ModelInferResponse` with `tensors`, as bytes."""
    answer = service_pb2.ModelInferResponse(model_name=model, model_version=version, id=asked.id)
    for tensor in tensors:
        shape = list(tensor.values.shape)
        answer.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=shape)
        answer.raw_output_contents.append(tensor.raw())
    return answer


def write_failure(identity: str, sentence: str) -> Any:
    """Return what a stream answers to a message that cannot be."""
    failed = service_pb2.ModelInferResponse(id=identity)
    return service_pb2.ModelStreamInferResponse(error_message=sentence, infer_response=failed)


def parameters(message: Any) -> dict[str, Any]:
    """Return a message's parameters as plain values."""
    return {
        name: getattr(value, value.WhichOneof("parameter_choice") or "bool_param")
        for name, value in message.parameters.items()
    }


def _values(tensor: Any, raw: list[bytes], shape: tuple[int, ...]) -> NDArray[Any]:
    if tensor.datatype not in DATATYPES:
        known = ", ".join(DATATYPES)
        raise InputError(f"points has datatype {tensor.datatype!r}; send one of {known}")
    dtype = np.dtype(DATATYPES[tensor.datatype])
    if not raw:
        field = _CONTENTS.get(tensor.datatype)
        if field is None:
            raise InputError(f"{tensor.datatype} travels in raw_input_contents alone")
        values = np.array(getattr(tensor.contents, field), dtype)
    elif len(raw) == 1 and len(raw[0]) % dtype.itemsize == 0:
        values = np.frombuffer(raw[0], dtype)
    else:
        raise InputError(f"points is one tensor of {dtype.itemsize} bytes a number")
    if values.size != prod(shape):
        raise InputError(f"points has {values.size} numbers, but its shape holds {prod(shape)}")
    return values
