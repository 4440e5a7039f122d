import pytest
import torch

from pointcmt.teacher.resnet import RESNETS, resnet18

# Parameters of torchvision's networks (its table of weights) less the last layer's.
PUBLISHED = {
    "resnet18": 11_689_512 - 513 * 1000,
    "resnet34": 21_797_672 - 513 * 1000,
    "resnet50": 25_557_032 - 2049 * 1000,
}


@pytest.mark.parametrize("name", RESNETS)
def test_parameter_count_is_torchvisions_without_the_last_layer(name: str) -> None:
    with torch.device("meta"):
        model = RESNETS[name]()
    assert sum(p.numel() for p in model.parameters()) == PUBLISHED[name]


def test_names_and_shapes_are_torchvisions() -> None:
    state = RESNETS["resnet50"]().state_dict()
    assert state["conv1.weight"].shape == (64, 3, 7, 7)
    assert state["layer1.0.downsample.0.weight"].shape == (256, 64, 1, 1)
    assert state["layer4.2.conv3.weight"].shape == (2048, 512, 1, 1)
    assert state["layer4.0.bn3.running_var"].shape == (2048,)
    assert "layer1.0.downsample.0.weight" not in RESNETS["resnet18"]().state_dict()


def test_quarter_width_has_a_quarter_of_every_channel_count() -> None:
    full, quarter = resnet18().state_dict(), resnet18(width=0.25).state_dict()
    for name, tensor in full.items():
        if tensor.ndim:
            assert quarter[name].shape[0] * 4 == tensor.shape[0], name
    assert resnet18(width=0.25).out_channels == 128


@pytest.mark.parametrize("name", RESNETS)
def test_features_have_the_declared_length_for_any_image_size(name: str) -> None:
    model = RESNETS[name](in_channels=1, width=0.125).eval()
    for height, width in [(32, 32), (64, 48), (1, 1)]:
        assert model(torch.rand(2, 1, height, width)).shape == (2, model.out_channels)


def test_small_stem_sees_detail_that_the_imagenet_stem_has_pooled_away() -> None:
    stages = {}
    for stem in ("imagenet", "small"):
        model = resnet18(in_channels=1, width=0.25, stem=stem)
        model.layer1.register_forward_hook(
            lambda _, inputs, __, stem=stem: stages.update({stem: inputs[0].shape})
        )
        model(torch.rand(2, 1, 64, 64))
    assert stages["small"] == (2, 16, 64, 64)
    assert stages["imagenet"] == (2, 16, 16, 16)


def test_untrained_blocks_are_the_identity() -> None:
    block = resnet18(width=0.25).layer1[0].eval()
    x = torch.rand(2, 16, 8, 8)
    torch.testing.assert_close(block(x), x)


@pytest.mark.parametrize(
    "options", [{"in_channels": 0}, {"width": 0.001}, {"stem": "large"}], ids=str
)
def test_impossible_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        resnet18(**options)
