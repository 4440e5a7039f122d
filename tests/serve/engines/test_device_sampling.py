"""Points sampled on the GPU: the kernels' own sources, emulated on a made-up GPU's memory."""

import gc
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
from pointcmt.kernels import calls, driver, nvrtc
from pointcmt_serve.device_indices import plan_work
from pointcmt_serve.engines import open_session
from pointcmt_serve.engines.tensorrt import TensorRtSession
from pointcmt_serve.host_indices import host_indices
from tests.reference.fake_driver import FakeDriver, install_driver
from tests.reference.fake_tensorrt import FakeCuda, FakeEngine, tensorrt_module
from tests.reference.tiny_student import METADATA, POINTS, reference_logits, tiny_model
from tests.serve.engines.test_tensorrt import PROFILES, write_engine

FIRST, SECOND = "farthest_point_sample_0", "farthest_point_sample_1"
CHANNELS = ("x", "y", "z", "nx", "ny", "nz")


def step(name: str, op: str, **arguments: Any) -> dict[str, Any]:
    return {"input": name, "op": op, **arguments}


STEPS: list[dict[str, Any]] = [
    step(FIRST, "farthest_point_sample", xyz="points", m=16),
    step("ball_query_0", "ball_query", xyz="points", centers=FIRST, radius=0.7, k=5),
    step(SECOND, "farthest_point_sample", xyz=FIRST, m=7),
    step("knn_0", "knn", query=SECOND, points=FIRST, k=3),
    step("knn_1", "knn", query="points", points=SECOND, k=2),
]
LAUNCHES = 7  # of clouds of x, y and z: five steps, and the coordinates of two sets


class Gpu(NamedTuple):
    folder: Path
    cuda: FakeCuda
    engine: FakeEngine
    driver: FakeDriver

    def opened(self, sampling: str = "device", device: str = "cuda") -> TensorRtSession:
        write_engine(self.folder, sampling=sampling)
        session = open_session(self.folder, "tensorrt", device)
        assert isinstance(session, TensorRtSession)
        return session


def logits_of(inputs: dict[str, Any]) -> dict[str, Any]:
    """Logits that tell the points and every index."""
    xyz = inputs["points"][..., :3]
    told = [inputs[step["input"]].reshape(len(xyz), -1) for step in STEPS]
    index = np.concatenate(told, axis=1)  # (B, all)
    weight = np.cos(np.arange(index.shape[1], dtype=np.float32))
    return {"logits": reference_logits(xyz) + (index @ weight)[:, None]}


def write_model(file: Path, channels: tuple[str, ...], steps: list[dict[str, Any]]) -> None:
    """The tiny student with inputs of indices, which its ONNX graph does not use."""
    model = tiny_model({}, np.ones((len(channels), 4), np.float32))
    for step in steps:
        shape = ["B", *("N" if step.get("query") == "points" else "M", "k")[: 2 - ("m" in step)]]
        model.graph.input.append(
            helper.make_tensor_value_info(step["input"], TensorProto.INT64, shape)
        )
    told = {"pointcmt.inputs": json.dumps(steps), "pointcmt.channels": json.dumps(channels)}
    helper.set_model_props(model, METADATA | told)
    onnx.save(model, file)


@pytest.fixture
def gpu(tmp_path: Path, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> Gpu:
    """A student's engine in an exported folder, on two GPUs that run kernels."""
    assert pytestconfig.cache is not None
    cuda = FakeCuda(gpus=2)
    fake = install_driver(monkeypatch, cuda, Path(pytestconfig.cache.mkdir("emulator")))
    types = {"points": np.float32, **{step["input"]: np.int64 for step in STEPS}}
    engine = FakeEngine(cuda, types, logits_of, PROFILES)
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", cuda)
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt_module(engine))
    write_model(tmp_path / "model.onnx", CHANNELS[:3], STEPS)
    return Gpu(tmp_path, cuda, engine, fake)


def clouds_of(size: int, points: int = POINTS, channels: int = 3) -> NDArray[np.float32]:
    """Clouds on a grid, so that many distances are equal."""
    drawn = np.random.default_rng(size).integers(0, 5, (size, points, channels))
    return (drawn / np.float32(4)).astype(np.float32)


