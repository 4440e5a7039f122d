"""Augmented pictures: what each change does, and what its random numbers follow from."""

import pytest
import torch
from torch import Tensor

from pointcmt.data.augment_pictures import ASPECT, ERASED, PictureAugmentation, draw_views

IDS = torch.tensor([4, 0, 9, 2**33])
ALL = PictureAugmentation(flip=0.5, crop=0.4, erase=0.5)


def pictures(seed: int = 0) -> Tensor:
    return 0.1 + 0.9 * torch.rand(4, 3, 2, 20, 30, generator=torch.Generator().manual_seed(seed))


def test_nothing_is_changed_unless_asked_for() -> None:
    images = pictures()
    assert torch.equal(PictureAugmentation()(images, IDS, 0, 0), images)


@pytest.mark.parametrize("only", [{"flip": 0.5}, {"crop": 0.4}, {"erase": 0.5}])
def test_the_change_of_a_picture_follows_from_seed_epoch_and_object(only: dict) -> None:
    change, images = PictureAugmentation(**only), pictures()
    before = images.clone()
    whole = change(images, IDS, 3, 1)
    assert torch.equal(images, before)
    assert whole.shape == images.shape
    turned = torch.tensor([2, 0, 3, 1])
    assert torch.equal(change(images[turned], IDS[turned], 3, 1), whole[turned])
    assert torch.equal(change(images[1:2], IDS[1:2], 3, 1), whole[1:2])
    others = [(4, 1), (3, 2)]
    assert all(not torch.equal(change(images, IDS, *other), whole) for other in others)
    same = images[:1].expand_as(images)
    drawn = change(same, IDS, 3, 1).flatten(2)
    assert len(torch.unique(drawn.flatten(0, 1), dim=0)) > 1


def test_a_flip_mirrors_left_and_right_of_about_as_many_pictures_as_asked() -> None:
    images = pictures()
    assert torch.equal(PictureAugmentation(flip=1.0)(images, IDS, 0, 0), images.flip(4))
    many = torch.rand(200, 3, 1, 2, 5)
    found = PictureAugmentation(flip=0.25)(many, torch.arange(200), 0, 0)
    turned = (found == many.flip(4)).flatten(2).all(2)
    kept = (found == many).flatten(2).all(2)
    assert (turned ^ kept).all()
    assert 0.19 < turned.float().mean() < 0.31


def test_a_crop_enlarges_a_part_from_inside_the_picture() -> None:
    height, width = 40, 60
    across = torch.linspace(0, 1, width).expand(height, width)
    down = torch.linspace(0, 1, height)[:, None].expand(height, width)
    images = torch.stack([across, down]).expand(100, 2, 2, height, width)
    found = PictureAugmentation(crop=0.5)(images, torch.arange(100), 0, 0)
    ramps = found[:, :, 0, 7], found[:, :, 1, :, 7]  # (100, 2, width), (100, 2, height)
    sides = []
    for ramp in ramps:
        steps = ramp.diff(dim=2)[..., 2:-2]
        torch.testing.assert_close(steps, steps[..., :1].expand_as(steps), rtol=0.02, atol=1e-5)
        sides.append(steps.mean(2) * (ramp.shape[2] - 1))
        assert (ramp >= 0).all()
        assert (ramp <= 1).all()
        places = ramp[..., ramp.shape[2] // 2]
        assert places.min() < 0.35
        assert places.max() > 0.65
    torch.testing.assert_close(sides[0], sides[1], rtol=0.01, atol=0.01)  # nothing is stretched
    assert 0.49 < sides[0].min() < 0.55
    assert 0.95 < sides[0].max() < 1.01


def test_erasing_blackens_one_rectangle_of_the_stated_size() -> None:
    images = torch.rand(300, 2, 3, 64, 64) + 0.1
    found = PictureAugmentation(erase=0.5)(images, torch.arange(300), 0, 0)
    black = (found == 0).all(2)  # (300, 2, 64, 64)
    assert torch.equal(torch.where(black[:, :, None], images, found), images)
    erased = black.flatten(2).any(2)
    assert 0.43 < erased.float().mean() < 0.57
    boxes = black[erased]
    rows, columns = boxes.any(2), boxes.any(1)
    assert torch.equal(boxes, rows[:, :, None] & columns[:, None, :])
    for side in (rows, columns):  # one piece, which begins once
        assert ((side.float().diff(dim=1, prepend=torch.zeros(len(side), 1)) > 0).sum(1) == 1).all()
        assert side[:, 0].any()
        assert side[:, -1].any()
    share = boxes.float().mean((1, 2))
    assert 0.9 * ERASED[0] < share.min() < 0.04
    assert 0.28 < share.max() < 1.1 * ERASED[1]
    aspect = columns.sum(1) / rows.sum(1)
    assert 0.8 * ASPECT[0] < aspect.min() < 0.5
    assert 2 < aspect.max() < 1.2 * ASPECT[1]


def test_views_are_drawn_without_repetition_each_alike_likely() -> None:
    ids = torch.arange(3000)
    found = draw_views(ids, 6, 2, 5, 1)
    assert found.shape == (3000, 2)
    assert (found[:, 0] != found[:, 1]).all()
    shares = torch.bincount(found.flatten(), minlength=6) / len(ids)
    torch.testing.assert_close(shares, torch.full((6,), 1 / 3), atol=0.03, rtol=0)
    assert torch.equal(draw_views(ids[7:9], 6, 2, 5, 1), found[7:9])
    assert not torch.equal(draw_views(ids, 6, 2, 6, 1), found)
    assert not torch.equal(draw_views(ids, 6, 2, 5, 2), found)
    assert draw_views(ids, 6, 9, 0, 0).sort(dim=1).values.unique(dim=0).tolist() == [[*range(6)]]


@pytest.mark.parametrize("wrong", [{"flip": 1.1}, {"crop": 1.0}, {"erase": -0.1}])
def test_numbers_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PictureAugmentation(**wrong)
