"""What a rehearsal says of time and memory, beside counts made by hand."""

import pytest
import torch

from pointcmt_training import rehearsal
from pointcmt_training.config import Schedule
from pointcmt_training.rehearsal import Held
from tests.training import made


def test_what_a_step_holds_is_counted_once_and_the_largest_step_is_told() -> None:
    held, weight = Held(), torch.ones(100, 50, requires_grad=True)
    with held.counted():
        for rows in (10, 30, 20):
            hidden = torch.ones(rows, 100) @ weight  # keeps its input, rows x 100
            (hidden.sigmoid() * 2).sum().backward()  # keeps its output, rows x 50
    assert held.most == 4 * (30 * 100 + 30 * 50)


def test_a_stage_needs_as_many_times_more_as_it_is_larger() -> None:
    config = made.settings()
    schedule = Schedule(epochs=7, batch_size=6)
    warm, held = {"wall_seconds": 0.5}, Held(most=1000)
    labelled, joined = made.inputs(config, train=20), made.inputs(config, train=20, unlabelled=9)
    need = rehearsal._need(schedule, "teacher", labelled, warm, held)
    assert need.seconds == pytest.approx(0.5 * 7 * 3 * 6 / 4)
    assert need.bytes == 1000 * 6 // 4
    more = rehearsal._need(schedule, "training", joined, warm, held)
    assert more.bytes == 1000 * (6 + joined.unlabelled_batch) // 4


@pytest.mark.parametrize("method", ["none", "pointcmt"])
def test_a_rehearsal_leaves_the_student_as_it_was(method: str) -> None:
    config = made.settings(f"method={method}", "data.validation=0.3", "training.early_stop=1")
    student = made.student()
    before = {key: tensor.clone() for key, tensor in student.state_dict().items()}
    needs = rehearsal.rehearse(config, made.inputs(config), student)  # type: ignore[arg-type]
    assert all(torch.equal(tensor, before[key]) for key, tensor in student.state_dict().items())
    assert list(needs) == (
        ["training"] if method == "none" else ["teacher", "generator", "training"]
    )
    assert all(need.seconds > 0 and need.bytes > 0 for need in needs.values())
