"""Inference requests: JSON, and tensors as little-endian bytes behind it.

The latter is Triton's "binary tensor data" extension, which the header
`Inference-Header-Content-Length` announces.
"""

from dataclasses import dataclass
from math import prod
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Raw, Struct
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt_serve.http.protocol.checks import (
    LARGEST,
    WantedOutput,
    checked_count,
    checked_shape,
    checked_timeout,
    checked_up,
    wanted_output,
)
from pointcmt_serve.http.protocol.names import DATATYPES, INPUT, OUTPUTS
from pointcmt_serve.http.protocol.numbers import read_numbers

_SMALL = 4096  # bytes of JSON that a shape or the parameters may have
_NULL = Raw(b"null")
_Parameters = dict[str, bool | int | float | str | None]
_Size = Annotated[int, Meta(ge=0, le=LARGEST)]


@dataclass(frozen=True)
class InferRequest:
    """One inference request.

    Attributes:
        id: what the client calls it, returned with the answer; "" for none.
        clouds: (B, N, C), as the client sent them.
        outputs: those asked for, in order.
        timeout: seconds it may take, by its parameter `timeout`; None where it names none.
        up: the vertical axis of its clouds, by its parameter `up`; None where it names none.
    """

    id: str
    clouds: NDArray[Any]
    outputs: tuple[WantedOutput, ...]
    timeout: float | None = None
    up: str | None = None


class _Input(Struct):
    name: str
    datatype: str
    shape: Raw
    data: Raw = _NULL
    parameters: Raw = _NULL


class _Output(Struct):
    name: str
    parameters: Raw = _NULL


class _Request(Struct):
    inputs: list[_Input]
    id: str | None = None
    parameters: Raw = _NULL
    outputs: list[_Output] | None = None


_REQUEST = msgspec.json.Decoder(_Request)
_SIZES = msgspec.json.Decoder(list[_Size])
_PARAMETERS = msgspec.json.Decoder(_Parameters | None)


def read_request(
    body: bytes, header_length: int | None, *, channels: int = 3, clouds: int
) -> InferRequest:
    """Parse the body of an infer request.

    Args:
        body: the whole body.
        header_length: how many of its bytes are JSON, the rest being tensors; None for all.
        channels: numbers a point has.
        clouds: how many clouds a request may have.

    Raises:
        InputError: it is no such request; the message says what is wrong with it.
    """
    if header_length is not None and not 0 <= header_length <= len(body):
        raise InputError(f"Inference-Header-Content-Length is {header_length}, beyond the body")
    split = len(body) if header_length is None else header_length
    if split == 0:
        raise InputError("the request is empty; it needs JSON that describes its input")
    view = memoryview(body)
    request = _decoded(view[:split], _REQUEST, "the request")
    if [tensor.name for tensor in request.inputs] != [INPUT]:
        raise InputError(f"the request needs exactly one input, named {INPUT}")
    tensor = request.inputs[0]
    sizes = _sizes(tensor.shape)
    shape = checked_shape(sizes, channels, clouds)
    parameters = _parameters(request.parameters, "the request's")
    return InferRequest(
        id=request.id or "",
        clouds=_values(tensor, sizes, view[split:]).reshape(shape),
        outputs=_outputs(request.outputs, parameters),
        timeout=checked_timeout(parameters.get("timeout")),
        up=checked_up(parameters.get("up")),
    )


def _outputs(outputs: list[_Output] | None, parameters: _Parameters) -> tuple[WantedOutput, ...]:
    binary = parameters.get("binary_data_output") is True
    if not outputs:
        return tuple(WantedOutput(name, binary) for name in OUTPUTS)
    checked_count(len(outputs))
    return tuple(
        wanted_output(
            output.name,
            _parameters(output.parameters, f"output {output.name}'s"),
            binary,
        )
        for output in outputs
    )


def _values(tensor: _Input, shape: list[int], raw: memoryview) -> NDArray[Any]:
    if tensor.datatype not in DATATYPES:
        known = ", ".join(DATATYPES)
        raise InputError(f"points has datatype {tensor.datatype!r}; send one of {known}")
    dtype = np.dtype(DATATYPES[tensor.datatype])
    parameters = _parameters(tensor.parameters, "points'")
    size = parameters.get("binary_data_size")
    data = memoryview(tensor.data)
    if size is not None:
        return _from_bytes(raw, size, shape, dtype)
    if bytes(data[:1]) == b"n":
        raise InputError("points has neither data nor the parameter binary_data_size")
    return read_numbers(data, shape, dtype)


def _from_bytes(raw: memoryview, size: Any, shape: list[int], dtype: np.dtype[Any]) -> NDArray[Any]:
    if size != len(raw) or size != prod(shape) * dtype.itemsize:
        raise InputError(
            f"points has binary_data_size {size!r} and shape {shape} of {dtype.itemsize} "
            f"bytes a number, but {len(raw)} bytes follow the JSON"
        )
    return np.frombuffer(raw, dtype)


def _sizes(raw: Raw) -> list[int]:
    try:
        sizes: list[int] = _small(raw, _SIZES, "the shape")
    except InputError as error:
        shown = bytes(raw)[:80].decode(errors="replace")
        raise InputError(f"points has shape {shown}, which is no list of sizes") from error
    return sizes


def _parameters(raw: Raw, whose: str) -> _Parameters:
    return _small(raw, _PARAMETERS, f"{whose} parameters") or {}


def _small(raw: Raw, decoder: msgspec.json.Decoder[Any], what: str) -> Any:
    view = memoryview(raw)
    if len(view) > _SMALL:
        raise InputError(f"{what} takes {len(view)} bytes; {_SMALL} are read")
    return _decoded(view, decoder, what)


def _decoded(text: memoryview, decoder: msgspec.json.Decoder[Any], what: str) -> Any:
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        raise InputError(f"{what} is not as the protocol wants it ({error})") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        numbers = ", which has no NaN and no Infinity" if _has_odd_numbers(text) else ""
        raise InputError(f"{what} is not JSON{numbers} ({error})") from error


def _has_odd_numbers(text: memoryview) -> bool:
    return any(word in bytes(text) for word in (b"NaN", b"Infinity"))
