"""An exported student to compute by hand: logits = max over the points of points @ W + b."""

import json
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

CLASSES = ("cone", "cube", "tube", "vase")
POINTS = 64
WEIGHT = np.random.default_rng(0).normal(size=(3, len(CLASSES))).astype(np.float32)
BIAS = np.array([0.1, -0.2, 0.3, 0.0], dtype=np.float32)
TOLD: dict[str, Any] = {  # for the metadata's entry `explain`
    "maxima": [
        {"values": "scores", "kept": "best", "axis": 1, "index": None, "rows": "points",
         "centres": None}
    ],
    "samples": {},
}  # fmt: skip
METADATA = {
    "pointcmt.classes": json.dumps(CLASSES),
    "pointcmt.points": str(POINTS),
    "pointcmt.normalization": "unit-sphere",
    "pointcmt.student": "tiny",
    "pointcmt.version": "0.1.0",
    "pointcmt.provenance": json.dumps({"seed": 0}),
}


def reference_logits(clouds: NDArray[np.float32]) -> NDArray[np.float32]:
    """(B, N, 3) -> (B, C), the network in numpy."""
    return np.asarray((clouds @ WEIGHT + BIAS).max(axis=1))


def tiny_model(metadata: dict[str, str], weight: NDArray[np.float32] = WEIGHT) -> onnx.ModelProto:
    nodes = [
        helper.make_node("MatMul", ["points", "weight"], ["scores"]),
        helper.make_node("ReduceMax", ["scores", "axis"], ["best"], keepdims=0),
        helper.make_node("Add", ["best", "bias"], ["logits"]),
    ]
    weights = [
        numpy_helper.from_array(weight, "weight"),
        numpy_helper.from_array(BIAS[: weight.shape[1]], "bias"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), "axis"),
    ]
    points = helper.make_tensor_value_info("points", TensorProto.FLOAT, ["B", "N", len(weight)])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", weight.shape[1]])
    graph = helper.make_graph(nodes, "tiny", [points], [logits], weights)
    opsets = [helper.make_opsetid("", 20)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    return model
