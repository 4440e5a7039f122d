"""The protocol's messages, against the network computed by hand."""

import gzip
import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.client import HTTPConnection
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt_serve.http import Settings
from pointcmt_serve.http.protocol.names import SCORES
from tests.reference.tiny_student import CLASSES, reference_logits
from tests.serve.http.running import (
    CLOUD,
    GOOD,
    INFER,
    Running,
    outputs,
    points_input,
    running,
)


def test_a_batch_is_classified(server: Running, clouds: NDArray[np.float32]) -> None:
    status, answer = server.infer({"id": "42", "inputs": [points_input(clouds)]})
    assert status == 200
    assert (answer["model_name"], answer["id"]) == ("tiny", "42")
    expected = reference_logits(clouds)
    given = outputs(answer)
    np.testing.assert_allclose(given["logits"], expected, atol=1e-5)
    np.testing.assert_array_equal(given["indices"], expected.argmax(axis=1))
    assert given["labels"].tolist() == [CLASSES[i] for i in expected.argmax(axis=1)]
    np.testing.assert_allclose(given["probabilities"].sum(axis=1), 1, atol=1e-6)


def test_one_cloud_of_any_size_is_a_batch_of_one(server: Running) -> None:
    cloud = np.random.default_rng(0).normal(size=(7, 3)) * 1000
    status, answer = server.infer({"inputs": [points_input(cloud, "FP64")]})
    assert status == 200
    assert outputs(answer)["logits"].shape == (1, len(CLASSES))


def test_data_may_be_nested_as_their_tensor_is(
    server: Running, clouds: NDArray[np.float32]
) -> None:
    flat = clouds.reshape(len(clouds), -1)
    for nested in (clouds, flat):
        tensor = points_input(clouds) | {"data": nested.tolist()}
        _, answer = server.infer({"inputs": [tensor]})
        np.testing.assert_allclose(outputs(answer)["logits"], reference_logits(clouds), atol=1e-5)


def test_data_nested_otherwise_are_refused(server: Running, clouds: NDArray[np.float32]) -> None:
    """Flattened, columns in place of rows would be another cloud."""
    turned = [clouds.transpose(0, 2, 1).tolist(), clouds.reshape(-1, 3).tolist()]
    ragged = clouds.tolist()
    ragged[0][0].append(ragged[0][1].pop(0))  # as many lists and numbers, of other lengths
    for data in (*turned, ragged):
        tensor = points_input(clouds) | {"data": data}
        status, answer = server.infer({"inputs": [tensor]})
        assert status == 400
        assert answer["error"].startswith("the data of points are nested otherwise than its shape")


def test_only_the_outputs_asked_for_are_sent(server: Running, clouds: NDArray[np.float32]) -> None:
    wanted = [{"name": "labels"}, {"name": "logits"}]
    _, answer = server.infer({"inputs": [points_input(clouds)], "outputs": wanted})
    assert [o["name"] for o in answer["outputs"]] == ["labels", "logits"]


def test_tensors_may_travel_as_bytes(server: Running, clouds: NDArray[np.float32]) -> None:
    raw = clouds.astype("<f4").tobytes()
    tensor = {"name": "points", "shape": list(clouds.shape), "datatype": "FP32"}
    request = {
        "inputs": [tensor | {"parameters": {"binary_data_size": len(raw)}}],
        "outputs": [
            {"name": "logits", "parameters": {"binary_data": True}},
            {"name": "labels", "parameters": {"binary_data": True}},
            {"name": "indices"},
        ],
    }
    head = json.dumps(request).encode()
    sent = {"Inference-Header-Content-Length": str(len(head))}
    status, headers, body = server.ask("POST", INFER, head + raw, sent)
    assert status == 200
    split = int(headers["inference-header-content-length"])
    logits, labels, indices = json.loads(body[:split])["outputs"]
    size = logits["parameters"]["binary_data_size"]
    given = np.frombuffer(body[split : split + size], "<f4").reshape(logits["shape"])
    expected = reference_logits(clouds)
    np.testing.assert_allclose(given, expected, atol=1e-5)
    texts, rest = [], body[split + size :]
    assert len(rest) == labels["parameters"]["binary_data_size"]
    while rest:
        length = int.from_bytes(rest[:4], "little")
        texts.append(rest[4 : 4 + length].decode())
        rest = rest[4 + length :]
    assert texts == [CLASSES[i] for i in expected.argmax(axis=1)]
    assert indices["data"] == expected.argmax(axis=1).tolist()


def without(*keys: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key not in keys}


