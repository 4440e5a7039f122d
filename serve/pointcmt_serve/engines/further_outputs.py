"""Making tensors inside an ONNX file its outputs, without a library that reads the format.

An ONNX file is one protobuf message, `ModelProto`. Two such messages, one behind the other, are
one whose parts are joined: outputs of the second's graph come behind those of the first's.
"""

from collections.abc import Iterable

GRAPH, OUTPUT, NAME = 7, 12, 1  # field numbers in ModelProto, GraphProto and ValueInfoProto


def further_outputs(names: Iterable[str]) -> bytes:
    """Return the bytes that, behind those of an ONNX file, make `names` outputs of its graph."""
    return _field(GRAPH, b"".join(_field(OUTPUT, _field(NAME, name.encode())) for name in names))


def _field(number: int, content: bytes) -> bytes:
    """A field of protobuf's wire type 2: key, length, content."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])
