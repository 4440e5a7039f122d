"""Clouds without labels: where they come from, what they may not tell, and what they train."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pointcmt.data.dataset import XYZ
from pointcmt.errors import InputError
from pointcmt_training.distillation.method import Images
from pointcmt_training.folder import RunFolder
from pointcmt_training.inputs import load_inputs
from pointcmt_training.inputs.unlabelled import with_unlabelled
from pointcmt_training.reading import read_history
from pointcmt_training.recipe import load_config
from pointcmt_training.report.page import _unlabelled
from pointcmt_training.run import run
from pointcmt_training.stages.student import train_student

CPU = torch.device("cpu")
TINY = [
    "data.points=32",
    "data.per_class=4",
    "data.fraction=0.5",
    "data.unlabelled_batch=8",
    "options={width: 0.25, centres: [16, 8], neighbours: [[4], [4]], feature_dim: 64}",
    "views.size=16",
    "generator.points=16",
    "device=cpu",
    *(f"{stage}.batch_size=12" for stage in ("teacher", "generator", "training")),
    *(f"{stage}.epochs=2" for stage in ("teacher", "generator", "training")),
]


@pytest.fixture(autouse=True)
def _no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing a run takes longer than these train."""
    monkeypatch.setattr("pointcmt_training.run.write_report", lambda *_: None)


def test_the_rest_of_the_split_comes_without_labels_and_without_the_validation_part() -> None:
    inputs = load_inputs(
        load_config("shapes", [*TINY, "data.unlabelled=rest", "data.validation=0.5"]), CPU
    )
    assert inputs.validation is not None
    whole = load_inputs(load_config("shapes", [*TINY, "data.fraction=1.0"]), CPU).train
    first = len(inputs.train)
    ids = inputs.pool.dataset.ids
    assert sorted([*ids, *inputs.validation.dataset.ids]) == sorted(whole.dataset.ids)
    assert torch.equal(inputs.pool.labels[:first], inputs.train.labels)
    assert (inputs.pool.labels[first:] == -1).all()
    assert (inputs.pool.dataset.labels[first:] == -1).all()
    positions = [list(whole.dataset.ids).index(one) for one in ids]
    assert torch.equal(inputs.pool.points, whole.points[positions])


def test_a_step_draws_its_labelled_clouds_and_then_unlabelled_ones() -> None:
    inputs = load_inputs(load_config("shapes", [*TINY, "data.unlabelled=rest"]), CPU)
    drawn = torch.stack([inputs.drawn(torch.arange(3)) for _ in range(50)])
    assert drawn.shape == (50, 3 + 8)
    assert torch.equal(drawn[:, :3], torch.arange(3).expand(50, 3))
    assert set(drawn[:, 3:].flatten().tolist()) == set(range(len(inputs.train), len(inputs.pool)))


def test_clouds_of_one_name_cannot_be_told_apart() -> None:
    whole = load_inputs(load_config("shapes", TINY), CPU).train.dataset
    whole.ids = [whole.ids[0], *whole.ids[:-1]]
    with pytest.raises(InputError, match=f"names two clouds {whole.ids[0]}"):
        with_unlabelled("rest", whole, whole.subset([1, 2]), None, XYZ)


def test_a_control_never_sees_clouds_without_labels(tmp_path: Path) -> None:
    """Its batch norms would notice."""
    control = [*TINY, "method=none", "options.dropout=0"]
    run(load_config("shapes", control), tmp_path / "alone")
    run(load_config("shapes", [*control, "data.unlabelled=rest"]), tmp_path / "beside")
    alone, beside = (
        load_file(tmp_path / name / "student" / "model.safetensors") for name in ("alone", "beside")
    )
    assert all(torch.equal(alone[key], beside[key]) for key in alone)


