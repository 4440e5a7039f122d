"""What a request may ask for and gets, at the edge of each limit and in each unit."""

import numpy as np
import pytest

from pointcmt.errors import InputError
from pointcmt_serve.http.budget import MemoryBudget
from pointcmt_serve.http.errors import RefusedError
from pointcmt_serve.http.protocol import Tensor, WantedOutput
from pointcmt_serve.http.protocol.checks import checked_shape, checked_timeout, wanted_output


def test_a_timeout_is_told_in_microseconds() -> None:
    assert checked_timeout(1_500_000) == 1.5
    assert checked_timeout(0) is None


def test_texts_stand_behind_their_lengths_in_bytes() -> None:
    labels = Tensor("labels", "BYTES", np.array(["tür", "a"], dtype=object))
    assert labels.raw() == b"\x04\0\0\0t\xc3\xbcr\x01\0\0\0a"


def test_so_many_clouds_as_the_limit_says_are_taken() -> None:
    assert checked_shape([4, 9, 3], 3, 4) == (4, 9, 3)
    with pytest.raises(InputError, match="5 clouds; a request may have 4"):
        checked_shape([5, 9, 3], 3, 4)


@pytest.mark.parametrize(("own", "binary"), [({}, True), ({"binary_data": False}, False)])
def test_an_outputs_own_word_comes_before_the_requests(own: dict[str, bool], binary: bool) -> None:
    assert wanted_output("logits", own, binary=True) == WantedOutput("logits", binary)


def test_only_what_never_fits_into_the_memory_is_too_large() -> None:
    budget = MemoryBudget(10)
    with budget.reserve() as one, budget.reserve() as other:
        one.grow(6)
        other.grow(4)  # all there is
        for size, status in ((1, 503), (7, 413)):  # of the second's 4 and as many more
            with pytest.raises(RefusedError) as refused:
                other.grow(size)
            assert refused.value.status == status
        assert budget.held == 10
    assert budget.held == 0
