"""The table of engines that a benchmark compares."""

import importlib

from pointcmt_export.benchmark import graphs, modules
from pointcmt_export.benchmark.runner import Engine
from pointcmt_export.benchmark.targets import GRAPH, WEIGHTS

LIMIT = "gemm-limit"
ENGINES = {
    "torch-plain": Engine(modules.torch_plain, WEIGHTS),
    "torch-eager": Engine(modules.torch_eager, WEIGHTS),
    "torch-compile": Engine(modules.torch_compile, WEIGHTS),
    "torch-cuda-graph": Engine(modules.torch_cuda_graph, WEIGHTS),
    "onnxruntime": Engine(graphs.onnxruntime, GRAPH),
    "openvino": Engine(graphs.openvino, GRAPH),
    "tensorrt": Engine(graphs.tensorrt, "model.engine"),
    "tensorrt-rtx": Engine(graphs.tensorrt_rtx, "model.rtx.engine"),
    LIMIT: Engine(graphs.gemm_limit, GRAPH),
}


def find_engine(name: str) -> Engine:
    """Return an engine of `ENGINES`, or the one that "module:NAME" names."""
    place, _, attribute = name.partition(":")
    if not attribute:
        return ENGINES[name]
    engine: Engine = getattr(importlib.import_module(place), attribute)
    return engine
