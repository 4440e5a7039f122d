"""Finished runs side by side."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from pointcmt.errors import InputError
from pointcmt_training.cli import main
from pointcmt_training.recipe import load_config
from pointcmt_training.tables.compare import _curves, compare

ROUND = {"cone": 2, "cube": 4}


def finished(root: Path, right: int, *words: str, tested: Any = ROUND) -> Path:
    """A run that got `right` of two cones and three of four cubes."""
    root.mkdir()
    config = load_config("shapes", ["data.points=32", "generator.points=16", *words])
    (root / "config.yaml").write_text(config.to_yaml())
    overall, mean_class = (right + 3) / 6, (right / 2 + 3 / 4) / 2
    result = {
        "student": {"overall": overall, "mean_class": mean_class},
        "teacher": None if config.method == "none" else {"overall": 0.875, "mean_class": 0.9},
        "seconds": {"training": {"wall_seconds": 12.0}},
        "confusion": [[right, 2 - right], [1, 3]],
    }
    (root / "result.json").write_text(json.dumps(result))
    identity = {"name": "shapes/test", "classes": tested, "sha256": "0"}
    (root / "data.json").write_text(json.dumps({"test": identity}))
    (root / "history").mkdir()
    records = [{"epoch": epoch, "cross_entropy": 1 / epoch} for epoch in (1, 2)]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (root / "history" / "training.jsonl").write_text(lines)
    return root


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Two controls and two students with images, of the same seeds."""
    controls = [finished(tmp_path / f"c{s}", s, "method=none", f"seed={s}") for s in (0, 1)]
    return controls + [finished(tmp_path / f"p{s}", 2, f"seed={s}") for s in (0, 1)]


def rows(page: Path) -> list[list[str]]:
    text = page.read_text()
    found = re.findall(r"<tr>(.*?)(?=<tr>|</table>)", text)
    return [re.split(r"<t[dh][^>]*>", row)[1:] for row in found]


def test_runs_that_differ_by_their_seed_are_one_arm_beside_the_first(
    runs: list[Path], tmp_path: Path
) -> None:
    done = CliRunner().invoke(main, ["compare", *map(str, runs), "-o", str(tmp_path / "c.html")])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[:2] == [
        "method=none: OA 50.0%, 66.7%",
        "method=pointcmt: OA 83.3%, 83.3%",
    ]
    _, control, images, _, *classes = rows(tmp_path / "c.html")
    assert control[:6] == [
        *("method=none", "50.0, 66.7", "58.3 ± 11.8", "50.0 ± 17.7", "", "none"),
    ]
    # t(0.975, 1) = 12.706; the differences 33.3 and 16.7 deviate by 11.785
    assert images[4] == "+33.3, +16.7; mean +25.0 ± 105.9"
    assert images[5] == "87.5"
    assert "± standard deviation" in (tmp_path / "c.html").read_text()
    assert classes == [["cone", "25.0%", "100.0%"], ["cube", "75.0%", "75.0%"]]


def test_a_difference_is_that_of_the_same_seed(tmp_path: Path) -> None:
    control = finished(tmp_path / "c", 0, "method=none", "seed=3")
    other = finished(tmp_path / "p", 1, "seed=4")
    compare([control, other], tmp_path / "page.html")
    assert rows(tmp_path / "page.html")[2][4] == ""


def test_runs_of_one_draw_are_one_pair(tmp_path: Path) -> None:
    words = [(seed, f"seed={seed}", f"stages_from={one}") for seed in (0, 1) for one in "ab"]
    controls = [
        finished(tmp_path / f"c{i}", i % 2, "method=none", w[1]) for i, w in enumerate(words)
    ]
    images = [finished(tmp_path / f"p{i}", 1 + w[0], *w[1:]) for i, w in enumerate(words)]
    compare([*controls, *images], tmp_path / "page.html")
    gains = [100 * (4 / 6 - 3.5 / 6), 100 * (5 / 6 - 3.5 / 6)]
    interval = stats.t.interval(0.95, 1, np.mean(gains), stats.sem(gains))
    half = (interval[1] - interval[0]) / 2
    told = f"+8.3, +25.0; mean {np.mean(gains):+.1f} ± {half:.1f}"
    assert rows(tmp_path / "page.html")[2][4] == told


