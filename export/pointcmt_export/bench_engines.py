"""The engines that the benchmark compares, each opened into the same three steps."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pointcmt_export.bench_targets import ENGINE, GRAPH, WEIGHTS
from pointcmt_serve.sampling import host_inputs
from pointcmt_serve.session import OnnxSession

Clouds = NDArray[np.float32]


class CannotRunError(Exception):
    """The engine cannot run this target on this machine; the message says why."""


@dataclass(frozen=True)
class Setup:
    """What an engine is opened with.

    Attributes:
        target: a model folder, or an exported folder.
        threads: how many threads one call may use on the CPU.
        device: "cpu" or "cuda".
    """

    target: Path
    threads: int
    device: str


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Runner:
    """An opened engine; a call is `fetch(infer(stage(clouds)))`.

    Attributes:
        infer: computes the logits of staged clouds and returns when they are there.
        stage: brings clouds (B, N, 3) from host memory to where the engine wants them.
        fetch: brings the logits (B, C) back to host memory.
    """

    infer: Callable[[Any], Any]
    stage: Callable[[Clouds], Any] = _same
    fetch: Callable[[Any], NDArray[np.float32]] = _same


def torch_eager(setup: Setup) -> Runner:
    """PyTorch as a user of the model folder gets it, with pointcmt's fast ops."""
    return _torch_runner(_student(setup), setup.device)


def torch_plain(setup: Setup) -> Runner:
    """PyTorch alone: sampling and grouping in plain torch too, as without pointcmt's ops."""
    from pointcmt.ops import reference, registered

    student = _student(setup)
    # The dispatcher is turned aside for good: this process measures nothing else.
    vars(registered)["serving"] = lambda device: reference
    return _torch_runner(student, setup.device)


def torch_compile(setup: Setup) -> Runner:
    """PyTorch through its compiler, specialised to each shape."""
    student = _student(setup)
    return _torch_runner(_module("torch", "export").compile(student, dynamic=False), setup.device)


def torch_cuda_graph(setup: Setup) -> Runner:
    """PyTorch's kernels, recorded once a shape and replayed as one CUDA graph."""
    if setup.device != "cuda":
        raise CannotRunError("CUDA graphs need a CUDA device")
    student = _student(setup)
    torch = _module("torch", "export")
    recorded: dict[Any, tuple[Any, Any, Any]] = {}

    def record(clouds: Any) -> tuple[Any, Any, Any]:
        fixed = clouds.clone()
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):  # a first pass outside the graph, as capturing requires
            student(fixed)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            logits = student(fixed)
        return graph, fixed, logits

    def replay(clouds: Any) -> Any:
        if clouds.shape not in recorded:
            recorded[clouds.shape] = record(clouds)
        graph, fixed, logits = recorded[clouds.shape]
        fixed.copy_(clouds)
        graph.replay()
        return logits

    return _torch_runner(replay, setup.device)


def _student(setup: Setup) -> Any:
    from pointcmt.checkpoint import load_student

    torch = _module("torch", "export")
    torch.set_num_threads(setup.threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    student, _ = load_student(setup.target)
    return student.to(setup.device)


def _torch_runner(call: Callable[[Any], Any], device: str) -> Runner:
    torch = _module("torch", "export")

    def finish(value: Any) -> Any:
        if device == "cuda":
            torch.cuda.synchronize()
        return value

    def infer(clouds: Any) -> Any:
        with torch.inference_mode():
            return finish(call(clouds))

    return Runner(
        infer,
        stage=lambda clouds: finish(torch.from_numpy(clouds).to(device)),
        fetch=lambda logits: np.asarray(logits.cpu().numpy()),
    )


def onnxruntime(setup: Setup) -> Runner:
    """The exported graph in onnxruntime, as `pointcmt_serve` runs it."""
    device: Any = setup.device
    session = OnnxSession(setup.target / GRAPH, device, setup.threads)
    if device == "cpu" or session.artefact.steps:
        return Runner(session)
    return bound(session.runtime, device)


def bound(session: Any, device: str) -> Runner:
    """Return a runner whose input and output stay in the memory of `device`."""
    runtime = _module("onnxruntime", "export")

    def infer(clouds: Any) -> Any:
        binding = session.io_binding()
        binding.bind_ortvalue_input("points", clouds)
        binding.bind_output("logits", device)
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return binding.get_outputs()[0]

    return Runner(
        infer,
        stage=lambda clouds: runtime.OrtValue.ortvalue_from_numpy(clouds, device, 0),
        fetch=lambda logits: np.asarray(logits.numpy()),
    )


def openvino(setup: Setup) -> Runner:
    """The exported graph in OpenVINO: one compiled model a shape, float32 on every processor."""
    if setup.device != "cpu":
        raise CannotRunError("OpenVINO is measured on the CPU only")
    core = _module("openvino", "openvino").Core()
    model = core.read_model(setup.target / GRAPH)
    steps = OnnxSession(setup.target / GRAPH, "cpu").artefact.steps
    properties = {
        "INFERENCE_NUM_THREADS": setup.threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled: dict[tuple[int, ...], Any] = {}

    def infer(clouds: Clouds) -> NDArray[np.float32]:
        feeds: dict[str, NDArray[Any]] = {
            "points": clouds,
            **host_inputs(steps, clouds, setup.threads),
        }
        if clouds.shape not in compiled:
            model.reshape({name: list(value.shape) for name, value in feeds.items()})
            compiled[clouds.shape] = core.compile_model(model, "CPU", properties)
        return np.asarray(compiled[clouds.shape](feeds)["logits"])

    return Runner(infer)


def tensorrt(setup: Setup) -> Runner:
    """A TensorRT engine on its GPU."""
    raise CannotRunError("a TensorRT engine runs on its GPU only")


def gemm_limit(setup: Setup) -> Runner:
    """Only the exported graph's matrix products, on buffers of their shapes: the speed limit."""
    from pointcmt_export.bench_gemm import Products

    if setup.device != "cpu":
        raise CannotRunError("the limit is measured on the CPU only")
    return Runner(Products(setup.target / GRAPH, setup.threads))


class Engine(NamedTuple):
    """How an engine is opened, and the file a target must hold for it."""

    open: Callable[[Setup], Runner]
    needs: str


ENGINES = {
    "torch-plain": Engine(torch_plain, WEIGHTS),
    "torch-eager": Engine(torch_eager, WEIGHTS),
    "torch-compile": Engine(torch_compile, WEIGHTS),
    "torch-cuda-graph": Engine(torch_cuda_graph, WEIGHTS),
    "onnxruntime": Engine(onnxruntime, GRAPH),
    "openvino": Engine(openvino, GRAPH),
    "tensorrt": Engine(tensorrt, ENGINE),
    "gemm-limit": Engine(gemm_limit, GRAPH),
}


def _module(name: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise CannotRunError(
            f"{name} is not installed; install it with: pip install 'pointcmt[{extra}]'"
        ) from error
