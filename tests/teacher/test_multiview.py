import pytest
import torch

from pointcmt.teacher.multiview import MultiViewTeacher


def small_teacher(**options: object) -> MultiViewTeacher:
    torch.manual_seed(0)
    return MultiViewTeacher(**{"num_classes": 7, "width": 0.125, "in_channels": 1, **options})


def test_forward_is_encode_then_classify() -> None:
    teacher = small_teacher().eval()
    views = torch.rand(2, 6, 1, 32, 32)
    features = teacher.encode(views)
    assert features.shape == (2, teacher.feature_dim) == (2, 512)
    torch.testing.assert_close(teacher(views), teacher.classify(features))
    assert teacher(views).shape == (2, 7)


@pytest.mark.parametrize("aggregate", ["max", "mean"])
def test_aggregation_is_that_of_the_views_taken_alone(aggregate: str) -> None:
    teacher = small_teacher(aggregate=aggregate).eval()
    views = torch.rand(2, 3, 1, 32, 32)
    alone = torch.stack([teacher.encode(views[:, [v]]) for v in range(3)])
    expected = alone.max(dim=0).values if aggregate == "max" else alone.mean(dim=0)
    torch.testing.assert_close(teacher.encode(views), expected)


def test_order_of_views_does_not_matter() -> None:
    teacher = small_teacher().eval()
    views = torch.rand(2, 6, 1, 32, 32)
    torch.testing.assert_close(teacher(views), teacher(views.flip(1)))


def test_several_networks_answer_with_the_mean_of_their_logits() -> None:
    teacher = small_teacher(networks=3).eval()
    views = torch.rand(2, 4, 1, 32, 32)
    each = teacher.encode_each(views)
    assert each.shape == (2, 3, 512)
    assert (each[:, 0] - each[:, 1]).abs().max() > 1e-3  # they start differently
    alone = small_teacher().eval()
    alone.classifier.load_state_dict(teacher.classifier.state_dict())
    logits = []
    for encoder, projection in (
        (teacher.encoder, teacher.projection),
        *((other.encoder, other.projection) for other in teacher.others),
    ):
        alone.encoder.load_state_dict(encoder.state_dict())
        alone.projection.load_state_dict(projection.state_dict())
        logits.append(alone(views))
    torch.testing.assert_close(teacher(views), torch.stack(logits).mean(dim=0))
    assert len(teacher.blocks) == 3 * len(alone.blocks)
    assert not any(key.startswith("others") for key in alone.state_dict())


def test_only_a_cnn_of_another_length_gets_a_projection() -> None:
    def has_projection(**options: object) -> bool:
        teacher = MultiViewTeacher(**options)  # type: ignore[arg-type]
        names = [n for n, _ in teacher.named_parameters() if n.startswith("projection")]
        assert len(names) in (0, 3)  # one matrix, and a batch norm's scale and shift
        return bool(names)

    assert not has_projection(backbone="resnet18")
    assert has_projection(backbone="resnet18", width=0.25)
    assert has_projection(backbone="resnet50")
    assert not has_projection(backbone="resnet50", feature_dim=None)


def test_paper_teacher_has_resnet18_and_one_linear_layer() -> None:
    teacher = MultiViewTeacher("resnet18", num_classes=40)
    assert sum(p.numel() for p in teacher.parameters()) == 11_176_512 + 513 * 40
    assert MultiViewTeacher("resnet50", feature_dim=None).feature_dim == 2048


@pytest.mark.parametrize("channels", [3, 1])
def test_colour_is_normalised_as_imagenet_and_grey_by_the_means_of_it(channels: int) -> None:
    teacher = small_teacher(in_channels=channels).eval()
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    if channels == 1:
        mean, std = mean.mean()[None], std.mean()[None]
    seen = {}
    teacher.encoder.register_forward_hook(lambda _, inputs, __: seen.update(image=inputs[0]))
    for value in (0.0, 1.0):
        image = (mean + value * std).view(1, 1, -1, 1, 1).expand(1, 1, channels, 16, 16)
        teacher(image)
        expected = torch.full((1, channels, 16, 16), value)
        torch.testing.assert_close(seen["image"], expected, atol=1e-5, rtol=0)


def test_more_than_one_view_of_an_object_gets_a_gradient() -> None:
    teacher = small_teacher()
    views = torch.rand(4, 6, 1, 32, 32, requires_grad=True)
    teacher(views).square().sum().backward()
    assert views.grad is not None
    touched = views.grad.abs().sum(dim=(2, 3, 4)) > 0  # (B, V)
    assert (touched.sum(dim=1) > 1).all()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"backbone": "resnet19"}, "resnet18, resnet34, resnet50"),
        ({"aggregate": "sum"}, "aggregate"),
        ({"networks": 0}, "networks"),
        ({"backbone": "timm:resnet18", "width": 0.25}, "width"),
    ],
)
def test_unknown_options_are_refused(options: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        small_teacher(**options)


@pytest.mark.parametrize("shape", [(2, 1, 32, 32), (2, 6, 3, 32, 32)])
def test_views_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(B, V, 1, H, W\)"):
        small_teacher().encode(torch.rand(shape))
