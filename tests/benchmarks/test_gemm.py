"""The bare matrix products of a graph, with which its engines are compared."""

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks.gemm import fastest, flops, product_shapes
from benchmarks.libraries import LIBRARIES
from tests.reference.tiny_student import CLASSES, METADATA, POINTS, tiny_model

Library = Callable[..., Callable[[], Any]]


def test_the_products_are_those_the_graph_computes(tmp_path: Path) -> None:
    onnx.save(tiny_model(METADATA), tmp_path / "model.onnx")
    clouds = np.random.default_rng(0).normal(size=(3, POINTS, 3)).astype(np.float32)
    pairs = product_shapes(tmp_path / "model.onnx", clouds)
    assert pairs == [((3, POINTS, 3), (3, len(CLASSES)))]
    assert flops(pairs) == 2 * 3 * POINTS * 3 * len(CLASSES)


def test_a_turned_operand_counts_as_it_is_multiplied(tmp_path: Path) -> None:
    """A Gemm with transB, behind a reshape whose size only the run knows."""
    nodes = [
        helper.make_node("Reshape", ["points", "rows"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight"], ["logits"], transB=1),
    ]
    weights = [
        numpy_helper.from_array(np.array([-1, 3]), "rows"),
        numpy_helper.from_array(np.ones((7, 3), np.float32), "weight"),
    ]
    points = helper.make_tensor_value_info("points", TensorProto.FLOAT, ["B", "N", 3])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 7])
    graph = helper.make_graph(nodes, "gemm", [points], [logits], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, METADATA)
    onnx.save(model, tmp_path / "model.onnx")
    pairs = product_shapes(tmp_path / "model.onnx", np.zeros((2, 5, 3), np.float32))
    assert pairs == [((10, 3), (3, 7))]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("left", "right"), [((6, 4), (4, 5)), ((2, 6, 4), (2, 4, 5))])
def test_every_library_computes_the_product(
    library: Library, left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=shape).astype(np.float32) for shape in (left, right))
    out = np.zeros((*left[:-1], right[-1]), np.float32)
    try:
        call = library(a, b, out, 1)
    except ImportError as error:
        pytest.skip(str(error))
    expected, kept = a @ b, [weakref.ref(array) for array in (a, b, out)]
    del a, b
    call()
    np.testing.assert_allclose(out, expected, atol=1e-5)
    del out
    gc.collect()
    alive = [reference() is not None for reference in kept]
    assert alive[2], "the call writes into memory that is no longer its own"
    assert all(alive) or len(right) == 2, "the call reads memory that is no longer its own"


def test_the_limit_computes_every_product_once() -> None:
    calls = fastest([((3, 8, 4), (4, 5)), ((3, 8, 4), (4, 5)), ((2, 6, 4), (2, 4, 5))], 1)
    assert len(calls) == 3
    for call in calls:
        call()
