import pytest
import torch

from pointcmt.teacher.generator import PointGenerator


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_cloud_has_the_asked_for_points(layers: int) -> None:
    generator = PointGenerator(feature_dim=64, points=100, layers=layers)
    assert generator(torch.rand(5, 64)).shape == (5, 100, 3)


def test_three_layers_are_the_papers_mlp() -> None:
    generator = PointGenerator()
    linear = [m for m in generator.modules() if isinstance(m, torch.nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [
        (512, 512),
        (512, 512),
        (512, 3072),
    ]


def test_one_layer_is_the_released_dropout_and_linear_without_bias() -> None:
    generator = PointGenerator(layers=1)
    assert [tuple(p.shape) for p in generator.parameters()] == [(3072, 512)]
    features = torch.rand(2, 512)
    expected = (features @ next(generator.parameters()).T).view(2, 1024, 3)
    torch.testing.assert_close(generator.eval()(features), expected)
    assert not torch.allclose(generator.train()(features), expected)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("scale", [0.7, 1.5])
def test_untrained_clouds_lie_in_the_unit_sphere_and_are_spread(layers: int, scale: float) -> None:
    torch.manual_seed(0)
    features = scale * torch.rand(8, 512)  # mean square scale² / 3, as rectified features have
    clouds = PointGenerator(layers=layers).eval()(features)
    spread = clouds.std(dim=1)  # (B, 3)
    assert spread.min() > 0.1
    assert spread.max() < 0.5
    assert clouds.mean(dim=1).abs().max() < 0.1


def test_a_cloud_does_not_depend_on_its_batch() -> None:
    generator = PointGenerator(points=64)
    features = torch.rand(4, 512)
    torch.testing.assert_close(generator(features)[:1], generator(features[:1]))


def test_features_get_a_gradient_through_a_frozen_generator() -> None:
    generator = PointGenerator(points=64).eval().requires_grad_(False)
    features = torch.rand(2, 512, requires_grad=True)
    generator(features).square().sum().backward()
    assert features.grad is not None
    assert (features.grad.abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("options", [{"layers": 0}, {"points": 0}], ids=str)
def test_impossible_sizes_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        PointGenerator(**options)
