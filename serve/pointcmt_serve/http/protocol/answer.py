"""Answers to inference requests."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from pointcmt_serve.http.protocol.checks import WantedOutput
from pointcmt_serve.http.protocol.names import OUTPUTS
from pointcmt_serve.prediction import Prediction, softmax

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Tensor:
    """An output as it travels.

    Attributes:
        name: one of `OUTPUTS`.
        datatype: the protocol's name of its type.
        values: the numbers; of dtype object, holding `str`, for BYTES.
    """

    name: str
    datatype: str
    values: NDArray[Any]

    def raw(self) -> bytes:
        """Return the values as bytes: little-endian numbers, or texts behind their lengths."""
        if self.values.dtype != object:
            return self.values.tobytes()
        texts = [text.encode() for text in self.values.ravel()]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def answer_tensors(
    wanted: Sequence[WantedOutput], predictions: Sequence[Prediction], classes: int
) -> list[Tensor]:
    """Return the outputs asked for.

    Args:
        wanted: the outputs.
        predictions: one a cloud.
        classes: C, how many classes the network knows; the scores have shape (B, C).
    """
    rows = [p.logits for p in predictions]
    logits = np.array(rows, dtype="<f4").reshape(len(rows), classes)  # (B, C)
    return [
        _classified(output, predictions, logits)
        if output.classes
        else Tensor(output.name, OUTPUTS[output.name], _values(output.name, predictions, logits))
        for output in wanted
    ]


def _values(
    name: str, predictions: Sequence[Prediction], logits: NDArray[np.float32]
) -> NDArray[Any]:
    if name == "labels":
        return np.array([p.label for p in predictions], dtype=object)  # (B,)
    if name == "indices":
        return np.array(logits.argmax(axis=1), dtype="<i8")  # (B,)
    return softmax(logits).astype("<f4") if name == "probabilities" else logits


def _classified(
    output: WantedOutput, predictions: Sequence[Prediction], logits: NDArray[np.float32]
) -> Tensor:
    """Triton's classification extension: texts "score:index:label", best first."""
    count = min(output.classes, logits.shape[1])
    best = np.argsort(-logits, axis=1, kind="stable")[:, :count]  # (B, k)
    scores = softmax(logits) if output.name == "probabilities" else logits
    highest = np.take_along_axis(scores, best, axis=1)  # (B, k)
    rows = [
        [f"{score:f}:{index}:{one.classes[index]}" for score, index in zip(*pair, strict=True)]
        for one, *pair in zip(predictions, highest.tolist(), best.tolist(), strict=True)
    ]
    values = np.array(rows, dtype=object).reshape(len(rows), count)  # (B, k)
    return Tensor(output.name, "BYTES", values)


def write_answer(
    identity: str,
    model: str,
    version: str,
    wanted: Sequence[WantedOutput],
    tensors: Sequence[Tensor],
) -> tuple[bytes, int | None]:
    """Return the body of an answer, and its JSON's length where bytes follow it."""
    described, raw = [], b""
    for output, tensor in zip(wanted, tensors, strict=True):
        entry: dict[str, Any] = {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": list(tensor.values.shape),
        }
        if output.binary:
            content = tensor.raw()
            entry["parameters"] = {"binary_data_size": len(content)}
            raw += content
        else:
            entry["data"] = tensor.values.ravel().tolist()
        described.append(entry)
    answer: dict[str, Any] = {"model_name": model, "model_version": version, "outputs": described}
    if identity:
        answer["id"] = identity
    text = _encode(answer)
    return text + raw, len(text) if any(output.binary for output in wanted) else None
