"""From a table's data to the configurations of its runs."""

from pathlib import Path

import pytest

from pointcmt.errors import InputError
from pointcmt_training.distillation.hinton import Hinton
from pointcmt_training.distillation.pointcmt import PointCMT
from pointcmt_training.tables.grid import Grid, plan
from pointcmt_training.tables.jobs import Job
from pointcmt_training.tables.paper import load_table, numbers
from pointcmt_training.tables.words import Asked

SHAPES = ("data.name=shapes",)
ALL = ["1", "1b", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"]


def grid(number: str, *overrides: str, only: tuple[str, ...] = (), **asked: object) -> Grid:
    return plan(load_table(number), Asked(overrides, **asked), only)  # type: ignore[arg-type]


def job(found: Grid, row: str, column: int = 0, seed: int = 0) -> Job:
    return found.jobs[found.cells[row, found.table.columns[column]][seed]]


def test_every_table_of_the_paper_is_there() -> None:
    assert numbers() == ALL


@pytest.mark.parametrize("number", ALL)
def test_every_table_can_be_planned_on_the_embedded_shapes(number: str) -> None:
    found = grid(number, *SHAPES)
    assert all(one.config.data.name == "shapes" for one in found.jobs.values())
    assert set(found.missing.values()) <= {"shapes has no colours"}
    assert all(one.needs in found.jobs for one in found.jobs.values() if one.needs)


@pytest.mark.parametrize("number", ALL)
def test_a_gain_is_that_on_the_same_clouds(number: str) -> None:
    rows = load_table(number).rows
    for row in rows.values():
        if row.beside:
            ours, theirs = (one.settings.get("data.name") for one in (row, rows[row.beside]))
            assert ours == theirs


def test_table_4_switches_the_enhancements_apart() -> None:
    found = grid("4", *SHAPES, recipe="modelnet40_2pct")
    weights = {}
    for row in ("FE", "CE", "FE and CE"):
        options = job(found, row).config.distillation
        assert isinstance(options, PointCMT)
        weights[row] = (options.feature, options.classifier)
    assert weights == {"FE": (30, 0), "CE": (0, 0.3), "FE and CE": (30, 0.3)}
    assert job(found, "none").config.method == "none"
    assert load_table("4").paper("CE", load_table("4").columns[1]) == 91.3


def test_hintons_method_has_temperature_1_as_in_eq_6() -> None:
    for number in ("5", "7"):
        options = job(grid(number, *SHAPES), "Hinton et al.").config.distillation
        assert options == Hinton(weight=1.0, temperature=1.0)


def test_table_2_has_four_seeds_and_students_that_are_reduced_alike() -> None:
    found = grid("2", *SHAPES)
    seeds = [job(found, "PointMLP", seed=s).config for s in range(4)]
    assert [config.seed for config in seeds] == [0, 1, 2, 3]
    assert seeds[0].student == "pointmlp"
    assert seeds[0].options["width"] == 0.5
    assert len({job(found, "PointMLP", seed=s).name for s in range(4)}) == 4


def test_arms_share_stages_one_and_two_and_tables_share_runs() -> None:
    fourth, fifth = grid("4", *SHAPES), grid("5", *SHAPES)
    assert len({one.needs for one in fourth.jobs.values() if one.needs}) == 1
    assert job(fourth, "none").name == job(fifth, "baseline").name
    assert job(fourth, "FE and CE").name == job(fifth, "PointCMT").name
    assert len({one.needs for one in grid("1", *SHAPES).jobs.values() if one.needs}) == 1
    views = grid("9", *SHAPES, only=("nothing (control)",))
    assert job(views, "nothing (control)", 1).name == job(fourth, "none").name


def test_a_runs_name_follows_from_what_shapes_its_result() -> None:
    names = [
        job(grid("10", *SHAPES, *more), "PointNet++").name
        for more in ((), ("training.lr=0.1",), ("device=cpu",), ("checkpoint_seconds=1",))
    ]
    assert names[0] != names[1]
    assert names[0] == names[2] == names[3]


def test_what_is_not_at_hand_is_said_with_the_command_that_fetches_it(tmp_path: Path) -> None:
    (tmp_path / "ply_data_train0.h5").touch()
    (tmp_path / "ply_data_test0.h5").touch()
    found = grid("4", roots={"modelnet40": str(tmp_path)})
    assert {column.target for _, column in found.cells} == {"ModelNet40"}
    reasons = set(found.missing.values())
    assert any("pointcmt-data download scanobjectnn-pb-t50-rs" in reason for reason in reasons)
    with pytest.raises(InputError, match="download scanobjectnn-obj-only, then --data"):
        grid("2")
    pictures = grid("6", f"data.root={tmp_path}", "data.name=modelnet40")
    assert "views.root=FOLDER" in "".join(pictures.missing.values())


def test_rendered_pictures_are_taken_where_they_are_given(tmp_path: Path) -> None:
    (tmp_path / "ply_data_train0.h5").touch()
    (tmp_path / "ply_data_test0.h5").touch()
    data = (f"data.root={tmp_path}", "data.name=modelnet40")
    views = [
        job(grid("7", *data, *more), "PointCMT").config.views.kind
        for more in ((), (f"views.root={tmp_path}",))
    ]
    assert views == ["projected", "rendered"]
    drawn = job(grid("6", *SHAPES, root=tmp_path), "rendered from CAD").config.views
    assert drawn.root == str(tmp_path / "views" / "shapes")


@pytest.mark.parametrize(
    ("number", "words", "sentence"),
    [
        ("3", ["data.fraction=0.02"], "data.fraction: this table varies it"),
        ("4", ["method=none"], "method: this table varies it"),
        ("4", ["distillation={feature: 1}"], "distillation: this table varies it"),
        ("4", ["seed=3"], "seed: this table varies it"),
        ("3", ["training.epoch=3"], "unknown key training.epoch"),
        ("3", ["distillation.weight=3"], "an option of none of this table's methods"),
        ("3", ["data.name=nothing"], "unknown data set"),
    ],
)
def test_a_wrong_override_is_refused(number: str, words: list[str], sentence: str) -> None:
    given = words if "data.name" in words[0] else [*SHAPES, *words]
    with pytest.raises(InputError, match=sentence):
        grid(number, *given)


def test_an_option_reaches_the_methods_that_have_it() -> None:
    found = grid("5", *SHAPES, "distillation.feature=0.5")
    assert job(found, "PointCMT").config.distillation.feature == 0.5  # type: ignore[attr-defined]
    assert job(found, "Yang et al. (SRRL)").config.method == "srrl"


def test_a_table_can_be_narrowed() -> None:
    found = grid("3", *SHAPES, only=("2 %", "from scratch"))
    assert list(found.cells) == [("2 %", found.table.columns[0])]
    assert found.table.paper("2 %", found.table.columns[0]) == 73.3
    with pytest.raises(InputError, match=r"--only '3 %': must be one of 2 %, 5 %"):
        grid("3", *SHAPES, only=("3 %",))


def test_an_unknown_table_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="table 12: did you mean"):
        load_table("12")


