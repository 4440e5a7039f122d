"""The student's products in int8: weights and activations, as a standard ONNX graph.

Activations take 8 bits a number, with a scale and a zero a tensor; weights a scale an output
channel. Weights use 7 of their 8 bits: so a processor without VNNI, which adds pairs of products in
int16, cannot overflow, and every processor computes alike. In float32 stay the products of
coordinates (see `NARROW`), searches among features, and the classifier, a nothing of the work.
"""

import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray

Feeds = Mapping[str, NDArray[Any]]
PRODUCTS = ("MatMul", "Gemm")
NARROW = 16  # a product of fewer channels reads coordinates or relations, and int8 gains nothing


def quantized(model: onnx.ModelProto, clouds: Iterable[Feeds]) -> onnx.ModelProto:
    """Return a copy of the graph whose heavy products are of int8.

    Args:
        model: the float32 graph.
        clouds: inputs of the graph; the ranges of activations are those that they show.
    """
    from onnxruntime import quantization as q

    plain = _apart(model)
    feeds = iter(clouds)

    class Reader(q.CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> Any:
            return next(feeds, None)

    with tempfile.TemporaryDirectory() as room, _quiet():
        file = Path(room) / "model.onnx"
        q.quantize_static(
            plain,
            file,
            Reader(),
            quant_format=q.QuantFormat.QDQ,
            nodes_to_quantize=products(plain),
            per_channel=True,
            reduce_range=True,
            activation_type=q.QuantType.QUInt8,
            weight_type=q.QuantType.QInt8,
        )
        made = onnx.load(file)
    del made.metadata_props[:]
    made.metadata_props.extend(model.metadata_props)
    return made


def products(model: onnx.ModelProto) -> list[str]:
    """Return the names of the products of rows with a weight that int8 is for."""
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    found = []
    for node in model.graph.node:
        if node.op_type not in PRODUCTS or node.input[1] not in weights:
            continue
        turned = any(a.name == "transB" and a.i for a in node.attribute)
        channels = weights[node.input[1]][-1 if turned else -2]
        if channels >= NARROW and "logits" not in node.output:
            found.append(node.name)
    return found


def _apart(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy in which products have names, and what is added to them is added apart.

    A Gemm may add rows that are no constant; none of its int8 forms does.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    constants = {tensor.name for tensor in copy.graph.initializer}
    nodes = []
    for node in copy.graph.node:
        added = node.input[2] if node.op_type == "Gemm" and len(node.input) > 2 else None
        node.name = node.name or node.output[0]
        if added is None or added in constants or (node.attribute and not _is_plain(node)):
            nodes.append(node)
            continue
        product = f"{node.output[0]}.product"
        nodes += [
            onnx.helper.make_node("MatMul", node.input[:2], [product], name=node.name),
            onnx.helper.make_node("Add", [product, added], node.output, name=f"{node.name}.sum"),
        ]
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def _is_plain(node: onnx.NodeProto) -> bool:
    """Whether a Gemm is A @ B + C and no more."""
    given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    usual = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0}
    return all(given.get(name, value) == value for name, value in usual.items())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's advice on preprocessing from the user."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
