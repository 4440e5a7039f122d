"""Building a TensorRT engine from an ONNX model."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from pointcmt.errors import InputError
from pointcmt.files import write_beside
from pointcmt_export.options import FittedProfile
from pointcmt_serve.engines.tensorrt_library import Vendor, first_error

PRODUCTS = ("MATRIX_MULTIPLY", "CONVOLUTION")  # the layers that do the heavy work


@dataclass(frozen=True)
class Built:
    """An engine.

    Attributes:
        plan: the serialised engine.
        products: how many layers of `PRODUCTS` give each type of number, e.g. {"FLOAT": 12}.
    """

    plan: bytes
    products: dict[str, int]


def build(
    vendor: Vendor, model: onnx.ModelProto, profile: FittedProfile, cache: Path | None = None
) -> Built:
    """Build an engine whose precision is that of the graph, with TF32 off.

    Args:
        vendor: the library.
        model: the ONNX model.
        profile: the shapes it must take.
        cache: file of TensorRT's timings, read and rewritten; TensorRT-RTX needs none.

    Raises:
        InputError: the library refuses the graph, or cannot build an engine here.
    """
    api, log = vendor.api, vendor.logger()
    builder = vendor.start("Builder", log)
    network = _typed_network(vendor, builder)
    parser = api.OnnxParser(network, log)
    if not parser.parse(model.SerializeToString()):
        reasons = [parser.get_error(i).desc() for i in range(parser.num_errors)]
        raise InputError(f"{vendor.title} refuses the graph ({first_error(reasons, 'no reason')})")
    config = builder.create_builder_config()
    config.clear_flag(api.BuilderFlag.TF32)
    config.profiling_verbosity = api.ProfilingVerbosity.DETAILED
    config.add_optimization_profile(_profile(builder, network, profile))
    timings = _open_cache(vendor, config, cache)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        reason = log.first_error("no reason given")
        raise InputError(f"{vendor.title} cannot build the engine ({reason})")
    if timings and cache is not None:
        with write_beside(cache) as fresh:
            fresh.write_bytes(bytes(config.get_timing_cache().serialize()))
    return Built(bytes(plan), _products(network))


def _typed_network(vendor: Vendor, builder: Any) -> Any:
    """Return an empty network whose precision is that of the ONNX graph, always so in 11."""
    flags = vendor.api.NetworkDefinitionCreationFlag
    strong = getattr(flags, "STRONGLY_TYPED", None)
    return builder.create_network(0 if strong is None else 1 << int(strong))


def _profile(builder: Any, network: Any, profile: FittedProfile) -> Any:
    """Make the profile: the first axis of every input is the batch, another free one the points."""
    made = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        tensor = network.get_input(i)
        shapes = [
            (batch, *(points if size < 0 else size for size in tuple(tensor.shape)[1:]))
            for batch, points in zip(profile.batch, profile.points, strict=True)
        ]
        made.set_shape(tensor.name, *shapes)
    return made


def _open_cache(vendor: Vendor, config: Any, cache: Path | None) -> bool:
    if cache is None or vendor.kind != "trt":
        return False
    stored = cache.read_bytes() if cache.is_file() else b""
    for content in (stored, b""):  # one of another GPU or version, or a damaged one, is replaced
        timings = config.create_timing_cache(content)
        if timings is not None and config.set_timing_cache(timings, ignore_mismatch=False):
            return True
    return False


def _products(network: Any) -> dict[str, int]:
    layers = (network.get_layer(i) for i in range(network.num_layers))
    return dict(
        Counter(
            layer.get_output(0).dtype.name
            for layer in layers
            if layer.type.name in PRODUCTS and layer.num_outputs
        )
    )
