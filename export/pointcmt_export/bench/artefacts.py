"""The engines that run an exported graph."""

from typing import Any

import numpy as np

from pointcmt.errors import InputError
from pointcmt_export.bench.runner import CannotRunError, Clouds, Runner, Setup, module
from pointcmt_export.bench.targets import GRAPH
from pointcmt_serve.engines import open_session
from pointcmt_serve.engines.device import parse_device
from pointcmt_serve.engines.onnxruntime import OnnxSession, read_artefact
from pointcmt_serve.host_indices import host_indices


def onnxruntime(setup: Setup) -> Runner:
    """The exported graph in onnxruntime, as `pointcmt_serve` runs it."""
    session = OnnxSession(setup.target / GRAPH, parse_device(setup.device), setup.threads)
    if setup.device == "cpu" or session.artefact.steps:
        return Runner(session)
    return bound(session.runtime, setup.device)


def bound(session: Any, device: str) -> Runner:
    """Return a runner whose input and output stay in the memory of `device`."""
    runtime = module("onnxruntime", "export")

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
    """The exported graph in OpenVINO, as `pointcmt_serve` runs it."""
    if setup.device != "cpu":
        raise CannotRunError("OpenVINO is measured on the CPU only")
    file = setup.target / GRAPH
    try:
        return Runner(open_session(file, "openvino", "cpu", setup.threads))
    except InputError as error:
        raise CannotRunError(str(error).removeprefix(f"{file}: ")) from error


def tensorrt(setup: Setup) -> Runner:
    """A TensorRT engine on its GPU."""
    return _gpu_engine(setup, "trt")


def tensorrt_rtx(setup: Setup) -> Runner:
    """A TensorRT-RTX engine on its GPU."""
    return _gpu_engine(setup, "trt-rtx")


def _gpu_engine(setup: Setup, kind: Any) -> Runner:
    from pointcmt_export.formats.tensorrt import FILES
    from pointcmt_export.formats.tensorrt.execute import load, why_not_run
    from pointcmt_serve.engines.tensorrt_library import load_vendor

    reason = "it is asked for device cpu" if setup.device == "cpu" else why_not_run()
    if reason is not None:
        raise CannotRunError(f"an engine runs on its GPU: {reason}")
    torch, vendor = module("torch", "export"), load_vendor(kind)
    engine = load(vendor, (setup.target / FILES[kind]).read_bytes())
    context = engine.create_execution_context()
    steps = read_artefact(setup.target / GRAPH).steps

    def stage(clouds: Clouds) -> dict[str, Any]:
        fed: dict[str, Any] = {"points": clouds, **host_indices(steps, clouds, setup.threads)}
        return {name: torch.from_numpy(value).cuda() for name, value in fed.items()}

    def infer(held: dict[str, Any]) -> Any:
        for name, tensor in held.items():
            if not context.set_input_shape(name, tuple(tensor.shape)):
                raise CannotRunError(f"{tuple(tensor.shape)} is outside the engine's profile")
            context.set_tensor_address(name, tensor.data_ptr())
        logits = torch.empty(tuple(context.get_tensor_shape("logits")), device="cuda")
        context.set_tensor_address("logits", logits.data_ptr())
        stream = torch.cuda.current_stream()
        if not context.execute_async_v3(stream.cuda_stream):
            raise CannotRunError(f"{vendor.title} failed to run the engine")
        stream.synchronize()
        return logits

    return Runner(infer, stage, fetch=lambda logits: np.asarray(logits.cpu().numpy()))