BAD_REQUESTS: dict[str, tuple[object, str]] = {
    "no object": ([], "Expected `object`, got `array`"),
    "no input": ({}, "missing required field `inputs`"),
    "null for the inputs": ({"inputs": None}, "got `null`"),
    "another input": ({"inputs": [GOOD | {"name": "image"}]}, "named points"),
    "two inputs": ({"inputs": [GOOD, GOOD]}, "exactly one"),
    "no inputs": ({"inputs": []}, "exactly one"),
    "an input that is no object": ({"inputs": [3]}, "$.inputs[0]"),
    "a name that is no text": ({"inputs": [GOOD | {"name": []}]}, "$.inputs[0].name"),
    "integers": ({"inputs": [GOOD | {"datatype": "INT8"}]}, "datatype 'INT8'"),
    "a datatype that is no text": ({"inputs": [GOOD | {"datatype": []}]}, "datatype"),
    "no datatype": ({"inputs": [without("datatype")]}, "datatype"),
    "a shape of words": ({"inputs": [GOOD | {"shape": ["a", 3]}]}, "no list of sizes"),
    "a negative shape": ({"inputs": [GOOD | {"shape": [-8, -3]}]}, "no list of sizes"),
    "a true shape": ({"inputs": [GOOD | {"shape": [True, 3]}]}, "no list of sizes"),
    "a shape of floats": ({"inputs": [GOOD | {"shape": [1e30, 0, 3]}]}, "no list of sizes"),
    "no shape": ({"inputs": [without("shape")]}, "shape"),
    "a flat shape": ({"inputs": [GOOD | {"shape": [24]}]}, "send"),
    "four channels": ({"inputs": [GOOD | {"shape": [6, 4]}]}, "[N, 3]"),
    "a larger shape": ({"inputs": [GOOD | {"shape": [9, 3]}]}, "holds 27"),
    "a smaller shape": ({"inputs": [GOOD | {"shape": [7, 3]}]}, "more numbers"),
    "a huge shape": ({"inputs": [GOOD | {"shape": [2**39, 2**39, 3]}]}, "may have 100"),
    "a huge cloud": ({"inputs": [GOOD | {"shape": [2**39, 3]}]}, "fewer numbers"),
    "an endless shape": ({"inputs": [GOOD | {"shape": [8, 3] * 2000}]}, "no list of sizes"),
    "too many clouds": ({"inputs": [GOOD | {"shape": [101, 2, 3]}]}, "may have 100"),
    "no data": ({"inputs": [without("data")]}, "neither data"),
    "null for the data": ({"inputs": [GOOD | {"data": None}]}, "neither data"),
    "data that are a text": ({"inputs": [GOOD | {"data": "AAAA"}]}, "no list of numbers"),
    "words": ({"inputs": [GOOD | {"data": ["a"] * 24}]}, "not numbers"),
    "brackets in words": ({"inputs": [GOOD | {"data": ["[1]"] * 24}]}, "not numbers"),
    "nulls": ({"inputs": [GOOD | {"data": [None] * 24}]}, "got `null`"),
    "truths": ({"inputs": [GOOD | {"data": [True] * 24}]}, "got `bool`"),
    "empty lists": ({"inputs": [GOOD | {"data": [[]] * 24}]}, "fewer numbers"),
    "not a number": ({"inputs": [GOOD | {"data": [float("nan")] * 24}]}, "no NaN"),
    "beyond float32": ({"inputs": [GOOD | {"data": [1e300] * 24}]}, "infinite"),
    "one point": ({"inputs": [GOOD | {"shape": [1, 3], "data": [1, 2, 3]}]}, "two different"),
    "no point": ({"inputs": [GOOD | {"shape": [0, 3], "data": []}]}, "0 points"),
    "an unknown output": ({"inputs": [GOOD], "outputs": [{"name": "mask"}]}, "no output 'mask'"),
    "many outputs": ({"inputs": [GOOD], "outputs": [{"name": "labels"}] * 99}, "99 outputs"),
    "odd parameters": ({"inputs": [GOOD | {"parameters": 3}]}, "parameters"),
    "nested parameters": ({"inputs": [GOOD], "parameters": {"a": {"b": 1}}}, "parameters"),
    "an id that is no text": ({"inputs": [GOOD], "id": 7}, "$.id"),
    "an odd timeout": ({"inputs": [GOOD], "parameters": {"timeout": "soon"}}, "microseconds"),
    "a negative timeout": ({"inputs": [GOOD], "parameters": {"timeout": -1}}, "not above 0"),
    "a true timeout": ({"inputs": [GOOD], "parameters": {"timeout": True}}, "microseconds"),
    "an endless timeout": ({"inputs": [GOOD], "parameters": {"timeout": 10**400}}, "is above"),
    "classes of labels": (
        {
            "inputs": [GOOD],
            "outputs": [{"name": "labels", "parameters": {"classification": 2}}],
        },
        "no score",
    ),
    "bytes that do not come": (
        {"inputs": [GOOD | {"parameters": {"binary_data_size": 96}}]},
        "binary_data_size 96",
    ),
}


