"""What the report says of classes, of wrong answers and of the losses."""

import re

import torch

from pointcmt_training.inputs import load_inputs
from pointcmt_training.recipe import load_config
from pointcmt_training.report.classes import class_table, mistakes
from pointcmt_training.report.figures import clouds, confusion, curves, views

CPU = torch.device("cpu")


class Constant:
    """A student that takes everything for the class `answer`."""

    def __init__(self, answer: int) -> None:
        self.answer = answer

    def eval(self) -> None:
        """Do nothing."""

    def train(self, mode: bool = True) -> None:
        """Do nothing."""

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        return torch.eye(12)[self.answer].expand(len(points), -1)


def test_the_class_table_has_the_weakest_first_and_names_what_it_was_taken_for() -> None:
    counts = torch.tensor([[8, 2, 0], [3, 1, 6], [0, 0, 4]])
    rows = re.findall(r"<tr>(.*?)(?=<tr>|</table>)", class_table(counts, ("a", "b", "<c>")))[1:]
    cells = [re.split(r"<td[^>]*>", row)[1:] for row in rows]
    assert cells == [
        ["b", "10.0%", "10", "&lt;c&gt; (6)"],
        ["a", "80.0%", "10", "b (2)"],
        ["&lt;c&gt;", "100.0%", "4", ""],
    ]


def test_wrong_answers_are_shown_once_a_pair_and_right_ones_never() -> None:
    options = ["data.points=32", "data.per_class=4", "generator.points=16"]
    test = load_inputs(load_config("shapes", options), CPU).test
    found = mistakes(Constant(3), test, 100)  # type: ignore[arg-type]
    classes = test.dataset.classes
    assert {one.said for one in found} == {classes[3]}
    assert sorted(one.right for one in found) == sorted({*classes} - {classes[3]})
    assert all(classes[int(test.labels[one.index])] == one.right for one in found)


def test_every_loss_has_a_panel_of_its_own_and_the_accuracies_share_one() -> None:
    record = {"epoch": 1, "wall_seconds": 1.0, "loss": 2.0, "feature": 0.1, "accuracy": 0.5}
    figure = curves({"teacher": [], "training": [record, {**record, "epoch": 2}]})
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert [axis.get_title() for axis in shown] == [
        "training: feature",
        "training: loss",
        "training: accuracy",
    ]


def test_views_are_laid_out_in_their_order() -> None:
    options = ["data.points=32", "data.per_class=2", "generator.points=16", "views.size=16"]
    train = load_inputs(load_config("shapes", options), CPU).train
    [axis] = views(train, torch.tensor([1])).axes
    sheet = torch.as_tensor(axis.images[0].get_array())
    expected = torch.cat(list(train.views(torch.tensor([1]))[0, :, 0]), dim=1)
    torch.testing.assert_close(sheet, expected)


def test_a_single_epoch_is_a_mark_at_a_whole_number() -> None:
    [axis, *_] = curves({"training": [{"epoch": 1, "loss": 0.5}]}).axes
    [line] = axis.lines
    assert line.get_marker() == "o"
    assert all(float(tick).is_integer() for tick in axis.get_xticks())


def test_long_names_of_classes_stay_within_the_pictures() -> None:
    name = "a name of a class that is so long that it would not fit into one line"
    drawn = clouds({"": torch.rand(1, 8, 3)}, [f"{name}, taken for {name}"])
    drawn.draw_without_rendering()
    title = drawn.axes[0].title.get_window_extent()
    assert title.x0 >= 0
    assert title.x1 <= drawn.bbox.x1
    matrix = confusion(torch.eye(3), [name + name] * 3)
    matrix.draw_without_rendering()
    assert matrix.axes[0].get_window_extent().width > 100