@pytest.mark.parametrize(
    ("one", "other", "names"),
    [
        ("options={width: 0.5}", "options={}", ["options.width=0.5", "options.width=-"]),
        ("views.augment=false", "seed=0", ["views.augment=False", "views.augment=True"]),
        (
            "distillation={feature: 0}",
            "distillation={feature: 1}",
            ["distillation.feature=0.0", "distillation.feature=1.0"],
        ),
    ],
)
def test_what_differs_is_another_arm_by_its_value(
    one: str, other: str, names: list[str], tmp_path: Path
) -> None:
    found = compare(
        [finished(tmp_path / "a", 0, one), finished(tmp_path / "b", 1, other)], tmp_path / "p.html"
    )
    assert list(found) == names


def test_a_run_is_named_once(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="c1: is named twice"):
        compare([*runs, tmp_path / "p0" / ".." / "c1"], tmp_path / "page.html")


def test_a_class_without_test_clouds_has_no_row(tmp_path: Path) -> None:
    root = finished(tmp_path / "c", 1, tested={"cone": 0, "cube": 4})
    result = json.loads((root / "result.json").read_text())
    (root / "result.json").write_text(json.dumps(result | {"confusion": [[0, 0], [1, 3]]}))
    compare([root], tmp_path / "page.html")
    assert [row[0] for row in rows(tmp_path / "page.html")][-2:] == ["class, right", "cube"]


def test_a_class_of_one_test_cloud_is_a_class_like_the_others(tmp_path: Path) -> None:
    root = finished(tmp_path / "c", 1, tested={"cone": 1, "cube": 4})
    result = json.loads((root / "result.json").read_text())
    (root / "result.json").write_text(json.dumps(result | {"confusion": [[1, 0], [1, 3]]}))
    compare([root], tmp_path / "page.html")
    assert rows(tmp_path / "page.html")[-2:] == [["cone", "100.0%"], ["cube", "75.0%"]]


@pytest.mark.parametrize("epochs", [0, 1])
def test_runs_without_a_curve_are_compared_without(epochs: int, tmp_path: Path) -> None:
    one = finished(tmp_path / "one", 1)
    history = one / "history" / "training.jsonl"
    history.write_text("".join(history.read_text().splitlines(keepends=True)[:epochs]))
    compare([one], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "Curves" not in page
    assert "Classes" in page


def test_the_names_of_many_arms_stand_below_the_curves(tmp_path: Path) -> None:
    folders = [
        finished(
            tmp_path / str(n), 1, f"training.epochs={n}", f"training.lr=0.{n}", f"student=m:{n}"
        )
        for n in range(1, 13)
    ]
    drawn = _curves(compare(folders, tmp_path / "page.html"))
    assert drawn is not None
    drawn.draw_without_rendering()
    [legend] = drawn.legends
    assert len(legend.get_texts()) == len(folders)
    assert legend.get_window_extent().y1 < drawn.axes[0].get_window_extent().y0
    lines = drawn.axes[0].lines
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == len(folders)


def test_a_part_segmenter_is_not_compared(tmp_path: Path) -> None:
    one = finished(tmp_path / "one", 1)
    (one / "config.yaml").write_text(load_config("shapes_parts").to_yaml())
    result = {"student": {"instance_iou": 0.5, "class_iou": 0.5}, "seconds": {}}
    (one / "result.json").write_text(json.dumps(result))
    with pytest.raises(InputError, match="one: is a part segmenter"):
        compare([one], tmp_path / "page.html")


@pytest.mark.parametrize("name", ["result.json", "data.json", "history/training.jsonl"])
def test_an_emptied_file_is_named(name: str, tmp_path: Path) -> None:
    one = finished(tmp_path / "one", 1)
    (one / name).write_text("{}")
    with pytest.raises(InputError, match=f"{name}: damaged"):
        compare([one], tmp_path / "page.html")


def test_what_cannot_be_compared_is_named(tmp_path: Path) -> None:
    one = finished(tmp_path / "one", 1)
    (tmp_path / "unfinished").mkdir()
    page = tmp_path / "page.html"
    with pytest.raises(InputError, match="unfinished: holds no finished run"):
        compare([one, tmp_path / "unfinished"], page)
    other = finished(tmp_path / "other", 1, tested={"cone": 2, "cube": 5})
    with pytest.raises(InputError, match=r"other: was tested on other clouds .* 'cube'"):
        compare([one, other], page)
    (other / "result.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        compare([other, one], page)
    assert not page.exists()
