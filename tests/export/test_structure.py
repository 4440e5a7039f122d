"""Wherever a graph may hide numbers, what is not the student's is found, and what it states is."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from pointcmt_export.convert.to_onnx import Converted
from pointcmt_export.verify.gate import Expectation
from pointcmt_export.verify.structure import interface_check, weights_check

WEIGHT = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
STRANGER = np.random.default_rng(1).normal(size=40).astype(np.float32)


def graph(*nodes: onnx.NodeProto) -> onnx.GraphProto:
    held = [numpy_helper.from_array(WEIGHT, "weight")]
    return helper.make_graph([*nodes], "g", [], [], held)


def constant(**value: object) -> onnx.NodeProto:
    return helper.make_node("Constant", [], ["hidden"], **value)


def in_a_node(values: NDArray[np.float32]) -> onnx.GraphProto:
    return graph(constant(value=numpy_helper.from_array(values)))


def in_a_list(values: NDArray[np.float32]) -> onnx.GraphProto:
    return graph(constant(value_floats=values.tolist()))


def in_a_subgraph(values: NDArray[np.float32]) -> onnx.GraphProto:
    body = in_a_node(values)
    del body.initializer[:]
    return graph(helper.make_node("Loop", ["n"], ["y"], body=body))


def sparse(values: NDArray[np.float32]) -> onnx.GraphProto:
    made = graph()
    places = numpy_helper.from_array(np.arange(len(values)), "places")
    named = numpy_helper.from_array(values, "hidden")
    made.sparse_initializer.append(helper.make_sparse_tensor(named, places, [len(values)]))
    return made


def integers(values: NDArray[np.float32]) -> onnx.GraphProto:
    """The bits of many numbers, as integers."""
    return in_a_node(np.resize(values, 2**16).view(np.int32))


@pytest.mark.parametrize("hide", [in_a_node, in_a_list, in_a_subgraph, sparse, integers])
def test_numbers_that_are_not_the_students_are_found(
    hide: Callable[[NDArray[np.float32]], onnx.GraphProto],
) -> None:
    weights = {"weight": torch.from_numpy(WEIGHT)}
    assert weights_check(helper.make_model(graph()), weights).status == "passed"
    check = weights_check(helper.make_model(hide(STRANGER)), weights)
    assert check.status == "failed"
    assert "1 not the student's" in check.detail


@pytest.mark.parametrize(
    ("values", "plain"),
    [(np.arange(9), True), (np.full(9, 0.3), True), (np.eye(3), True), (2 * np.arange(9), False)],
)
def test_a_constant_vector_or_one_that_counts_is_no_weight(
    values: NDArray[np.float64], plain: bool
) -> None:
    weights = {"weight": torch.from_numpy(WEIGHT)}
    check = weights_check(helper.make_model(in_a_node(values.astype(np.float32))), weights)
    assert check.status == ("passed" if plain else "failed")


@pytest.mark.parametrize(
    "key",
    ["channels", "up", "parts", "classes", "points", "normalization", "student", "provenance"],
)
def test_what_a_file_says_of_itself_is_the_checkpoints(
    key: str, converted: tuple[Converted, Expectation]
) -> None:
    made, expected = converted
    model = onnx.ModelProto()
    model.CopyFrom(made.model)
    (entry,) = (p for p in model.metadata_props if p.key == f"pointcmt.{key}")
    entry.value += " "
    check = interface_check(model, expected.config, expected.inputs)
    assert check.status == "failed"
    assert f"metadata {key} is" in check.detail


def test_inputs_outputs_and_opset_are_those_of_the_student(
    converted: tuple[Converted, Expectation],
) -> None:
    made, expected = converted
    config = replace(expected.config, classes=(*expected.config.classes, "more"))
    assert "instead of logits of" in interface_check(made.model, config, expected.inputs).detail
    more = interface_check(made.model, expected.config, ("points", "indices"))
    assert "the inputs ['points'] instead of" in more.detail
    old = onnx.ModelProto()
    old.CopyFrom(made.model)
    old.opset_import[0].version = 13
    assert "an opset below 20" in interface_check(old, expected.config, expected.inputs).detail