def test_the_indices_are_the_hosts_and_the_engine_reads_them_where_they_are(gpu: Gpu) -> None:
    clouds = clouds_of(5)  # two parts
    given = gpu.opened().run(clouds, indices=True)
    expected = host_indices(STEPS, clouds)
    assert set(given.indices) == set(expected)
    for name, index in expected.items():
        np.testing.assert_array_equal(given.indices[name], index, err_msg=name)
    np.testing.assert_array_equal(given.logits, gpu.opened("host")(clouds))


def test_points_alone_are_copied_and_all_happens_on_one_stream(gpu: Gpu) -> None:
    session = gpu.opened()
    gpu.cuda.calls.clear()
    session(clouds_of(3))
    copies = [call for call in gpu.cuda.calls if call.startswith("cudaMemcpy")]
    assert copies == ["cudaMemcpyHostToDevice", "cudaMemcpyDeviceToHost"]
    assert gpu.cuda.calls.count("cudaStreamSynchronize") == 1
    assert {launched.stream for launched in gpu.driver.launched} == set(gpu.cuda.streams)
    assert len(gpu.driver.launched) == LAUNCHES


def test_a_launch_is_told_sizes_grid_and_the_engines_own_buffers(gpu: Gpu) -> None:
    session = gpu.opened()
    session(clouds_of(3))
    sampled, gathered, balls = gpu.driver.launched[:3]
    bound = gpu.engine.contexts[0].addresses
    assert (sampled.how.kernel, sampled.how.blocks, sampled.how.threads) == (
        "farthest_point_sample",
        3,
        32,
    )
    assert (sampled.arrays, sampled.scalars) == ((bound["points"], bound[FIRST]), (POINTS, 16))
    assert gathered.arrays[:2] == (bound["points"], bound[FIRST])
    assert (gathered.how.blocks, gathered.scalars) == (1, (3 * 16, POINTS, 16, 3))
    assert balls.arrays == (bound["points"], gathered.arrays[2], bound["ball_query_0"])
    squared = float(np.float32(0.7) * np.float32(0.7))
    assert (balls.how.blocks, balls.scalars) == (6, (3 * 16, POINTS, 16, 5, squared))


def test_further_channels_are_skipped(gpu: Gpu) -> None:
    write_model(gpu.folder / "model.onnx", CHANNELS, STEPS)
    gpu.engine.profiles = (((2, 32, 6), (2, 64, 6), (4, 128, 6)),)
    clouds = clouds_of(4, 50, channels=6)
    given = gpu.opened().run(clouds, indices=True)
    for name, index in host_indices(STEPS, clouds).items():
        np.testing.assert_array_equal(given.indices[name], index, err_msg=name)
    assert len(gpu.driver.launched) == LAUNCHES + 1


def test_batches_of_any_size_follow_each_other(gpu: Gpu) -> None:
    session = gpu.opened()
    for size, points in ((2, 40), (4, 128), (3, 33)):
        clouds = clouds_of(size, points)
        given = session.run(clouds, indices=True)
        for name, index in host_indices(STEPS, clouds).items():
            np.testing.assert_array_equal(given.indices[name], index, err_msg=name)


def test_each_thread_has_a_stream_and_buffers_of_its_own(gpu: Gpu) -> None:
    session, sizes = gpu.opened(device="cuda:1"), (2, 3, 4)
    all_inside, compute = Barrier(len(sizes)), gpu.engine.compute
    gpu.engine.compute = lambda inputs: (all_inside.wait(60), compute(inputs))[1]
    with ThreadPoolExecutor(len(sizes)) as pool:
        answers = list(pool.map(session, map(clouds_of, sizes)))
    for answer, size in zip(answers, sizes, strict=True):
        clouds = clouds_of(size)
        expected = logits_of({"points": clouds, **host_indices(STEPS, clouds)})
        np.testing.assert_array_equal(answer, expected["logits"].astype(np.float32))
    assert len({launched.stream for launched in gpu.driver.launched}) == len(sizes)
    assert {device for device, _ in gpu.cuda.allocated.values()} == {1}


def test_what_is_staged_samples_again_with_each_run(gpu: Gpu) -> None:
    clouds = clouds_of(3)
    staged = gpu.opened().stage(clouds)
    gpu.cuda.calls.clear()
    for _ in range(2):
        staged.run()
    assert not [call for call in gpu.cuda.calls if call.startswith("cudaM")]
    assert len(gpu.driver.launched) == 2 * LAUNCHES
    np.testing.assert_array_equal(staged.fetch(), gpu.opened("host")(clouds))


