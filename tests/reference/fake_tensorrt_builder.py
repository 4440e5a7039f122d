"""What the exporter calls of TensorRT to build an engine, which onnxruntime then computes.

A plan of this library is the ONNX graph with the profile's shapes behind it. On a GPU that nobody
has, it stands in for the arithmetic alone: the session, its copies and the gate are the real ones.
"""

import json
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime

from tests.reference.fake_tensorrt import FakeCuda, FakeEngine, tensorrt_module

Compute = Callable[[dict[str, Any]], dict[str, Any]]
BORDER = b"\nprofile of points: "
TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
HEAVY = ("MatMul", "Gemm")


class Network:
    """As `INetworkDefinition`, of an ONNX graph that a parser read."""

    def __init__(self) -> None:
        self.model = onnx.ModelProto()

    @property
    def num_inputs(self) -> int:
        return len(self.model.graph.input)

    def get_input(self, index: int) -> Any:
        value = self.model.graph.input[index]
        shape = [d.dim_value or -1 for d in value.type.tensor_type.shape.dim]
        return SimpleNamespace(name=value.name, shape=shape)

    @property
    def num_layers(self) -> int:
        return len(self.model.graph.node)

    def get_layer(self, index: int) -> Any:
        kind = "MATRIX_MULTIPLY" if self.model.graph.node[index].op_type in HEAVY else "SHUFFLE"
        output = SimpleNamespace(dtype=SimpleNamespace(name="FLOAT"))
        kind_named = SimpleNamespace(name=kind)
        return SimpleNamespace(type=kind_named, num_outputs=1, get_output=lambda _: output)


class Parser:
    """As `OnnxParser`."""

    def __init__(self, network: Network, log: Any) -> None:
        self._network = network

    def parse(self, content: bytes) -> bool:
        self._network.model = onnx.load_from_string(content)
        return True


class Profile(dict[str, Any]):
    """As `IOptimizationProfile`."""

    def set_shape(self, name: str, *shapes: tuple[int, ...]) -> None:
        self[name] = shapes


class Config:
    """As `IBuilderConfig`."""

    def __init__(self) -> None:
        self.flags, self.profiles = {"TF32"}, list[Profile]()
        self.profiling_verbosity: Any = None

    def clear_flag(self, flag: str) -> None:
        self.flags.discard(flag)

    def add_optimization_profile(self, profile: Profile) -> None:
        self.profiles.append(profile)

    def create_timing_cache(self, content: bytes) -> bytes | None:
        return None if content == b"damaged" else content or b"timings"

    def set_timing_cache(self, cache: bytes | None, *, ignore_mismatch: bool) -> bool:
        if cache is None:
            raise TypeError("set_timing_cache(): incompatible function arguments")
        self.timings = cache
        return ignore_mismatch or cache != b"of another GPU"

    def get_timing_cache(self) -> Any:
        return SimpleNamespace(serialize=lambda: self.timings + b", and more")


class Builder:
    """As `Builder`."""

    def __init__(self, log: Any) -> None:
        self.create_network = lambda flags: Network()
        self.create_builder_config = Config
        self.create_optimization_profile = Profile

    def build_serialized_network(self, network: Network, config: Config) -> bytes:
        assert "TF32" not in config.flags
        (profile,) = config.profiles
        shapes = json.dumps(profile["points"]).encode()
        return bytes(network.model.SerializeToString()) + BORDER + shapes


def building_module(cuda: FakeCuda, change: Callable[[Compute], Compute] = lambda run: run) -> Any:
    """The module `tensorrt` of a library that builds engines, and runs them on `cuda`.

    Args:
        cuda: the GPU.
        change: what the engine computes in place of the graph.
    """

    def deserialize(runtime: Any, plan: bytes) -> FakeEngine:
        graph, _, shapes = plan.rpartition(BORDER)
        profile = tuple(tuple(shape) for shape in json.loads(shapes))
        return _engine(cuda, graph, profile, change)

    module = tensorrt_module(FakeEngine(cuda, {}, lambda inputs: {}, ()))
    module.Runtime.deserialize_cuda_engine = deserialize
    vars(module).update(
        Builder=Builder,
        OnnxParser=Parser,
        NetworkDefinitionCreationFlag=SimpleNamespace(STRONGLY_TYPED=1),
        BuilderFlag=SimpleNamespace(TF32="TF32"),
        ProfilingVerbosity=SimpleNamespace(DETAILED=2),
        LayerInformationFormat=SimpleNamespace(JSON=1),
        __spec__=ModuleSpec("tensorrt", None),  # torch asks which modules there are
    )
    return module


def _engine(
    cuda: FakeCuda, graph: bytes, profile: Any, change: Callable[[Compute], Compute]
) -> FakeEngine:
    session = onnxruntime.InferenceSession(graph)
    names = [output.name for output in session.get_outputs()]

    def compute(inputs: dict[str, Any]) -> dict[str, Any]:
        return dict(zip(names, session.run(names, inputs), strict=True))

    types = {value.name: TYPES[value.type] for value in session.get_inputs()}
    engine = FakeEngine(cuda, types, change(compute), (profile,))
    engine.outputs = {value.name: TYPES[value.type] for value in session.get_outputs()}
    inspector = SimpleNamespace(get_engine_information=lambda _: "{}")
    vars(engine)["create_engine_inspector"] = lambda: inspector
    return engine
