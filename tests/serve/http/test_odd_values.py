"""Every odd value in every place of a request is answered or refused, and fails nothing."""

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from pointcmt.errors import InputError
from pointcmt_serve.http.grpc.messages import read_message, write_message
from pointcmt_serve.http.protocol import InferRequest, answer_tensors, read_request, write_answer
from pointcmt_serve.prediction import Prediction
from tests.reference.tiny_student import CLASSES

INTEGERS = (0, 1, -1, 2**31, 2**40, 2**63 - 1, -(2**63), 2**63, 2**64, 10**30, 10**400, -(10**400))
NUMBERS = (*INTEGERS, True, False, 1.5, -0.0, 5e-324, 1e308, float("inf"), float("nan"))
ODD = (*NUMBERS, None, "", "y", "soon", "\x00", "\ud800", "9" * 3000, [], {}, [1])
CLOUDS = {"full": [2, 8, 3], "empty": [0, 8, 3], "without points": [2, 0, 3]}
PLACES: dict[str, Callable[[dict[str, Any], Any], object]] = {
    "id": lambda request, value: request.update(id=value),
    "timeout": lambda request, value: request.update(parameters={"timeout": value}),
    "up": lambda request, value: request.update(parameters={"up": value}),
    "parameters": lambda request, value: request.update(parameters=value),
    "clouds": lambda request, value: request["inputs"][0]["shape"].__setitem__(0, value),
    "points": lambda request, value: request["inputs"][0]["shape"].__setitem__(1, value),
    "channels": lambda request, value: request["inputs"][0]["shape"].__setitem__(2, value),
    "shape": lambda request, value: request["inputs"][0].update(shape=value),
    "number": lambda request, value: request["inputs"][0]["data"].__setitem__(slice(1), [value]),
    "size": lambda request, value: request["inputs"][0].update(
        parameters={"binary_data_size": value}
    ),
    "classes": lambda request, value: request.update(
        outputs=[{"name": "logits", "parameters": {"classification": value}}]
    ),
    "binary": lambda request, value: request.update(
        outputs=[{"name": "labels", "parameters": {"binary_data": value}}]
    ),
}


def answered(asked: InferRequest) -> Any:
    assert asked.timeout is None or 0 <= asked.timeout < np.inf
    logits = np.arange(len(CLASSES), dtype=np.float32)
    return answer_tensors(
        asked.outputs, [Prediction(logits, CLASSES) for _ in asked.clouds], len(CLASSES)
    )


@pytest.mark.parametrize("clouds", CLOUDS)
@pytest.mark.parametrize("place", PLACES)
def test_json(place: str, clouds: str) -> None:
    shape = CLOUDS[clouds]
    tensor = {"name": "points", "datatype": "FP32", "shape": shape, "data": [0.5] * np.prod(shape)}
    for value in ODD:
        request = copy.deepcopy({"inputs": [tensor]})
        PLACES[place](request, value)
        with suppress(InputError):
            asked = read_request(json.dumps(request).encode(), None, clouds=9)
            write_answer(asked.id, "tiny", "1", asked.outputs, answered(asked))


def odd_messages(shape: list[int]) -> Iterator[Any]:
    raw = bytes(4 * max(0, int(np.prod(shape))))
    plain = service_pb2.ModelInferRequest(raw_input_contents=[raw])
    plain.inputs.add(name="points", datatype="FP32", shape=shape)
    plain.outputs.add(name="logits")
    for value in NUMBERS:
        for kind in ("bool_param", "int64_param", "uint64_param", "double_param"):
            for name in ("timeout", "up", "classification"):
                message = copy.deepcopy(plain)
                place = message.outputs[0] if name == "classification" else message
                with suppress(TypeError, ValueError, OverflowError):  # no message can hold it
                    setattr(place.parameters[name], kind, value)
                    yield message
        for axis in range(3):
            message = copy.deepcopy(plain)
            with suppress(TypeError, ValueError):
                message.inputs[0].shape[axis] = value
                yield message


@pytest.mark.parametrize("clouds", CLOUDS)
def test_messages(clouds: str) -> None:
    messages = list(odd_messages(CLOUDS[clouds]))
    assert len(messages) > 100
    for message in messages:
        with suppress(InputError):
            asked = read_message(message, channels=3, clouds=9)
            write_message(asked, "tiny", "1", answered(asked))
