"""Engines of TensorRT, on a made-up GPU; no real one has run this session in these tests."""

import gc
import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from pointcmt.errors import InputError
from pointcmt_serve import Classifier
from pointcmt_serve.engines import Session, open_session
from tests.reference.fake_tensorrt import GPU, PLAN, VERSION, FakeCuda, FakeEngine, tensorrt_module
from tests.reference.tiny_student import BIAS, METADATA, POINTS, WEIGHT, reference_logits
from tests.serve.conftest import WriteModel

PROFILES = (((2, 32, 3), (2, 64, 3), (4, 128, 3)), ((1, 1, 3), (2, 64, 3), (64, 4096, 3)))
SAMPLE = "farthest_point_sample_0"


class Gpu(NamedTuple):
    folder: Path
    cuda: FakeCuda
    engine: FakeEngine


def logits_of(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"logits": reference_logits(inputs["points"])}


@pytest.fixture
def gpu(model: Path, monkeypatch: pytest.MonkeyPatch) -> Gpu:
    """The tiny student's engine in an exported folder, on one of two GPUs."""
    cuda = FakeCuda(gpus=2)
    engine = FakeEngine(cuda, {"points": np.float32}, logits_of, PROFILES)
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", cuda)
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt_module(engine))
    write_engine(model.parent)
    return Gpu(model.parent, cuda, engine)


def write_engine(
    folder: Path, name: str = "model.engine", plan: bytes = PLAN, **stated: Any
) -> None:
    (folder / name).write_bytes(plan)
    onnx_sha256 = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    side_car = {
        "format": "pointcmt-engine-1",
        "engine": name,
        "engine_sha256": hashlib.sha256(plan).hexdigest(),
        "onnx_sha256": onnx_sha256,
        "library": "trt",
        "library_version": VERSION,
        "gpu": GPU,
        "precision": "fp32",
        "profile": {"batch": [2, 2, 4], "points": [32, 64, 128]},
    }
    (folder / f"{name}.json").write_text(json.dumps(side_car | stated))


def batch(size: int, points: int = POINTS) -> NDArray[np.float32]:
    return np.random.default_rng(size).normal(size=(size, points, 3)).astype(np.float32)


def opened(gpu: Gpu, device: str = "cuda") -> Session:
    return open_session(gpu.folder, "tensorrt", device)


@pytest.mark.parametrize(("size", "parts"), [(2, [2]), (4, [4]), (5, [3, 2]), (13, [4, 3, 3, 3])])
def test_logits_come_in_parts_that_the_profile_takes(gpu: Gpu, size: int, parts: list[int]) -> None:
    session = opened(gpu)
    clouds = batch(size)
    np.testing.assert_allclose(session(clouds), reference_logits(clouds), atol=1e-6)
    assert [shape[0] for shape in gpu.engine.shapes] == parts


def test_a_batch_of_another_size_or_order_in_memory_is_no_other_batch(gpu: Gpu) -> None:
    session = opened(gpu)
    for size, points in ((4, 32), (2, 64), (3, 128), (2, 33)):
        clouds = np.asfortranarray(batch(size, points))
        np.testing.assert_allclose(session(clouds), reference_logits(clouds), atol=1e-6)


def test_the_classifier_takes_the_folder_or_the_engine(gpu: Gpu) -> None:
    clouds = batch(4)
    labels = [p.label for p in Classifier(gpu.folder)(clouds)]
    for path in (gpu.folder, gpu.folder / "model.engine"):
        classifier = Classifier(path, engine="tensorrt")
        assert [p.label for p in classifier(clouds)] == labels
        assert classifier.artefact.file == gpu.folder / "model.engine"


def test_a_graph_without_its_engine_points_to_the_engine_that_runs_it(gpu: Gpu) -> None:
    with pytest.raises(InputError, match=r"engine tensorrt or tensorrt-rtx alone; .*model\.onnx"):
        Classifier(gpu.folder / "model.engine")


def test_buffers_are_kept_between_calls_and_freed_with_the_session(gpu: Gpu) -> None:
    session = opened(gpu)
    session(batch(4))
    assert gpu.cuda.calls.count("cudaMalloc") == 2
    for size in (4, 2, 3, 8):
        session(batch(size))
    assert gpu.cuda.calls.count("cudaMalloc") == 2
    session(batch(4, 128))  # more than the buffer for points holds; the logits still fit
    assert (gpu.cuda.calls.count("cudaMalloc"), gpu.cuda.calls.count("cudaFree")) == (3, 1)
    assert len(gpu.cuda.allocated) == 2
    del session
    gc.collect()
    assert (gpu.cuda.allocated, gpu.cuda.streams) == ({}, {})


