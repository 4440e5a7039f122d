import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pointcmt.data.augment import Augmentation
from pointcmt.data.counter_random import integers, normal, uniform

ALL = Augmentation(
    rotate=180, scale=(2 / 3, 3 / 2), shift=0.2, jitter=0.01, dropout=0.5, shuffle=True
)
CLOUDS = torch.rand(12, 64, 3, generator=torch.Generator().manual_seed(0)) - 0.5
IDS = torch.arange(12)


def mixed(value: int) -> int:
    """The hash of `counter_random`, in Python's integers."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x31848BAB)):
        value = ((value ^ (value >> shift)) * factor) % 2**32
    return value ^ (value >> 16)


def drawn(key: tuple[int, ...], sample: int, place: int) -> int:
    state = 0
    for number in key:
        for word in (number % 2**32, number >> 32):
            state = mixed((state * 0x9E3779B9 + word + 1) % 2**32)
    start = mixed(mixed((sample % 2**32) ^ state) ^ (sample >> 32))
    return mixed((mixed(start ^ mixed(place + 1)) + start) % 2**32)


def test_numbers_are_those_that_interrupted_runs_began_with():
    """Whoever changes them changes what a run that is resumed draws."""
    key, ids = (7, 2**40 + 3, 11), [0, 5, 2**33 + 1]
    found = integers(key, torch.tensor(ids), 2, 3)
    assert found.tolist() == [
        [[drawn(key, sample, 3 * row + column) for column in range(3)] for row in range(2)]
        for sample in ids
    ]
    assert found[0, 0].tolist() == [1946154000, 1948807951, 2670712837]


# --- random numbers by position


def test_uniform_numbers_are_uniform_in_every_direction():
    drawn = uniform((0, 3, 1), torch.arange(2000), 20, 3)
    assert 0 < drawn.min() < 0.001
    assert 0.999 < drawn.max() < 1
    histogram = torch.histc(drawn, 100, 0, 1)
    expected = drawn.numel() / 100
    chi = ((histogram - expected) ** 2 / expected).sum()
    assert chi < 99 + 4 * math.sqrt(2 * 99)
    assert (drawn.mean(dim=0) - 0.5).abs().max() < 5 * math.sqrt(1 / 12 / 2000)
    assert (drawn.mean(dim=(1, 2)) - 0.5).abs().max() < 5 * math.sqrt(1 / 12 / 60)


def test_normal_numbers_are_normal():
    drawn = normal((5, 0, 2), torch.arange(1000), 50, 3)
    assert drawn.isfinite().all()
    assert drawn.mean().abs() < 0.01
    assert drawn.std() == pytest.approx(1, abs=0.01)
    assert (drawn.abs() < 1).float().mean() == pytest.approx(0.6827, abs=0.005)
    assert (drawn**4).mean() == pytest.approx(3, abs=0.1)


def test_streams_of_samples_epochs_seeds_and_kinds_do_not_correlate():
    rows = [uniform((s, e, k), IDS, 300, 1) for s in (0, 1) for e in (0, 1, 2) for k in (1, 2)]
    streams = torch.cat(rows).squeeze(-1)  # (144, 300)
    correlation = torch.corrcoef(streams) - torch.eye(len(streams))
    assert correlation.abs().max() < 5.5 / math.sqrt(300)
    assert len(torch.unique(streams[:, 0])) == len(streams)


def test_large_seeds_and_ids_are_told_apart():
    ids = torch.tensor([0, 1, 2**32, 2**40 + 1])
    drawn = torch.stack([integers((s,), ids, 1, 1) for s in (0, 2**32, 2**33, 2**33 + 1)])
    assert len(drawn.unique()) == 16


# --- what a resumed or divided run sees


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(12)), st.integers(1, 12), st.integers(0, 3), st.integers(0, 3))
def test_a_sample_looks_the_same_in_any_batch(order, size, epoch, seed):
    whole = ALL(CLOUDS, IDS, epoch, seed)
    for start in range(0, 12, size):
        chosen = torch.tensor(order[start : start + size])
        assert torch.equal(ALL(CLOUDS[chosen], chosen, epoch, seed), whole[chosen])


def test_epoch_seed_and_sample_each_change_the_cloud():
    same = CLOUDS[:1].expand(2, -1, -1)
    one = ALL(same, torch.tensor([0, 1]), 0, 0)
    assert not torch.equal(one[0], one[1])
    assert not torch.equal(one, ALL(same, torch.tensor([0, 1]), 1, 0))
    assert not torch.equal(one, ALL(same, torch.tensor([0, 1]), 0, 1))
    assert torch.equal(one, ALL(same, torch.tensor([0, 1]), 0, 0))


def test_the_global_generator_is_neither_read_nor_moved():
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = ALL(CLOUDS, IDS, 0, 0)
    assert torch.equal(state, torch.random.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(first, ALL(CLOUDS, IDS, 0, 0))


# --- each change alone


def test_without_changes_the_clouds_are_kept():
    assert torch.equal(Augmentation()(CLOUDS, IDS, 0, 0), CLOUDS)


def test_the_input_is_never_written():
    before = CLOUDS.clone()
    ALL(CLOUDS, IDS, 4, 2)
    assert torch.equal(before, CLOUDS)


def test_scale_is_drawn_for_each_axis_within_its_range():
    clouds = torch.ones(500, 4, 3)
    scaled = Augmentation(scale=(2 / 3, 3 / 2))(clouds, torch.arange(500), 0, 0)
    factors = scaled[:, 0]
    assert torch.equal(scaled, factors[:, None].expand_as(scaled))
    assert 2 / 3 <= factors.min() < 0.68
    assert 1.49 < factors.max() <= 3 / 2
    assert factors.mean() == pytest.approx(13 / 12, abs=0.02)
    assert torch.corrcoef(factors.T)[0, 1].abs() < 0.2


def test_shift_moves_a_whole_cloud_within_its_range():
    shifted = Augmentation(shift=0.2)(torch.zeros(500, 4, 3), torch.arange(500), 0, 0)
    assert torch.equal(shifted, shifted[:, :1].expand_as(shifted))
    assert 0.19 < shifted.abs().max() <= 0.2
    axes = torch.corrcoef(shifted[:, 0].T) - torch.eye(3)
    assert axes.abs().max() < 0.2  # each axis is drawn apart
    assert shifted.mean(dim=0).abs().max() < 0.03


@pytest.mark.parametrize(("up", "axis"), [("x", 0), ("y", 1), ("z", 2)])
def test_rotation_keeps_height_and_distances(up, axis):
    turned = Augmentation(rotate=180, up=up)(CLOUDS, IDS, 0, 0)
    assert torch.equal(turned[..., axis], CLOUDS[..., axis])
    for start in range(1, 64):
        before, after = (c - c.roll(start, dims=1) for c in (CLOUDS, turned))
        assert torch.allclose(after.norm(dim=-1), before.norm(dim=-1), atol=1e-6)
    determinant = torch.linalg.det(torch.linalg.lstsq(CLOUDS, turned).solution)
    assert torch.allclose(determinant, torch.ones(12), atol=1e-4)


def test_rotation_stays_within_its_angle():
    point = torch.tensor([[[1.0, 0.0, 0.0]]]).expand(400, -1, -1)
    turned = Augmentation(rotate=30)(point, torch.arange(400), 0, 0)[:, 0]
    angle = torch.atan2(-turned[:, 2], turned[:, 0]).rad2deg()
    assert angle.min() == pytest.approx(-30, abs=1)
    assert angle.max() == pytest.approx(30, abs=1)


def test_tumbling_is_a_rotation_that_favours_no_direction():
    axes = torch.eye(3).expand(4000, 3, 3)
    turned = Augmentation(tumble=True)(axes, torch.arange(4000), 0, 0)

    assert torch.allclose(turned @ turned.mT, torch.eye(3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(turned), torch.ones(4000), atol=1e-5)
    assert turned.mean(dim=0).abs().max() < 0.05
    assert torch.allclose(turned.square().mean(dim=0), torch.full((3, 3), 1 / 3), atol=0.03)


def test_normals_tumble_with_their_cloud():
    both = torch.cat([CLOUDS, CLOUDS], dim=-1)
    turned = Augmentation(tumble=True, normals=(3, 4, 5))(both, IDS, 0, 0)

    assert torch.equal(turned[..., :3], turned[..., 3:])
    assert not torch.allclose(turned[..., :3], CLOUDS, atol=0.1)


def test_jitter_has_its_deviation_and_is_clipped():
    noise = Augmentation(jitter=0.02, jitter_clip=0.05)(
        torch.zeros(200, 99, 3), torch.arange(200), 0, 0
    )
    assert noise.std() == pytest.approx(0.02, rel=0.03)
    assert noise.abs().max() == pytest.approx(0.05)


def test_dropped_points_become_the_first_point():
    dropped = Augmentation(dropout=0.875)(CLOUDS, IDS, 0, 0)
    first = (dropped == CLOUDS[:, :1]).all(dim=-1)
    kept = (dropped == CLOUDS).all(dim=-1)
    assert (first | kept).all()
    share = (~kept).float().mean(dim=1)
    assert share.max() <= 0.95
    assert share.std() > 0.1


def test_shuffling_is_a_permutation_that_keeps_channels_together():
    numbered = torch.arange(64.0).view(1, 64, 1).expand(12, 64, 5)
    shuffled = Augmentation(shuffle=True)(numbered, IDS, 0, 0)
    assert torch.equal(shuffled.sort(dim=1).values, numbered)
    assert torch.equal(shuffled, shuffled[..., :1].expand_as(shuffled))
    firsts = Augmentation(shuffle=True)(numbered[:1].expand(4000, -1, -1), torch.arange(4000), 0, 0)
    assert torch.histc(firsts[:, 0, 0], 8, 0, 64).min() > 400


def test_normals_stay_unit_and_at_right_angles():
    tangent = torch.randn(12, 64, 3, generator=torch.Generator().manual_seed(1))
    normals = torch.nn.functional.normalize(torch.linalg.cross(CLOUDS, tangent), dim=-1)
    change = Augmentation(rotate=180, scale=(0.5, 2), normals=(3, 4, 5))
    moved = change(torch.cat([CLOUDS, normals], dim=-1), IDS, 0, 0)
    assert torch.allclose(moved[..., 3:].norm(dim=-1), torch.ones(12, 64), atol=1e-5)
    assert (moved[..., :3] * moved[..., 3:]).sum(dim=-1).abs().max() < 1e-5


def test_normals_are_changed_alike_wherever_they_stand():
    normals = torch.nn.functional.normalize(CLOUDS.flip(1), dim=-1)
    color = torch.rand(12, 64, 1)
    options = {"rotate": 180, "tumble": True, "scale": (0.5, 2), "shift": 0.1}
    first = Augmentation(**options, normals=(3, 4, 5))
    parted = Augmentation(**options, normals=(5, 6, 3))  # nz, the colour, nx, ny
    expected = first(torch.cat([CLOUDS, normals, color], -1), IDS, 0, 0)
    columns = [CLOUDS, normals[..., 2:], color, normals[..., :2]]
    moved = parted(torch.cat(columns, -1), IDS, 0, 0)
    assert torch.equal(moved[..., [0, 1, 2, 5, 6, 3, 4]], expected)


def test_other_channels_are_kept():
    colors = torch.rand(12, 64, 3)
    change = Augmentation(rotate=90, scale=(0.5, 2), shift=1, jitter=0.1)
    assert torch.equal(change(torch.cat([CLOUDS, colors], -1), IDS, 0, 0)[..., 3:], colors)


def test_half_precision_keeps_its_dtype():
    assert ALL(CLOUDS.half(), IDS, 0, 0).dtype == torch.float16


# --- bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": (0, 1)}, "scale"),
        ({"scale": (2, 1)}, "scale"),
        ({"shift": -0.1}, "shift"),
        ({"rotate": 181}, "rotate"),
        ({"rotate": float("nan")}, "rotate"),
        ({"jitter": -1}, "jitter"),
        ({"jitter_clip": 0}, "jitter_clip"),
        ({"dropout": 1}, "dropout"),
        ({"up": "w"}, "up"),
    ],
)
def test_senseless_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**options)


@pytest.mark.parametrize(
    ("points", "ids", "message"),
    [
        (torch.zeros(4, 3), torch.arange(4), "points"),
        (torch.zeros(4, 5, 2), torch.arange(4), "points"),
        (torch.zeros(4, 5, 3), torch.arange(3), "ids"),
        (torch.zeros(4, 5, 3), torch.zeros(4), "ids"),
    ],
)
def test_wrong_shapes_are_refused(points, ids, message):
    with pytest.raises(ValueError, match=message):
        ALL(points, ids, 0, 0)


def test_negative_epochs_and_missing_normals_are_refused():
    with pytest.raises(ValueError, match="epoch"):
        ALL(CLOUDS, IDS, -1, 0)
    with pytest.raises(ValueError, match="C >= 6"):
        Augmentation(rotate=1, normals=(3, 4, 5))(CLOUDS, IDS, 0, 0)


def test_empty_batches_and_clouds_pass():
    assert ALL(CLOUDS[:0], IDS[:0], 0, 0).shape == (0, 64, 3)
    assert Augmentation(shuffle=True)(CLOUDS[:, :0], IDS, 0, 0).shape == (12, 0, 3)
