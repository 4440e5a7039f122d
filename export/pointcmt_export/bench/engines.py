"""The table of engines that a benchmark compares."""

import importlib

from pointcmt_export.bench import checkpoints, sessions
from pointcmt_export.bench.runner import Engine
from pointcmt_export.bench.targets import WEIGHTS

ENGINES = {
    "torch-plain": Engine(checkpoints.torch_plain, WEIGHTS),
    "torch-eager": Engine(checkpoints.torch_eager, WEIGHTS),
    "torch-compile": Engine(checkpoints.torch_compile, WEIGHTS),
    "torch-cuda-graph": Engine(checkpoints.torch_cuda_graph, WEIGHTS),
    **sessions.session_engines(),
}


def find_engine(name: str) -> Engine:
    """Return an engine of `ENGINES`, or the one that "module:NAME" names."""
    place, _, attribute = name.partition(":")
    if not attribute:
        return ENGINES[name]
    engine: Engine = getattr(importlib.import_module(place), attribute)
    return engine