def test_each_thread_has_a_context_and_buffers_of_its_own(gpu: Gpu) -> None:
    session = opened(gpu)
    all_inside = Barrier(4)
    compute = gpu.engine.compute
    gpu.engine.compute = lambda inputs: (all_inside.wait(30), compute(inputs))[1]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(session, [batch(size) for size in (2, 3, 4, 2)]))
    for answer, size in zip(answers, (2, 3, 4, 2), strict=True):
        np.testing.assert_allclose(answer, reference_logits(batch(size)), atol=1e-6)
    assert len(gpu.engine.contexts) == 4
    gpu.engine.compute = compute
    session(batch(2))
    assert len(gpu.engine.contexts) == 4
    del session
    gc.collect()
    assert (gpu.cuda.allocated, gpu.cuda.streams) == ({}, {})


def test_the_gpu_asked_for_holds_everything(gpu: Gpu) -> None:
    session = opened(gpu, "cuda:1")
    with ThreadPoolExecutor(1) as pool:
        (answer,) = pool.map(session, [batch(3)])
    np.testing.assert_allclose(answer, reference_logits(batch(3)), atol=1e-6)
    assert {device for device, _ in gpu.cuda.allocated.values()} == {1}


def host_sampled_logits(inputs: dict[str, Any]) -> dict[str, Any]:
    chosen = np.take_along_axis(inputs["points"], inputs[SAMPLE][..., None], axis=1)
    return {"logits": reference_logits(chosen), "knn_0": inputs[SAMPLE] + 1}


def host_sampled_model(file: Path) -> None:
    """The tiny student on the points that the host chose, with one more output of indices."""
    nodes = [
        helper.make_node("Unsqueeze", [SAMPLE, "last"], ["rows"]),
        helper.make_node("GatherND", ["points", "rows"], ["chosen"], batch_dims=1),
        helper.make_node("MatMul", ["chosen", "weight"], ["scores"]),
        helper.make_node("ReduceMax", ["scores", "axis"], ["best"], keepdims=0),
        helper.make_node("Add", ["best", "bias"], ["logits"]),
    ]
    weights = [
        onnx.numpy_helper.from_array(value, name)
        for name, value in {
            "weight": WEIGHT,
            "bias": BIAS,
            "axis": np.array([1]),
            "last": np.array([-1]),
        }.items()
    ]
    points = helper.make_tensor_value_info("points", TensorProto.FLOAT, ["B", "N", 3])
    sample = helper.make_tensor_value_info(SAMPLE, TensorProto.INT64, ["B", 16])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", len(BIAS)])
    graph = helper.make_graph(nodes, "tiny", [points, sample], [logits], weights)
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    step = {"input": SAMPLE, "op": "farthest_point_sample", "xyz": "points", "m": 16}
    helper.set_model_props(built, METADATA | {"pointcmt.inputs": json.dumps([step])})
    onnx.save(built, file)


def test_the_hosts_indices_are_given_and_all_are_returned_on_request(gpu: Gpu) -> None:
    from pointcmt.native import farthest_point_sample

    host_sampled_model(gpu.folder / "model.onnx")
    write_engine(gpu.folder)
    gpu.engine.inputs = {"points": np.float32, SAMPLE: np.int64}
    gpu.engine.outputs["knn_0"] = np.int64
    gpu.engine.compute = host_sampled_logits
    clouds = batch(5)
    chosen = farthest_point_sample(clouds, 16)
    session = opened(gpu)
    assert session.run(clouds).indices == {}
    given = session.run(clouds, indices=True)
    expected = host_sampled_logits({"points": clouds, SAMPLE: chosen})
    np.testing.assert_allclose(given.logits, expected["logits"], atol=1e-6)
    assert set(given.indices) == {SAMPLE, "knn_0"}
    np.testing.assert_array_equal(given.indices[SAMPLE], chosen)
    np.testing.assert_array_equal(given.indices["knn_0"], chosen + 1)


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((2, 31, 3), "built for clouds of 32 to 128 points, not 31; .*--profile-points"),
        ((2, 129, 3), "built for clouds of 32 to 128 points, not 129"),
        ((1, 64, 3), "built for 2 to 4 clouds at once, not 1; .*--profile-batch"),
        ((0, 64, 3), "built for 2 to 4 clouds at once, not 0"),
        ((2, 64, 4), r"takes clouds \(B, N, 3\)"),
    ],
)
def test_shapes_outside_the_profile_are_refused(
    gpu: Gpu, shape: tuple[int, ...], sentence: str
) -> None:
    session = opened(gpu)
    with pytest.raises(InputError, match=sentence):
        session(np.ones(shape, np.float32))
    np.testing.assert_allclose(session(batch(2)), reference_logits(batch(2)), atol=1e-6)


@pytest.mark.parametrize(
    ("stated", "sentence"),
    [
        ({"gpu": "Tesla V100"}, f"was built on a Tesla V100, but this machine has {GPU}"),
        (
            {"library_version": "10.9.0"},
            r"by TensorRT 10\.9\.0, but TensorRT 10\.4\.0 is installed",
        ),
        ({"library": "trt-rtx"}, "by TensorRT-RTX"),
        ({"onnx_sha256": "0" * 64}, r"not built from the model\.onnx beside it"),
        ({"engine_sha256": "0" * 64}, "not the engine its side-car was written for"),
        ({"format": "else"}, "not the side-car of an engine"),
    ],
)
def test_an_engine_of_elsewhere_is_refused(gpu: Gpu, stated: dict[str, Any], sentence: str) -> None:
    write_engine(gpu.folder, **stated)
    with pytest.raises(InputError, match=sentence):
        opened(gpu)


