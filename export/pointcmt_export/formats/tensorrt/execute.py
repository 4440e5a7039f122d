"""Running a TensorRT engine on its GPU, with torch for the memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch

from pointcmt.errors import InputError
from pointcmt_export.verify.runners import Floats, Outputs, Runner, host_feed
from pointcmt_serve.engines.tensorrt_library import Vendor, first_error


def why_not_run() -> str | None:
    """Return why engines cannot run here, or None where they can."""
    return None if torch.cuda.is_available() else "no GPU at hand to run the engine on"


def load(vendor: Vendor, plan: bytes) -> Any:
    """Deserialise an engine.

    Raises:
        InputError: it was built for another GPU or by another version.
    """
    log = vendor.logger()
    runtime = vendor.api.Runtime(log)
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        reason = first_error(log.errors, "built for another GPU or by another version")
        raise InputError(f"{vendor.title} cannot load the engine on this GPU ({reason})")
    return engine


def inspect(vendor: Vendor, plan: bytes) -> str | None:
    """Return what the engine's inspector says of its layers, or None without a GPU."""
    if why_not_run() is not None:
        return None
    inspector = load(vendor, plan).create_engine_inspector()
    return str(inspector.get_engine_information(vendor.api.LayerInformationFormat.JSON))


def engine_runner(
    vendor: Vendor, plan: bytes, model: onnx.ModelProto, largest: int, outputs: Sequence[str]
) -> Runner:
    """Run an engine on the current GPU.

    Args:
        vendor: the library.
        plan: the engine.
        model: the ONNX model it was built from.
        largest: the largest batch of its profile; larger ones are cut.
        outputs: names of its outputs, "logits" among them.
    """
    engine = load(vendor, plan)
    context = engine.create_execution_context()
    feed = host_feed(model)

    def run_part(points: Floats) -> dict[str, Any]:
        inputs = {"points": points, **feed(points)}
        held = {name: torch.from_numpy(value).cuda() for name, value in inputs.items()}
        for name, tensor in held.items():
            context.set_input_shape(name, tuple(tensor.shape))
        for name in outputs:
            kind = torch.float32 if name == "logits" else torch.int64
            held[name] = torch.empty(tuple(context.get_tensor_shape(name)), dtype=kind).cuda()
        for name, tensor in held.items():
            context.set_tensor_address(name, tensor.data_ptr())
        stream = torch.cuda.current_stream()
        if not context.execute_async_v3(stream.cuda_stream):
            raise InputError(f"{vendor.title} failed to run the engine")
        stream.synchronize()
        return {name: held[name].cpu().numpy() for name in outputs}

    def run(points: Floats) -> Outputs:
        starts = range(0, len(points), largest)
        parts = [run_part(points[start : start + largest]) for start in starts]
        whole = {name: np.concatenate([part[name] for part in parts]) for name in outputs}
        return Outputs(whole.pop("logits"), {**feed(points), **whole})

    return run