@pytest.mark.parametrize("case", BAD_REQUESTS)
def test_a_bad_request_is_refused_with_the_reason(server: Running, case: str) -> None:
    request, sentence = BAD_REQUESTS[case]
    status, answer = server.infer(request)
    assert (status, set(answer)) == (400, {"error"})
    assert sentence in answer["error"]


def test_an_empty_tensor_takes_no_memory_for_its_other_sizes() -> None:
    from pointcmt_serve.http.protocol import numbers

    sizes = (0, 2**31, 3)
    assert numbers.read_numbers(b"[]", sizes, np.dtype("<f4")).size == 0
    with pytest.raises(InputError, match="nested otherwise"):
        numbers.read_numbers(b"[[]]", sizes, np.dtype("<f4"))


@pytest.mark.parametrize("sent", [{}, {"Inference-Header-Content-Length": "0"}])
def test_a_request_without_json_is_refused(server: Running, sent: dict[str, str]) -> None:
    """Such as Triton's raw binary request, which tells no shape."""
    status, _, answer = server.ask("POST", INFER, b"1234" if sent else b"", sent)
    assert status == 400
    assert json.loads(answer)["error"].startswith("the request is empty")


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"inputs":' + b"[" * 50_000])
def test_a_body_that_is_no_json_is_refused(server: Running, body: bytes) -> None:
    status, _, answer = server.ask("POST", INFER, body)
    assert status == 400
    assert json.loads(answer)["error"].startswith("the request is not")


@pytest.mark.parametrize("length", ["-1", "999999", "many"])
def test_a_wrong_length_of_json_is_refused(server: Running, length: str) -> None:
    sent = {"Inference-Header-Content-Length": length}
    status, _, answer = server.ask("POST", INFER, b"{}", sent)
    assert status == 400
    assert "Inference-Header-Content-Length" in json.loads(answer)["error"]


def test_deep_nesting_is_refused(server: Running) -> None:
    deep = json.dumps({"inputs": [GOOD | {"data": "DEEP"}]}).replace('"DEEP"', "[" * 90_000)
    status, _, answer = server.ask("POST", INFER, deep.encode())
    assert (status, b"not JSON" in answer) == (400, True)


def test_null_stands_for_what_is_absent(server: Running) -> None:
    absent = {"id": None, "parameters": None, "outputs": None}
    status, answer = server.infer({**absent, "inputs": [GOOD | {"parameters": None}]})
    assert (status, "id" in answer, len(answer["outputs"])) == (200, False, 4)


def test_an_empty_batch_has_no_rows_of_all_classes(server: Running) -> None:
    status, answer = server.infer({"inputs": [points_input(np.zeros((0, 8, 3)))]})
    assert status == 200
    shapes = {output["name"]: output["shape"] for output in answer["outputs"]}
    assert shapes == {"logits": [0, 4], "probabilities": [0, 4], "indices": [0], "labels": [0]}


@pytest.mark.parametrize(("asked", "given"), [(2, 2), (4, 4), (10**30, 4)])
def test_an_empty_batch_has_no_rows_of_as_many_classes_as_a_full_one(
    server: Running, asked: int, given: int
) -> None:
    wanted = [{"name": "logits", "parameters": {"classification": asked}}]
    for cloud, rows in ((GOOD, 1), (points_input(np.zeros((0, 8, 3))), 0)):
        status, answer = server.infer({"inputs": [cloud], "outputs": wanted})
        assert (status, answer["outputs"][0]["shape"]) == (200, [rows, given])


@pytest.mark.parametrize("name", ["logits", "probabilities"])
def test_scores_may_be_given_as_classes(
    server: Running, clouds: NDArray[np.float32], name: str
) -> None:
    wanted = [{"name": name, "parameters": {"classification": 2}}]
    _, answer = server.infer({"inputs": [points_input(clouds)], "outputs": wanted})
    (output,) = answer["outputs"]
    assert (output["datatype"], output["shape"]) == ("BYTES", [5, 2])
    scores = reference_logits(clouds)
    for i, row in enumerate(np.reshape(output["data"], (5, 2))):
        for text, index in zip(row, np.argsort(-scores[i])[:2], strict=True):
            value, place, label = text.split(":")
            assert (int(place), label) == (index, CLASSES[index])
            if name == "logits":
                assert float(value) == pytest.approx(scores[i, index], abs=1e-4)


