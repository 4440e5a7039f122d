"""The deployable network computes what the student computes, for every student."""

import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from pointcmt.models import STUDENTS
from pointcmt.models.pointnet import PointNet
from pointcmt_export.convert.networks import deployable, has_own_network
from pointcmt_export.convert.networks.fold import fold
from pointcmt_export.convert.networks.pointmlp import standard_deviation
from pointcmt_export.verify.runners import checkpoint_runner
from tests.reference.small_students import small_student

NAMES = sorted(STUDENTS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", [{}, {"channels": 6, "head": "original"}], ids=["xyz", "six"])
def test_the_graph_equals_the_student(name: str, options: dict[str, object]) -> None:
    student = small_student(name, **options)
    points = torch.randn(3, 50, int(str(options.get("channels", 3))))
    with torch.no_grad():
        expected, given = student(points), deployable(student)(points)
    assert expected.std() > 0.01
    torch.testing.assert_close(given, expected, atol=2e-6, rtol=1e-5)


class Louder(PointNet):
    """A user's subclass that computes something else."""

    def embed(self, points: Tensor) -> Tensor:
        return 2 * super().embed(points)


def test_a_subclass_that_computes_something_else_is_deployed_as_it_is_written() -> None:
    student = Louder(5, width=0.125).eval()
    assert not has_own_network(student)
    points = torch.randn(2, 50, 3)
    with torch.no_grad():
        torch.testing.assert_close(deployable(student)(points), student(points))


def test_rscnn_with_absolute_positions_equals_its_graph() -> None:
    student = small_student("rscnn", absolute=True)
    points = torch.randn(2, 50, 3)
    with torch.no_grad():
        torch.testing.assert_close(deployable(student)(points), student(points))


@pytest.mark.parametrize("name", NAMES)
def test_the_graph_has_no_batch_norm_left(name: str) -> None:
    student = small_student(name)
    if not has_own_network(student):
        pytest.skip("it is deployed as it is written")
    assert not any(isinstance(m, nn.BatchNorm1d) for m in deployable(student).modules())


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_leaves_the_choice_of_points_on_xyz_as_it_is(name: str) -> None:
    student = small_student(name)
    if not has_own_network(student):
        pytest.skip("it is not exported in half precision")
    points = torch.randn(2, 50, 3).numpy()
    exact = checkpoint_runner(student)(points, True).indices
    half = checkpoint_runner(deployable(student).half())(points, True).indices  # type: ignore[arg-type]
    assert list(half) == list(exact)
    same = {key: bool((half[key] == exact[key]).all()) for key in exact}
    searched = {"knn_1", "knn_2", "knn_3"} if name == "dgcnn" else set()
    assert all(equal for key, equal in same.items() if key not in searched)


def test_folding_is_the_batch_norm_after_the_linear_map() -> None:
    torch.manual_seed(0)
    linear, norm = nn.Linear(5, 7).double(), nn.BatchNorm1d(7).double().eval()
    nn.init.uniform_(norm.weight, -1, 1)
    nn.init.normal_(norm.bias)
    norm.running_mean, norm.running_var = torch.randn(7).double(), torch.rand(7).double() + 0.1
    x = torch.randn(11, 5).double()
    weight, bias = fold(linear, norm)
    torch.testing.assert_close(x @ weight.t() + bias, norm(linear(x)))


def test_a_batch_norm_without_statistics_cannot_be_folded() -> None:
    with pytest.raises(ValueError, match="running statistics"):
        fold(nn.Linear(2, 3), nn.BatchNorm1d(3, track_running_stats=False))


class Deviation(nn.Module):
    def forward(self, groups: Tensor) -> Tensor:
        return standard_deviation(groups)


def test_onnxruntime_computes_the_deviation_of_a_million_values_to_float32() -> None:
    torch.manual_seed(0)
    groups = torch.randn(1, 512, 2048) + 0.5
    program = torch.onnx.export(Deviation(), (groups,), dynamo=True, verbose=False)
    assert program is not None
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    (given,) = session.run(None, {session.get_inputs()[0].name: groups.numpy()})
    assert given.item() == pytest.approx(groups.double().std().item(), rel=1e-6)
