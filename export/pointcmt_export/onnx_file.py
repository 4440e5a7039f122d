"""Reading an exported ONNX file back."""

from pathlib import Path

import onnx

from pointcmt.errors import InputError
from pointcmt_serve.artefact import Artefact, describe, find_model


def read_onnx(path: Path) -> tuple[onnx.ModelProto, Artefact]:
    """Return the graph in an exported folder or ONNX file, and what it says about itself.

    Raises:
        InputError: there is none, or it is no export of PointCMT.
    """
    file = find_model(path)
    try:
        model = onnx.load(file, load_external_data=False)
    except Exception as error:  # protobuf's DecodeError, of a package without types
        raise InputError(f"{file}: is no ONNX file ({error})") from error
    return model, describe(file, {entry.key: entry.value for entry in model.metadata_props})
