"""The shapes that are compared and those that an engine is built for, at their edges."""

import pytest

from pointcmt.description import MOST_POINTS
from pointcmt.errors import InputError
from pointcmt_export.options import FittedProfile, Grid, Profile


@pytest.mark.parametrize(
    ("least", "best", "points"),
    [(32, 1024, (32, 1024, 2048)), (512, 48, (512, 512, 2048)), (32, 4096, (32, 4096, 4096))],
)
def test_a_profile_reaches_from_the_least_points_over_the_students_own(
    least: int, best: int, points: tuple[int, int, int]
) -> None:
    assert Profile().fitted(least, best) == FittedProfile((1, 8, 64), points)


def test_a_profile_of_ones_own_begins_with_what_the_student_takes() -> None:
    own = (32, 48, 64)
    assert Profile(points=own).fitted(32, 48).points == own
    with pytest.raises(InputError, match="begins at 32 points, but the student needs 33"):
        Profile(points=own).fitted(33, 48)


def test_a_profile_holds_its_points_and_batches_that_can_be_parted() -> None:
    profile = FittedProfile((2, 8, 16), (32, 48, 64))
    held = [(2, 32), (99, 64), (1, 48), (2, 31), (2, 65)]
    assert [profile.holds(*shape) for shape in held] == [True, True, False, False, False]


def test_points_below_what_the_student_takes_are_replaced_by_the_least() -> None:
    shapes = Grid((1, 7), (512, 600, 2048)).shapes(1000)
    assert shapes == [(1, 1000), (7, 1000), (1, 2048), (7, 2048)]


def test_a_batch_has_no_more_points_in_all_than_can_be_taken() -> None:
    Grid((1, 2), (8, MOST_POINTS // 2))
    with pytest.raises(InputError, match="not 2 clouds of"):
        Grid((1, 2), (8, MOST_POINTS // 2 + 1))