PACKINGS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "raw deflate": lambda body: zlib.compress(body, wbits=-15),
    "two members": lambda body: gzip.compress(body[:50]) + gzip.compress(body[50:]),
}


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_packed_request_is_read(server: Running, packing: str) -> None:
    body = PACKINGS[packing](json.dumps({"inputs": [GOOD]}).encode())
    name = "deflate" if "deflate" in packing else "gzip"
    status, _, answer = server.ask("POST", INFER, body, {"Content-Encoding": name})
    plain = server.infer({"inputs": [GOOD]})
    assert (status, json.loads(answer)) == plain


def test_a_body_as_large_as_the_limit_is_read(server: Running, tiny: Settings) -> None:
    body = json.dumps({"inputs": [GOOD]}).encode().ljust(tiny.limits.body)
    assert server.ask("POST", INFER, body)[0] == 200
    assert server.ask("POST", INFER, body + b" ")[0] == 413


def test_classes_of_probabilities_tell_those(server: Running) -> None:
    wanted = [{"name": name, "parameters": {"classification": 4}} for name in SCORES]
    _, answer = server.infer({"inputs": [GOOD], "outputs": wanted})
    scores = [[float(text.split(":")[0]) for text in o["data"]] for o in answer["outputs"]]
    expected = np.exp(scores[0]) / np.exp(scores[0]).sum()
    np.testing.assert_allclose(scores[1], expected, atol=1e-5)


def test_a_packed_request_holds_no_more_than_it_unpacks_to(tiny: Settings) -> None:
    """Many at once fit into the memory, whatever their bytes might have become."""
    cloud = points_input(np.tile(CLOUD, (500, 1)))
    body = gzip.compress(json.dumps({"inputs": [cloud]}).encode(), 1)
    limits = replace(tiny.limits, body=2**25, memory=2**25, body_seconds=20)
    with running(replace(tiny, limits=limits)) as server, ThreadPoolExecutor(16) as pool:

        def ask(_: int) -> int:
            return server.ask("POST", INFER, body, {"Content-Encoding": "gzip"})[0]

        assert set(pool.map(ask, range(48))) == {200}


@pytest.mark.parametrize(
    ("body", "packing", "status"),
    [
        (b"plain", "gzip", 400),
        (gzip.compress(b"{}" * 99)[:-9], "gzip", 400),
        (gzip.compress(bytes(300_000)), "gzip", 413),
        (zlib.compress(bytes(10_000_000)), "deflate", 413),
        (b"{}", "br", 415),
    ],
    ids=["plain", "cut short", "too large", "a bomb", "brotli"],
)
def test_a_badly_packed_request_is_refused(
    server: Running, body: bytes, packing: str, status: int
) -> None:
    found, _, answer = server.ask("POST", INFER, body, {"Content-Encoding": packing})
    assert (found, list(json.loads(answer))) == (status, ["error"])


@pytest.mark.parametrize(
    ("accepted", "packing"),
    [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("br, deflate;q=0.5", "deflate"),
        ("gzip;q=0", None),
    ],
)
def test_an_answer_is_packed_as_the_client_accepts(
    server: Running, accepted: str, packing: str | None
) -> None:
    body = json.dumps({"inputs": [GOOD]}).encode()
    _, headers, answer = server.ask("POST", INFER, body, {"Accept-Encoding": accepted})
    assert headers.get("content-encoding") == packing
    unpacked = zlib.decompress(answer, 47) if packing else answer
    assert json.loads(unpacked)["model_name"] == "tiny"


def test_a_chunked_request_is_read(server: Running) -> None:
    body = json.dumps({"inputs": [GOOD]}).encode()
    connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("POST", INFER, iter([body[:9], body[9:]]), encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()


def test_numbers_in_many_pieces_are_read_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from pointcmt_serve.http.protocol import numbers

    monkeypatch.setattr(numbers, "PIECE", 7)
    values = np.random.default_rng(0).normal(size=(50, 3))
    text = json.dumps(values.tolist(), indent=1).encode()
    found = numbers.read_numbers(text, (50, 3), np.dtype("<f8"))
    np.testing.assert_array_equal(found.reshape(50, 3), values)