def test_a_graph_samples_every_batch_anew(gpu: Gpu) -> None:
    session, host = gpu.opened(), gpu.opened("host")
    for seed in range(4):
        clouds = np.random.default_rng(seed).normal(size=(3, POINTS, 3)).astype(np.float32)
        np.testing.assert_array_equal(session(clouds), host(clouds))
    assert len(gpu.driver.launched) == 2 * LAUNCHES  # begun plainly once, and recorded once


def test_all_memory_is_kept_between_calls_and_freed_with_the_session(gpu: Gpu) -> None:
    session = gpu.opened()
    session(clouds_of(4, 128))
    held = gpu.cuda.calls.count("cudaMalloc")
    for size in (4, 2, 3):
        session(clouds_of(size))
    assert gpu.cuda.calls.count("cudaMalloc") == held
    assert len(gpu.cuda.pinned) == 2  # of the points and the logits
    del session
    gc.collect()
    assert (gpu.cuda.allocated, gpu.cuda.pinned, gpu.cuda.streams) == ({}, {}, {})


def test_engines_without_the_word_take_the_hosts_indices(gpu: Gpu) -> None:
    write_engine(gpu.folder)  # as older ones
    clouds = clouds_of(2)
    session = open_session(gpu.folder, "tensorrt")
    np.testing.assert_array_equal(session(clouds), gpu.opened("host")(clouds))
    assert not gpu.driver.launched


def test_large_clouds_and_long_lists_get_a_workspace() -> None:
    steps = [STEPS[0], step("knn_0", "knn", query=FIRST, points="points", k=2000)]
    sampled, _, searched = plan_work(steps, (2, 9000, 3))
    assert sampled.call.workspace == 4 * 2 * 9000
    assert searched.call.workspace == 2 * 8 * 4 * 2000 * 8  # two blocks of 8 warps of 4 queries
    assert (searched.shape, searched.size) == ((2, 16, 2000), 2 * 16 * 2000 * 8)


def test_lists_too_long_for_a_block_lie_in_the_lanes_memory(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_HELD", 0)
    monkeypatch.setattr(calls, "_LISTS", 0)
    session, clouds = gpu.opened(), clouds_of(2)
    given = session.run(clouds, indices=True)
    for name, index in host_indices(STEPS, clouds).items():
        np.testing.assert_array_equal(given.indices[name], index, err_msg=name)
    assert dict(gpu.driver.launched[-1].how.defines) == {"LISTS": 2}
    del session
    gc.collect()
    assert gpu.cuda.allocated == {}


def test_what_is_not_finite_is_refused(gpu: Gpu) -> None:
    clouds = clouds_of(2)
    clouds[1, 3, 2] = np.nan
    with pytest.raises(InputError, match=r"cannot be run \(points must be finite"):
        gpu.opened()(clouds)


def test_a_step_that_the_clouds_cannot_serve_is_refused_at_once(gpu: Gpu) -> None:
    steps = [{**STEPS[0], "m": POINTS + 1}, *STEPS[1:]]
    write_model(gpu.folder / "model.onnx", CHANNELS[:3], steps)
    sentence = r"cannot be sampled on this GPU \(m must be at most the 64 points of xyz, not 65\)"
    with pytest.raises(InputError, match=sentence):
        gpu.opened()


def test_a_gpu_that_the_compiler_does_not_know_is_named(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not nvrtc.available():
        pytest.skip('no NVRTC here: pip install "pointcmt[cuda]"')
    monkeypatch.setattr(driver, "compile_kernel", nvrtc.compile_kernel)
    monkeypatch.setattr(
        gpu.driver.CUdevice_attribute, "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR", 2
    )
    sentence = r"NVRTC .* does not support .* 2\.0\); export again with --sampling host"
    with pytest.raises(InputError, match=sentence):
        gpu.opened()


def test_without_a_compiler_a_sentence_says_what_to_install(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvrtc._library.cache_clear()
    monkeypatch.setattr(nvrtc, "_path", lambda: None)
    monkeypatch.setattr(driver, "compile_kernel", nvrtc.compile_kernel)
    with pytest.raises(InputError, match=r"\(NVRTC is missing; pip install .*\[cuda\]"):
        gpu.opened()
    assert not gpu.driver.launched
