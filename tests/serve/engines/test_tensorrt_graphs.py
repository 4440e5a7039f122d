"""CUDA graphs of a TensorRT session, on a made-up GPU: when, and on which memory."""

import gc

import numpy as np
from numpy.typing import NDArray

from pointcmt_serve.engines import Session
from tests.reference.tiny_student import reference_logits
from tests.serve.engines.test_tensorrt import Gpu, gpu, opened

__all__ = ["gpu"]  # the fixture


def ask(session: Session, seed: int, size: int, points: int = 64) -> None:
    clouds: NDArray[np.float32] = (
        np.random.default_rng(seed).normal(size=(size, points, 3)).astype(np.float32)
    )
    np.testing.assert_allclose(session(clouds), reference_logits(clouds), atol=1e-6)


def counts(gpu: Gpu) -> tuple[int, int]:
    """How often something was recorded, and a graph launched."""
    return tuple(gpu.cuda.calls.count(f"cuda{c}") for c in ("StreamBeginCapture", "GraphLaunch"))  # type: ignore[return-value]


def test_a_batch_that_comes_again_is_one_launch_with_its_own_points(gpu: Gpu) -> None:
    session = opened(gpu)
    for seed in range(5):
        ask(session, seed, 4)
    assert counts(gpu) == (1, 4)
    assert [shape[0] for shape in gpu.engine.shapes] == [4] * 5


def test_a_graph_is_of_a_shape_that_came_twice_in_a_row_and_goes_with_it(gpu: Gpu) -> None:
    session = opened(gpu)
    for seed, size in enumerate((4, 2, 4, 2)):
        ask(session, seed, size)
    assert counts(gpu) == (0, 0)
    for seed, size in enumerate((2, 4, 4, 4, 2, 4)):
        ask(session, seed, size)
    assert counts(gpu) == (2, 3)
    assert gpu.cuda.graphs == {}


def test_what_others_do_on_the_gpu_meanwhile_ends_no_recording(gpu: Gpu) -> None:
    """As when another thread's library uses the legacy stream, for which blocking ones wait."""
    session = opened(gpu)
    for seed in range(3):
        ask(session, seed, 4)
    assert counts(gpu) == (1, 2)


def test_buffers_that_moved_are_other_work(gpu: Gpu) -> None:
    session = opened(gpu)
    for seed, points in enumerate((64, 64, 128, 64, 64, 64)):
        ask(session, seed, 4, points)
    assert counts(gpu) == (2, 3)


def test_an_engine_that_cannot_be_recorded_is_tried_once(gpu: Gpu) -> None:
    gpu.engine.recordable = False
    session = opened(gpu)
    for seed in range(5):
        ask(session, seed, 4)
    assert counts(gpu) == (1, 0)


def test_graphs_go_with_the_session(gpu: Gpu) -> None:
    session = opened(gpu)
    for seed in range(3):
        ask(session, seed, 4)
    assert len(gpu.cuda.graphs) == 1
    del session
    gc.collect()
    assert gpu.cuda.graphs == {}
