"""The standard-operator forms of the index ops choose the very same points."""

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from pointcmt.ops import ball_query, farthest_point_sample, knn
from pointcmt_export.convert.maxima import Maxima
from pointcmt_export.convert.to_onnx import to_onnx
from pointcmt_export.convert.trace import trace

M, K, WIDE, RADIUS = 12, 5, 40, 0.3
Run = Callable[[NDArray[np.float32]], list[NDArray[np.int64]]]


class Chooser(nn.Module):
    """Calls every index op; its logits mean nothing."""

    def forward(self, points: Tensor) -> Tensor:
        chosen = farthest_point_sample(points, M)
        centres = points.gather(1, chosen[..., None].expand(-1, -1, 3))
        near = ball_query(points, centres, RADIUS, K)
        far = ball_query(points, centres + 5, RADIUS, K)
        wide = ball_query(points, centres, 4 * RADIUS, WIDE)
        nearest = knn(centres, points, K)
        parts = (chosen, near, far, wide, nearest)
        return torch.stack([part.flatten(1).sum(1) for part in parts], 1).float()


@pytest.fixture(scope="module")
def run() -> Run:
    graph = to_onnx(trace(Chooser(), 3, M), Maxima((), {}, {}))
    for name in graph.indices:
        value = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT64, None)
        graph.model.graph.output.append(value)
    session = onnxruntime.InferenceSession(graph.model.SerializeToString())
    return lambda points: session.run(list(graph.indices), {"points": points})


def expected(points: NDArray[np.float32]) -> dict[str, NDArray[np.int64]]:
    xyz = torch.from_numpy(points)
    chosen = farthest_point_sample(xyz, M)
    centres = xyz.gather(1, chosen[..., None].expand(-1, -1, 3))
    return {
        "farthest_point_sample_0": chosen.numpy(),
        "ball_query_0": ball_query(xyz, centres, RADIUS, K).numpy(),
        "ball_query_1": ball_query(xyz, centres + 5, RADIUS, K).numpy(),
        "ball_query_2": ball_query(xyz, centres, 4 * RADIUS, WIDE).numpy(),
        "knn_0": knn(centres, xyz, K).numpy(),
    }


def test_no_number_is_infinite() -> None:
    """onnxruntime's kernels for GPUs take infinity for the largest number there is."""
    model = to_onnx(trace(Chooser(), 3, M), Maxima((), {}, {})).model
    kinds = onnx.shape_inference.infer_shapes(model).graph.value_info
    floats = [v for v in kinds if v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT]
    model.graph.output.extend(floats)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [value.name for value in floats]
    assert {name.partition("_")[0] for name in names} >= {"inside", "found", "unreached"}
    points = np.random.default_rng(0).uniform(-1, 1, (2, 30, 3)).astype(np.float32)
    for name, value in zip(names, session.run(names, {"points": points}), strict=True):
        assert np.isfinite(value).all(), name


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 3),
    size=st.integers(M, 60),
    seed=st.integers(0, 2**16),
    grid=st.booleans(),
    scale=st.sampled_from([1e-3, 1.0, 50.0]),
)
def test_expressions_choose_what_the_ops_choose(
    run: Run, batch: int, size: int, seed: int, grid: bool, scale: float
) -> None:
    """On a grid most distances are equal, so that the rule for ties decides."""
    random = np.random.default_rng(seed)
    points = random.uniform(-1, 1, (batch, size, 3))
    points = (np.round(points * 2) / 2 if grid else points) * scale
    points = points.astype(np.float32)
    for (name, wanted), given_ in zip(expected(points).items(), run(points), strict=True):
        np.testing.assert_array_equal(given_, wanted, err_msg=name)