def test_a_folder_of_files_is_resampled_and_normalised(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "a.npy", rng.normal(size=(50, 3)) * 9 + 5)
    np.savetxt(tmp_path / "b.xyz", rng.normal(size=(20, 3)))
    (tmp_path / "notes.md").write_text("not a cloud")
    inputs = load_inputs(load_config("shapes", [*TINY, f"data.unlabelled={tmp_path}"]), CPU)
    added = inputs.pool.points[len(inputs.train) :]
    assert added.shape == (2, 32, 3)
    torch.testing.assert_close(added.norm(dim=2).amax(dim=1), torch.ones(2))


def test_files_that_state_their_vertical_are_turned_to_that_of_the_data(tmp_path: Path) -> None:
    tall = np.zeros((40, 4), np.float32)
    tall[:, 2] = np.linspace(-1, 1, 40)  # z up, as the format states
    tall.tofile(tmp_path / "tall.bin")
    inputs = load_inputs(load_config("shapes", [*TINY, f"data.unlabelled={tmp_path}"]), CPU)
    up = "xyz".index(inputs.pool.dataset.up or "")
    assert inputs.pool.points[-1].std(dim=0).argmax() == up == 1


def test_coloured_views_of_a_folder_take_its_colours_and_the_student_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTCMT_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for index in range(12):
        place = tmp_path / ("more" if index > 9 else f"own/{'ab'[index % 2]}")
        place.mkdir(parents=True, exist_ok=True)
        colors = rng.integers(0, 256, (32, 3)).astype(np.uint8)
        np.savez(place / f"{index}.npz", points=rng.normal(size=(32, 3)), colors=colors)
    options = [
        *("data.name=folder", f"data.root={tmp_path / 'own'}", "data.test_share=0.4"),
        *("data.channels=[x,y,z,r,g,b]", "data.fraction=1", "views.kind=projected-color"),
        f"data.unlabelled={tmp_path / 'more'}",
    ]
    tiny = [word for word in TINY if not word.startswith("data.per_class")]
    pool = load_inputs(load_config("shapes", [*tiny, *options]), CPU).pool
    last = torch.tensor([len(pool) - 1])
    assert pool.points.shape[2] == 3
    assert pool.views(last).shape[2] == 3
    np.savez(tmp_path / "more" / "plain.npz", points=rng.normal(size=(32, 3)))
    with pytest.raises(InputError, match=r"plain\.npz"):
        load_inputs(load_config("shapes", [*tiny, *options]), CPU)


def refused(*overrides: str) -> str:
    with pytest.raises(InputError) as error:
        load_inputs(load_config("shapes", [*TINY, *overrides]), CPU)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_folder_that_does_not_fit_is_refused_in_a_sentence(tmp_path: Path) -> None:
    option = f"data.unlabelled={tmp_path}"
    assert "no such folder" in refused(option + "/none")
    assert "holds no cloud" in refused(option)
    for kind in ("rendered", "surface"):
        assert "comes without pictures" in refused(option, f"views.kind={kind}")
    (tmp_path / "chair").mkdir()
    assert "chair in it is a folder, which would be a label" in refused(option)
    (tmp_path / "chair").rmdir()
    np.save(tmp_path / "flat.npy", np.zeros((9, 2)))
    assert "flat.npy" in refused(option)


def test_nothing_left_of_the_split_is_refused() -> None:
    assert "nothing is left" in refused("data.unlabelled=rest", "data.fraction=1.0")


def test_a_class_of_ones_own_learns_from_its_control(tmp_path: Path) -> None:
    own = ["student=tests.training.made:PooledStudent", "options={}"]
    plain = [*(text for text in TINY if not text.startswith("options")), *own]
    run(load_config("shapes", [*plain, "method=none"]), tmp_path / "control")
    itself = ["method=self", f"distillation.run={tmp_path / 'control'}"]
    run(load_config("shapes", [*plain, *itself]), tmp_path / "self")
    assert (tmp_path / "self" / "student").is_dir()


