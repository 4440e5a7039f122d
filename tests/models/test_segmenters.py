"""Part segmenters: interpolation beside scipy's, the network beside a plain one, its promises."""

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from torch.nn import functional as F

from benchmarks.plain_students.pieces import ball_by_sorting, farthest_points, pick
from pointcmt.checkpoint import ModelConfig, load_network, load_student, save_student
from pointcmt.errors import InputError
from pointcmt.models import SEGMENTERS, STUDENTS, Segmenter, create_segmenter
from pointcmt.models.propagation import FeaturePropagation, interpolate
from pointcmt.models.segmenter import with_category
from pointcmt.parts import class_channels, part_counts
from tests.reference.small_students import unsettle

PARTS = {"cup": ("wall", "handle"), "vase": ("body",), "bowl": ("wall", "foot", "rim")}
EVERY = pytest.mark.parametrize("name", sorted(SEGMENTERS))


def small(name, own=3, **options):
    torch.manual_seed(0)
    sizes = {"width": 0.125, **SEGMENTERS[name].SMALL, "channels": own + len(PARTS)}
    segmenter = create_segmenter(name, len(PARTS), parts=part_counts(PARTS), **sizes | options)
    unsettle(segmenter)
    return segmenter.eval()


def told(batch=2, points=48, own=3, seed=0):
    clouds = torch.randn(batch, points, own, generator=torch.Generator().manual_seed(seed)) / 3
    return with_category(clouds, torch.arange(batch) % len(PARTS), len(PARTS))


# --- interpolation


def by_tree(xyz, centres, features):
    """(N, 3), (M, 3), (M, C) -> (N, C) in float64: three nearest by a k-d tree."""
    distance, index = cKDTree(centres).query(xyz, k=3)
    weights = 1 / (distance**2 + 1e-8)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.einsum("nk,nkc->nc", weights, features[index])


def test_interpolation_equals_one_by_a_tree():
    random = np.random.default_rng(0)
    xyz, centres = random.normal(size=(2, 40, 3)), random.normal(size=(2, 9, 3))
    centres[:, :4] = xyz[:, :4]  # points that are centres themselves
    features = random.normal(size=(2, 9, 5))
    found = interpolate(*(torch.from_numpy(a).float() for a in (xyz, centres, features)))
    expected = [by_tree(*three) for three in zip(xyz, centres, features, strict=True)]
    np.testing.assert_allclose(found.numpy(), np.stack(expected), atol=2e-5)
    np.testing.assert_allclose(found[:, :4].numpy(), features[:, :4], atol=2e-5)


def test_gradients_reach_the_features_alone():
    random = torch.Generator().manual_seed(0)
    xyz, centres = (torch.rand(1, n, 3, generator=random, dtype=torch.float64) for n in (6, 4))
    features = torch.rand(1, 4, 2, generator=random, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f: interpolate(xyz, centres, f), (features,))


def test_a_propagation_is_a_unit_pointnet_on_joined_features():
    torch.manual_seed(0)
    layer = FeaturePropagation(4, 5, (6, 7), bias=True)
    unsettle(layer)
    layer.eval()
    own, xyz, centres, coarse = (torch.randn(2, *s) for s in ((9, 4), (9, 3), (4, 3), (4, 5)))
    joined = torch.cat([own, interpolate(xyz, centres, coarse)], dim=2)
    torch.testing.assert_close(layer(own, xyz, centres, coarse), layer.mlp(joined))
    everywhere = torch.cat([own, coarse[:, :1].expand(-1, 9, -1)], dim=2)
    torch.testing.assert_close(layer(own, xyz, None, coarse[:, :1]), layer.mlp(everywhere))


# --- the network


