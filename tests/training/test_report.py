"""What the report says of classes, of wrong answers and of the losses."""

import re

import numpy as np
import torch
from matplotlib.figure import Figure

from pointcmt_training.inputs import load_inputs
from pointcmt_training.recipe import load_config
from pointcmt_training.report.classes import class_table, mistakes
from pointcmt_training.report.figures import clouds, confusion, curves, scatter, views
from pointcmt_training.report.page import _table
from tests.training import made

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


def test_the_confusion_matrix_shows_the_shares_of_each_true_class_and_its_counts() -> None:
    [axis] = confusion(torch.tensor([[1, 3], [0, 2]]), ("a", "b")).axes
    assert axis.images[0].get_array().tolist() == [[0.25, 0.75], [0.0, 1.0]]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted", "true")
    told = {text.get_position(): text.get_text() for text in axis.texts}
    assert told == {(0, 0): "1", (1, 0): "3", (1, 1): "2"}


def test_a_cloud_stands_upright_and_its_nearest_point_is_drawn_last() -> None:
    axis = Figure().subplots()
    points = torch.tensor([[0, 0, 1.0], [0, 1, 0], [0, -1, 0], [0, 0, -1], [1, 0, 0]])
    scatter(axis, points, np.arange(5))
    drawn = axis.collections[0]
    places = dict(zip(drawn.get_array().tolist(), drawn.get_offsets().tolist(), strict=True))
    assert places[1][1] > 0.9 > -0.9 > places[2][1]
    assert places[1][0] == places[2][0] == 0
    assert places[4][0] > 0.8  # x to the right
    assert places[0][1] < places[3][1]  # from above, what is near is lower
    assert [place for place in places if place in (0, 3)] == [3, 0]


def test_the_result_is_told_with_its_protocol_and_the_largest_voting_as_such() -> None:
    config = load_config("shapes", ["protocol=paper"])
    given = made.inputs(made.settings(), train=12, unlabelled=5)
    figure = {"overall": 0.75, "mean_class": 0.5}
    result = {
        "student": figure,
        "teacher": {"overall": 0.875, "mean_class": 0.625},
        "voted": {"overall": 0.8, "mean_class": 0.7, "votes": 10},
        "published": {"overall": 0.9, "mean_class": 0.6, "repeats": 300},
        "parameters": 1480000,
        "seconds": {"training": {"wall_seconds": 9.0, "cpu_seconds": 18.0}},
    }
    rows = re.findall(
        r"<th>(.*?)<td class=number>(.*?)(?=<tr>|</table>)", _table(config, given, result)
    )
    told = dict(rows)
    assert told["Trained on"].endswith("12 clouds")
    assert told["Beside it, without labels"] == "5 clouds"
    assert told["Tested on"].endswith("9 clouds")
    assert told["Student OA / mAcc"] == "75.0% / 50.0%"
    assert told["Teacher OA / mAcc"] == "87.5% / 62.5%"
    assert told["Student OA / mAcc, 10 votes averaged"] == "80.0% / 70.0%"
    largest = told["LARGEST OA / mAcc of 300 votings, as published"]
    assert largest == "90.0% / 60.0%; do not compare with honest figures"
    assert told["Epoch kept"].startswith("the best on the TEST split")
    assert told["Student parameters"] == "1,480,000"
    assert told["Time of training"] == "9 s, 18 s of CPU"