def test_votes_stand_beside_the_plain_figures() -> None:
    found = grid("2", *SHAPES, "evaluation.votes=10")
    assert found.table.measures == ["mAcc", "mAcc, voted", "OA", "OA, voted"]
    plain, voted = found.table.columns[2:]
    assert found.table.paper("PointNet++", plain) == 87.4
    assert found.table.paper("PointNet++", voted) is None
    assert job(found, "PointNet++").config.evaluation.votes == 10
    teaching = [one for one in found.jobs.values() if one.teaches]
    assert {one.name for one in teaching} <= set(grid("2", *SHAPES).jobs)


def test_table_11_starts_segmenters_from_both_classifiers() -> None:
    found = grid("11", *SHAPES, "data.points=256")
    starts = []
    for row in ("trained without PointCMT", "trained with PointCMT"):
        segmenter = job(found, row)
        assert segmenter.config.segments
        assert segmenter.config.data.points == 256
        starts.append(found.jobs[segmenter.needs].config.method)
    assert starts == ["none", "pointcmt"]
    fourth = grid("4", *SHAPES, "data.points=256")
    assert {job(fourth, "none").name, job(fourth, "FE and CE").name} <= set(found.jobs)
    with pytest.raises(InputError, match="pointcmt-data download"):
        grid("11")