def plainly(segmenter, points):
    """The network as public ports write it: everything gathered, joined and mapped at once."""
    xyz, scales, features = points[..., :3], [(points[..., :3], points)], points[..., 3:-3]
    for level in segmenter.levels:
        centres = pick(xyz, farthest_points(xyz, level.centres))
        found = []
        for ball in level.scales:
            index = ball_by_sorting(ball.radius, ball.k, xyz, centres)
            near = pick(xyz, index) - centres.unsqueeze(2)
            found.append(ball.mlp(torch.cat([near, pick(features, index)], 3)).amax(2))
        xyz, features = centres, torch.cat(found, 2)
        scales.append((xyz, features))
    coarse = segmenter.top.mlp(torch.cat([xyz, features], 2)).amax(1, keepdim=True)
    centres = None
    for propagation in segmenter.propagations:
        xyz, own = scales.pop()
        if centres is None:
            brought = coarse.expand(-1, xyz.shape[1], -1)
        else:
            trees = zip(xyz.numpy(), centres.numpy(), coarse.numpy(), strict=True)
            brought = torch.from_numpy(np.stack([by_tree(*three) for three in trees])).float()
        coarse, centres = propagation.mlp(torch.cat([own, brought], 2)), xyz
    return F.linear(
        segmenter.hidden(coarse), segmenter.classifier.weight, segmenter.classifier.bias
    )


@EVERY
@pytest.mark.parametrize("own", [3, 6])
@torch.no_grad()
def test_logits_equal_those_of_a_plain_network(name, own):
    segmenter, points = small(name, own), told(own=own)
    assert isinstance(segmenter, Segmenter)
    logits = segmenter(points)
    assert logits.shape == (2, 48, 6)
    torch.testing.assert_close(logits, plainly(segmenter, points), rtol=1e-4, atol=1e-4)


@EVERY
def test_the_class_is_told_to_the_network_and_training_reaches_every_weight(name):
    segmenter, points = small(name).train(), told(4)
    segmenter(points).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in segmenter.parameters())
    other = points.clone()
    other[..., 3:] = points[..., 3:].roll(1, dims=2)
    segmenter.eval()
    assert not torch.allclose(segmenter(points), segmenter(other))


@EVERY
def test_the_encoder_has_the_classifiers_weights(name):
    kind = SEGMENTERS[name].ENCODER
    classifier = STUDENTS[kind](3, width=0.125, **STUDENTS[kind].SMALL).state_dict()
    encoder = {k: t for k, t in classifier.items() if k.startswith(("levels.", "top."))}
    own = {k: t for k, t in small(name).state_dict().items() if k in encoder}
    assert encoder.keys() == own.keys() != set()
    assert all(encoder[key].shape == own[key].shape for key in encoder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parts": [2, 1]}, "parts must be 3 numbers"),
        ({"parts": [2, 1, 0]}, "parts must be 3 numbers"),
        ({"channels": 5}, "channels must be at least 6"),
        ({"centres": (32, 2)}, "centres at least 3"),
        ({"head": "original"}, "no option 'head'"),
    ],
)
def test_senseless_options_are_refused(options, message):
    given = {"parts": [2, 1, 3], **options}
    with pytest.raises(InputError, match=message):
        create_segmenter("pointnet2-ssg-parts", 3, **given)


def test_wrong_points_are_refused():
    segmenter = small("pointnet2-ssg-parts")
    for points in (told()[..., :3], told(points=20), told().long(), told()[0]):
        with pytest.raises(ValueError, match=r"points must be \(B, N, 6\)"):
            segmenter(points)


# --- model folders


def config(**changes):
    sizes = {"width": 0.125, **STUDENTS["pointnet2-ssg"].SMALL, "channels": 6}
    channels = ("x", "y", "z", *class_channels(tuple(PARTS)))
    stated = {"classes": tuple(PARTS), "points": 48, "channels": channels, "parts": PARTS}
    return ModelConfig("pointnet2-ssg-parts", sizes, **stated | changes)


def test_a_model_folder_gives_the_segmenter_back(tmp_path):
    segmenter = small("pointnet2-ssg-parts")
    save_student(tmp_path / "model", segmenter, config())
    again, read = load_network(tmp_path / "model")
    assert (read.parts, read.channels, read.classes) == (PARTS, config().channels, tuple(PARTS))
    assert read.outputs == 6
    torch.testing.assert_close(again(told()), segmenter(told()))
    with pytest.raises(InputError, match="holds a part segmenter, pointnet2-ssg-parts, not a"):
        load_student(tmp_path / "model")
    assert "part segmenter" in (tmp_path / "model" / "README.md").read_text()


def test_a_description_whose_parts_do_not_fit_is_refused():
    with pytest.raises(InputError, match="parts are not"):
        config(parts={"cup": ("wall",)})
    with pytest.raises(InputError, match="channels do not end in those of the class"):
        config(channels=("x", "y", "z", "nx", "ny", "nz"))
