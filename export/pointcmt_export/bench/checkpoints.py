"""The engines that run the student's own module in PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np

from pointcmt_export.bench.runner import CannotRunError, Runner, Setup, module


def torch_eager(setup: Setup) -> Runner:
    """PyTorch as a user of the model folder gets it, with pointcmt's fast ops."""
    return torch_runner(open_student(setup), setup.device)


def torch_plain(setup: Setup) -> Runner:
    """PyTorch alone: sampling and grouping in plain torch too, as without pointcmt's ops."""
    from pointcmt.ops import reference, registered

    student = open_student(setup)
    # The dispatcher is turned aside for good: this process measures nothing else.
    vars(registered)["serving"] = lambda device: reference
    return torch_runner(student, setup.device)


def torch_compile(setup: Setup) -> Runner:
    """PyTorch through its compiler, specialised to each shape."""
    student = open_student(setup)
    return torch_runner(module("torch", "export").compile(student, dynamic=False), setup.device)


def torch_cuda_graph(setup: Setup) -> Runner:
    """PyTorch's kernels, recorded once a shape and replayed as one CUDA graph."""
    if setup.device != "cuda":
        raise CannotRunError("CUDA graphs need a CUDA device")
    student = open_student(setup)
    torch = module("torch", "export")
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

    return torch_runner(replay, setup.device)


def open_student(setup: Setup) -> Any:
    """Load the student of a model folder onto the device, with exact float32 arithmetic."""
    from pointcmt.checkpoint import load_network

    torch = module("torch", "export")
    torch.set_num_threads(setup.threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    student, _ = load_network(setup.target, setup.allow)
    return student.to(setup.device)


def torch_runner(call: Callable[[Any], Any], device: str) -> Runner:
    """Return a runner for `call`, which maps clouds (B, N, 3) on `device` to logits."""
    torch = module("torch", "export")

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