class Dropping(nn.Module):
    """A student of one's own whose feature is a parameter and whose classifier reads it dropped."""

    num_classes, feature_dim, min_points = 12, 16, 1

    def __init__(self) -> None:
        super().__init__()
        self.feature = nn.Parameter(torch.ones(16))
        self.classify = nn.Sequential(nn.Dropout(0.5), nn.Linear(16, 12))

    def encode(self, points: Tensor) -> Tensor:
        return self.feature.expand(len(points), -1)

    def forward(self, points: Tensor) -> Tensor:
        return torch.as_tensor(self.classify(self.encode(points)))


def test_equal_features_have_no_divergence_under_a_students_own_dropout(tmp_path: Path) -> None:
    options = [
        "distillation.balance=weight",
        "distillation.feature=0",
        "distillation.classifier=1",
        "training.lr=1e-9",
    ]
    config = load_config("shapes", [*TINY, *options])
    inputs, student = load_inputs(config, CPU), Dropping()
    features = torch.ones(len(inputs.pool), 16)
    images = Images(nn.Linear(16, 12), nn.Identity(), features)
    [record, *_] = train_student(config, inputs, RunFolder(tmp_path), student, images)
    assert record["classifier"] == pytest.approx(0, abs=1e-6)


class Normed(Dropping):
    """Its classifier has a batch norm, whose statistics are deployed with it."""

    def __init__(self) -> None:
        super().__init__()
        self.classify = nn.Sequential(nn.BatchNorm1d(16), nn.Linear(16, 12))


def test_images_do_not_move_the_statistics_of_a_students_own_classifier(tmp_path: Path) -> None:
    config = load_config("shapes", [*TINY, "distillation.feature=0", "training.lr=1e-9"])
    inputs, student = load_inputs(config, CPU), Normed()
    images = Images(nn.Linear(16, 12), nn.Identity(), torch.full((len(inputs.pool), 16), 9.0))
    records = train_student(config, inputs, RunFolder(tmp_path), student, images)
    norm = student.classify[0]
    steps = len(records) * (len(inputs.train) // config.training.batch_size)
    assert norm.num_batches_tracked == steps
    expected = torch.full((16,), 1 - 0.9**steps)  # of the clouds' ones; images have nines
    torch.testing.assert_close(norm.running_mean, expected, rtol=1e-4, atol=1e-4)


def test_unlabelled_clouds_train_the_student_and_an_earlier_student_can_teach(
    tmp_path: Path,
) -> None:
    torch.set_num_threads(1)
    plain, pooled, own = (tmp_path / name for name in ("plain", "pooled", "own"))
    run(load_config("shapes", TINY), plain)
    more = [*TINY, "data.unlabelled=rest", f"stages_from={plain}", "distillation.logits=1"]
    run(load_config("shapes", more), pooled)
    assert len(list((plain / "features").iterdir())) == 1, "the other run's folder stays as it was"
    assert len(list((pooled / "features").iterdir())) == 1
    assert {"feature", "classifier", "distillation"} <= set(
        read_history(RunFolder(pooled).history("training"))[0]
    )
    told = json.loads((pooled / "data.json").read_text())
    assert told["unlabelled"]["without labels"] == told["train"]["without labels"] + 24
    pooled_inputs = load_inputs(load_config("shapes", more), CPU)
    assert [*_unlabelled(pooled_inputs)] == [("Beside it, without labels", "24 clouds")]
    assert not [*_unlabelled(load_inputs(load_config("shapes", TINY), CPU))]
    itself = [*TINY, "data.unlabelled=rest", "method=self", "distillation={}"]
    result = run(load_config("shapes", [*itself, f"distillation.run={plain}"]), own)
    assert result["teacher"] is None
    assert json.loads((own / "result.json").read_text())["student"] == result["student"]
    with pytest.raises(InputError, match="holds no finished student"):
        run(load_config("shapes", [*itself, "distillation.run=nowhere"]), tmp_path / "none")
