"""The table of engines, and what all of them refuse alike."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt_serve import Classifier
from pointcmt_serve.engines import ENGINES, Device, open_session, parse_device
from tests.reference.tiny_student import reference_logits
from tests.serve.engines.test_tensorrt import SAMPLE, host_sampled_model

PACKAGES = ("onnxruntime", "openvino", "tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings")


@pytest.mark.parametrize("name", [n for n, e in ENGINES.items() if e.file == "model.onnx"])
def test_a_session_gives_logits(model: Path, clouds: NDArray[np.float32], name: str) -> None:
    try:
        session = open_session(model.parent, name, "cpu", threads=1)
    except InputError as error:
        if "install it with" not in str(error):
            raise
        pytest.skip(str(error))
    np.testing.assert_allclose(session(clouds), reference_logits(clouds), atol=1e-5)
    np.testing.assert_array_equal(session.run(clouds, indices=True).logits, session(clouds))
    assert session.artefact.file == model


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_a_logit_that_is_not_finite_is_refused(
    model: Path, clouds: NDArray[np.float32], odd: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_session(model)
    given = reference_logits(clouds)
    given[1, 2] = odd
    monkeypatch.setattr(session, "_run", lambda *_: {"logits": given})
    with pytest.raises(InputError, match="gave a logit that is not finite"):
        session(clouds)


@pytest.mark.parametrize("shape", [(64, 3), (1, 64, 4), (1, 2, 64, 3)])
def test_clouds_of_another_shape_are_refused(model: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"takes clouds \(B, N, 3\), not"):
        open_session(model)(np.ones(shape, np.float32))


def test_an_unknown_engine_is_told_the_known(model: Path) -> None:
    with pytest.raises(InputError, match=f"unknown engine 'tflite'; use {' or '.join(ENGINES)}"):
        Classifier(model, engine="tflite")


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_runs_on_its_devices_alone(model: Path, name: str) -> None:
    others = {"cpu", "cuda"} - set(ENGINES[name].devices)
    for device in others:
        with pytest.raises(InputError, match=f"engine {name} runs on .*, not on {device}"):
            open_session(model, name, device)


@pytest.mark.parametrize("name", ENGINES)
def test_a_folder_without_the_engines_file_says_what_writes_it(tmp_path: Path, name: str) -> None:
    wanted = rf"holds no {ENGINES[name].file}; .*pointcmt-export --format {ENGINES[name].form} "
    with pytest.raises(InputError, match=wanted):
        open_session(tmp_path, name)


@pytest.mark.parametrize("name", [n for n, e in ENGINES.items() if e.file != "model.onnx"])
@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_an_engine_of_its_own_file_runs_no_other_precision_beside_it(
    model: Path, name: str, precision: str
) -> None:
    with pytest.raises(InputError, match=f"{name} runs no {precision} file; use engine onnxr"):
        open_session(model, name, precision=precision)


@pytest.mark.parametrize("name", ENGINES)
def test_a_missing_package_is_named_with_its_extra(
    tmp_path: Path, model: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ENGINES[name].file).write_bytes(model.read_bytes())
    for package in PACKAGES:
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"(needs|is missing).*\[{ENGINES[name].extra}\]"):
        open_session(tmp_path, name)


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("auto", Device()),
        ("cpu", Device("cpu")),
        ("cuda", Device("cuda")),
        ("cuda:2", Device("cuda", 2)),
    ],
)
def test_a_device_is_read(text: str, device: Device) -> None:
    assert parse_device(text) == device


@pytest.mark.parametrize("text", ["gpu", "mps", "CPU", "cpu:1", "auto:0", "cuda:", "cuda:x", "", 0])
def test_an_unknown_device_is_never_the_cpu(model: Path, text: str) -> None:
    with pytest.raises(InputError, match=f"unknown device {text!r}; use auto, cpu, cuda or cuda:N"):
        Classifier(model, device=text)


@pytest.mark.parametrize("text", ["cuda", "cuda:0", "cuda:1"])
def test_cuda_without_its_runtime_is_refused(model: Path, text: str) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(InputError, match=r"device cuda.* needs onnxruntime-gpu"):
        Classifier(model, device=text)


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_gpu_that_cannot_be_started_is_left_by_auto_alone(
    model: Path,
    clouds: NDArray[np.float32],
    device: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    import onnxruntime

    whole = onnxruntime.InferenceSession
    loaded: list[str] = []

    def start(file: Any, options: Any, providers: list[Any], **how: Any) -> Any:
        if providers != ["CPUExecutionProvider"]:
            assert loaded == ["CUDA"]
            assert providers[0] == ("CUDAExecutionProvider", {"device_id": 0, "use_tf32": 0})
            raise RuntimeError("CUDA failure 35: driver")
        return whole(file, options, providers=providers, **how)

    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    monkeypatch.setattr(onnxruntime, "InferenceSession", start)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: loaded.append("CUDA"))
    if device == "auto":
        session = open_session(model, device=device)
        np.testing.assert_allclose(session(clouds), reference_logits(clouds), atol=1e-5)
    else:
        with pytest.raises(InputError, match="CUDA failure 35"):
            open_session(model, device=device)
    assert capfd.readouterr() == ("", "")


def test_a_damaged_file_gets_its_sentence_and_nothing_else(
    model: Path,
    clouds: NDArray[np.float32],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    host_sampled_model(model)
    session = open_session(model)
    beyond = {SAMPLE: np.full((len(clouds), 16), 10**6)}
    monkeypatch.setattr(session, "_chosen", lambda clouds: beyond)
    with pytest.raises(InputError, match="cannot be run"):
        session(clouds)
    model.write_bytes(model.read_bytes().replace(b"ReduceMax", b"ReduceM\x96x"))
    with pytest.raises(InputError, match="is no ONNX file"):
        open_session(model)
    assert capfd.readouterr() == ("", "")
