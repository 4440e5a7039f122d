"""Copies of a TensorRT session, on a made-up GPU: pinned, apart from computing, and freed."""

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pointcmt_export.bench.runner import Setup
from pointcmt_export.bench.sessions import session_engines
from pointcmt_serve.engines.tensorrt import TensorRtSession
from tests.reference.tiny_student import reference_logits
from tests.serve.engines.test_tensorrt import Gpu, batch, gpu, opened

__all__ = ["gpu"]  # the fixture


def staged(session: Any, clouds: NDArray[np.float32]) -> Any:
    assert isinstance(session, TensorRtSession)
    return session.stage(clouds)


def test_an_answer_is_not_overwritten_by_the_next(gpu: Gpu) -> None:
    """The pinned memory that it came through is used again."""
    session = opened(gpu)
    first, second = session(batch(3)), session(batch(2))
    np.testing.assert_allclose(first, reference_logits(batch(3)), atol=1e-6)
    np.testing.assert_allclose(second, reference_logits(batch(2)), atol=1e-6)


def test_pinned_memory_grows_and_goes_with_the_session(gpu: Gpu) -> None:
    session = opened(gpu)
    for points in (64, 128, 32):
        session(batch(4, points))
    assert len(gpu.cuda.pinned) == 2
    del session
    gc.collect()
    assert (gpu.cuda.pinned, gpu.cuda.allocated, gpu.cuda.streams) == ({}, {}, {})


def test_computing_is_timed_apart_from_copies(gpu: Gpu) -> None:
    session = opened(gpu)
    held = staged(session, batch(5))  # two parts
    gpu.cuda.calls.clear()
    for _ in range(3):
        held.run()
    assert not [call for call in gpu.cuda.calls if call.startswith("cudaM")]
    assert [shape[0] for shape in gpu.engine.shapes] == [3, 2] * 3
    np.testing.assert_allclose(held.fetch(), reference_logits(batch(5)), atol=1e-6)


def test_what_is_staged_keeps_its_lanes_until_it_goes(gpu: Gpu) -> None:
    session = opened(gpu)
    held = staged(session, batch(4))
    np.testing.assert_allclose(session(batch(2)), reference_logits(batch(2)), atol=1e-6)
    np.testing.assert_allclose(held.run().fetch(), reference_logits(batch(4)), atol=1e-6)
    assert len(gpu.engine.contexts) == 2
    del held
    gc.collect()
    session(batch(2))
    assert len(gpu.engine.contexts) == 2


@pytest.mark.parametrize(("engine", "stages"), [("tensorrt", True), ("onnxruntime", False)])
def test_the_benchmark_leaves_copies_out_where_it_can(gpu: Gpu, engine: str, stages: bool) -> None:
    device = "cuda" if stages else "cpu"
    runner = session_engines()[engine].open(Setup(Path(gpu.folder), 1, device))
    assert runner.stages is stages
    given = runner.fetch(runner.infer(runner.stage(batch(3))))
    np.testing.assert_allclose(given, reference_logits(batch(3)), atol=1e-5)