def test_without_a_gpu_an_engine_is_refused(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no GPU number 2; the last one is 1"):
        opened(gpu, "cuda:2")
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", FakeCuda(gpus=0))
    with pytest.raises(InputError, match=f"was built on a {GPU}, but this machine has no GPU"):
        opened(gpu)


@pytest.mark.parametrize(
    ("driver", "sentence"),
    [(0, "but this machine has no GPU"), (11080, r"knows CUDA 11\.8, .*update the driver")],
)
def test_no_driver_and_an_old_one_are_told_apart(gpu: Gpu, driver: int, sentence: str) -> None:
    gpu.cuda.driver = driver
    with pytest.raises(InputError, match=sentence):
        opened(gpu)


def test_a_call_that_fails_midway_leaves_nothing_on_a_stream(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened(gpu)
    session(batch(2))
    with monkeypatch.context() as patch:
        patch.setattr(gpu.engine, "runs", False)
        with pytest.raises(InputError, match=r"the engine failed \(the execution failed\)"):
            session(batch(4))
    assert (gpu.cuda.allocated, gpu.cuda.streams) == ({}, {})
    np.testing.assert_allclose(session(batch(3)), reference_logits(batch(3)), atol=1e-6)


def test_an_engine_of_tensorrt_rtx_runs_on_any_gpu_and_wants_one(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", tensorrt_module(gpu.engine))
    write_engine(gpu.folder, "model.rtx.engine", library="trt-rtx", gpu=None)
    session = open_session(gpu.folder, "tensorrt-rtx")
    np.testing.assert_allclose(session(batch(2)), reference_logits(batch(2)), atol=1e-6)
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", FakeCuda(gpus=0))
    with pytest.raises(InputError, match="but this machine has no GPU"):
        open_session(gpu.folder, "tensorrt-rtx")


def test_what_lies_beside_the_engine_is_wanted(gpu: Gpu) -> None:
    (gpu.folder / "model.engine.json").rename(gpu.folder / "aside")
    with pytest.raises(InputError, match="no readable side-car"):
        opened(gpu)
    (gpu.folder / "aside").rename(gpu.folder / "model.engine.json")
    (gpu.folder / "model.onnx").unlink()
    with pytest.raises(InputError, match=r"holds no model\.onnx"):
        opened(gpu)


def test_an_engine_of_another_student_is_refused(gpu: Gpu, write_model: WriteModel) -> None:
    gpu.engine.inputs = {"points": np.float32, "knn_0": np.int64}
    with pytest.raises(InputError, match=r"takes \['knn_0', 'points'\].*not \['points'\]"):
        opened(gpu)


def test_what_the_libraries_say_reaches_the_user(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    write_engine(gpu.folder, plan=b"another plan")
    with pytest.raises(InputError, match=r"cannot load .*of another compute capability"):
        opened(gpu)
    write_engine(gpu.folder)
    session = opened(gpu)
    monkeypatch.setattr(gpu.cuda, "_memory", 100)
    with pytest.raises(InputError, match=r"the GPU failed .*cudaErrorMemoryAllocation"):
        session(batch(2))
    monkeypatch.setattr(gpu.cuda, "_memory", 1 << 30)
    monkeypatch.setattr(gpu.engine, "room", False)
    with pytest.raises(InputError, match=r"cannot be started \(no memory for a context\)"):
        session(batch(2))
    monkeypatch.setattr(gpu.engine, "room", True)
    np.testing.assert_allclose(session(batch(2)), reference_logits(batch(2)), atol=1e-6)


def test_a_library_too_new_for_the_driver_is_refused(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(log: Any) -> None:
        log.log(1, "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    monkeypatch.setattr(sys.modules["tensorrt"], "Runtime", refuse)
    with pytest.raises(InputError, match=r"cannot be started here \(CUDA init.* error: 35\)"):
        opened(gpu)


def test_the_made_up_gpu_offers_nothing_that_the_real_libraries_do_not() -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime")
    for name in (name for name in dir(FakeCuda) if name.startswith("cuda")):
        assert hasattr(runtime, name)
    api = pytest.importorskip("tensorrt_rtx_bindings")
    for kind, fake in (("ICudaEngine", FakeEngine), ("IExecutionContext", fake_context())):
        own = {name for name in vars(fake) if name[:4] in ("get_", "set_", "num_", "exec", "crea")}
        assert own <= set(dir(getattr(api, kind)))
    assert {"Runtime", "TensorIOMode", "nptype", "ILogger"} <= set(dir(api))


def fake_context() -> type:
    from tests.reference.fake_tensorrt import FakeContext

    return FakeContext
