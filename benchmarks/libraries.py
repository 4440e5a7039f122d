"""One matrix product, prepared in each library that may be the fastest at it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]
Pair = tuple[Shape, Shape]
Floats = NDArray[np.float32]
Call = Callable[[], Any]


def by_torch(left: Floats, right: Floats, out: Floats, threads: int) -> Call:
    """Prepare left @ right by torch."""
    import torch

    torch.set_num_threads(threads)
    a, b, c = (torch.from_numpy(array) for array in (left, right, out))
    return lambda: torch.matmul(a, b, out=c)


def by_numpy(left: Floats, right: Floats, out: Floats, threads: int) -> Call:
    """Prepare left @ right by numpy, whose threads OMP_NUM_THREADS sets."""
    return lambda: np.matmul(left, right, out=out)


def by_onnxruntime(left: Floats, right: Floats, out: Floats, threads: int) -> Call:
    """Prepare left @ right by onnxruntime, a weight on the right packed beforehand."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads of one product that spin would take the processor from the next one's.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(_graph(left, right), options)
    wrap = onnxruntime.OrtValue.ortvalue_from_numpy
    values = {"left": wrap(left), "right": wrap(right), "out": wrap(out)}
    binding = session.io_binding()
    for value in session.get_inputs():
        binding.bind_ortvalue_input(value.name, values[value.name])
    binding.bind_ortvalue_output("out", values["out"])
    return lambda: (session.run_with_iobinding(binding), values, left, right, out)


def by_openvino(
    left: Floats, right: Floats, out: Floats, threads: int, precision: str = "f32"
) -> Call:
    """Prepare left @ right by OpenVINO, a weight on the right packed beforehand."""
    import openvino

    core = openvino.Core()
    properties = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision}
    compiled = core.compile_model(core.read_model(_graph(left, right)), "CPU", properties)
    request = compiled.create_infer_request()
    wrap = openvino.Tensor
    values = {"left": wrap(left, shared_memory=True), "right": wrap(right, shared_memory=True)}
    for value in compiled.inputs:
        request.set_tensor(value, values[value.any_name])
    request.set_output_tensor(wrap(out, shared_memory=True))
    return lambda: (request.infer(), values, left, right, out)  # the arrays stay alive


def by_onnxruntime_int8(left: Floats, right: Floats, out: Floats, threads: int) -> Call:
    """Prepare left @ right of uint8 and int8 numbers, summed in int32, by onnxruntime."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    weight = numpy_helper.from_array(right.astype(np.int8), "right")
    given = helper.make_tensor_value_info("left", TensorProto.UINT8, left.shape)
    made = helper.make_tensor_value_info("out", TensorProto.INT32, out.shape)
    node = helper.make_node("MatMulInteger", ["left", "right"], ["out"])
    graph = helper.make_graph([node], "product", [given], [made], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    wrap = onnxruntime.OrtValue.ortvalue_from_numpy
    values = {"left": wrap(left.astype(np.uint8)), "out": wrap(out.view(np.int32))}
    binding = session.io_binding()
    binding.bind_ortvalue_input("left", values["left"])
    binding.bind_ortvalue_output("out", values["out"])
    return lambda: (session.run_with_iobinding(binding), values)


def by_torch_bf16(left: Floats, right: Floats, out: Floats, threads: int) -> Call:
    """Prepare left @ right of bfloat16 numbers by torch."""
    import torch

    torch.set_num_threads(threads)
    a, b = (torch.from_numpy(array).bfloat16() for array in (left, right))
    c = torch.empty(out.shape, dtype=torch.bfloat16)
    return lambda: torch.matmul(a, b, out=c)


LIBRARIES: tuple[Callable[..., Call], ...] = (by_torch, by_numpy, by_onnxruntime, by_openvino)
BF16 = (by_torch_bf16, partial(by_openvino, precision="bf16"))


def result_shape(left: Shape, right: Shape) -> Shape:
    """Return the shape of left @ right."""
    batch = np.broadcast_shapes(left[:-2], right[:-2])
    return (*batch, left[-2], right[-1])


def _graph(left: Floats, right: Floats) -> bytes:
    """A graph of one MatMul; a matrix on the right is a constant, as weights are."""
    from onnx import TensorProto, helper, numpy_helper

    weights = [numpy_helper.from_array(right, "right")] if right.ndim == 2 else []
    operands = {"left": left} if weights else {"left": left, "right": right}
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape)
        for name, array in operands.items()
    ]
    shape = result_shape(left.shape, right.shape)
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)
    node = helper.make_node("MatMul", ["left", "right"], ["out"])
    graph = helper.make_graph([node], "product", inputs, [out], weights)
    opsets = [helper.make_opsetid("", 20)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())
