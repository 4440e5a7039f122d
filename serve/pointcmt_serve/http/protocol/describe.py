"""What a server and its models say about themselves."""

from collections.abc import Sequence
from typing import Any

from pointcmt import __version__
from pointcmt_serve.http.protocol.names import INPUT, OUTPUTS, SCORES
from pointcmt_serve.http.settings import Batching

EXTENSIONS = (
    "classification",
    "model_configuration",
    "model_repository",
    "statistics",
    "binary_tensor_data",
)


def server_metadata() -> dict[str, Any]:
    """Return the protocol's description of the server."""
    return {"name": "pointcmt", "version": __version__, "extensions": list(EXTENSIONS)}


def metadata(
    model: str, versions: Sequence[str], engine: str, classes: int, channels: int
) -> dict[str, Any]:
    """Return the protocol's description of a model and its tensors.

    Args:
        model: what clients call it.
        versions: those that are ready.
        engine: what runs it.
        classes: how many it knows.
        channels: numbers a point has.
    """
    return {
        "name": model,
        "versions": list(versions),
        "platform": f"{engine}_onnx",
        "inputs": [{"name": INPUT, "datatype": "FP32", "shape": [-1, -1, channels]}],
        "outputs": [
            {"name": name, "datatype": datatype, "shape": _shape(name, classes)}
            for name, datatype in OUTPUTS.items()
        ],
    }


def _shape(name: str, classes: int) -> list[int]:
    return [-1, classes] if name in SCORES else [-1]


def configuration(
    model: str,
    engine: str,
    classes: int,
    channels: int,
    batching: Batching,
    device: str,
    parameters: dict[str, str],
    clouds: int,
) -> dict[str, Any]:
    """Return Triton's ModelConfig of a model, as JSON.

    Args:
        model: what clients call it.
        engine: what runs it.
        classes: how many it knows.
        channels: numbers a point has.
        batching: how its clouds are joined.
        device: where it runs, "cpu", "cuda", "cuda:N" or "auto".
        parameters: what else is worth knowing.
        clouds: how many a request may have.
    """
    kinds = {"cpu": "KIND_CPU", "cuda": "KIND_GPU"}
    return {
        "name": model,
        "platform": f"{engine}_onnx",
        "backend": engine,
        "max_batch_size": clouds,
        "input": [{"name": INPUT, "data_type": "TYPE_FP32", "dims": [-1, channels]}],
        "output": [
            {
                "name": name,
                "data_type": "TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}",
                "dims": [classes] if name in SCORES else [],
            }
            for name, datatype in OUTPUTS.items()
        ],
        "dynamic_batching": {
            "preferred_batch_size": [batching.size],
            "max_queue_delay_microseconds": round(batching.delay * 1e6),
            "default_queue_policy": {"max_queue_size": batching.queue},
        },
        "instance_group": [
            {
                "name": model,
                "kind": kinds.get(device.partition(":")[0], "KIND_AUTO"),
                "count": batching.threads(device),
            }
        ],
        "parameters": {key: {"string_value": value} for key, value in parameters.items()},
    }
