"""Part segmentation: a run from a classifier's encoder, its figures, its refusals."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from pointcmt.checkpoint import ModelConfig, load_network, save_student
from pointcmt.data import SHAPES_CLASSES, CloudDataset, Shapes
from pointcmt.errors import InputError
from pointcmt.models import create_student
from pointcmt.models.segmenter import with_category
from pointcmt.parts import part_counts, part_ranges
from pointcmt_training.cli import main
from pointcmt_training.config import ViewsConfig
from pointcmt_training.folder import RunFolder
from pointcmt_training.inputs.split import Split
from pointcmt_training.parts.inputs import PartSplit, _with_parts
from pointcmt_training.parts.prepare import prepare_parts
from pointcmt_training.parts.start import take_encoder
from pointcmt_training.reading import read_history
from pointcmt_training.recipe import load_config
from pointcmt_training.run import run
from pointcmt_training.stages.common import augmented
from tests.training.made import Interrupted, interrupt_at

SIZES = {"width": 0.125, "centres": [16, 8], "neighbours": [[4], [4]]}
TINY = [
    "data.points=64",
    "data.per_class=2",
    f"options={json.dumps(SIZES)}",
    "training.batch_size=12",
    "training.epochs=2",
    "checkpoint_seconds=0",
    "device=cpu",
]


def settings(*more: str):
    return load_config("shapes_parts", [*TINY, *more])


def classifier(folder: Path, name: str = "pointnet2-ssg", **changes) -> Path:
    torch.manual_seed(7)
    options = {**SIZES, **changes.pop("options", {})}
    student = create_student(name, 3, **options)
    described = {"provenance": {"method": "pointcmt"}, "up": "y", **changes}
    return save_student(
        folder, student, ModelConfig(name, options, ("a", "b", "c"), 64, **described)
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A run from a classifier's encoder, with an epoch selected on a validation split."""
    room = tmp_path_factory.mktemp("parts")
    start = classifier(room / "encoder" / "student").parent  # as a run folder has it
    tiny = [word for word in TINY if not word.startswith("data.per_class")]
    words = ["shapes_parts", *tiny, f"start={start}", "data.validation=0.4", "data.per_class=5"]
    words += ["training.selection=validation", "-o", str(room / "run")]
    said = CliRunner().invoke(main, words)
    assert said.exit_code == 0, said.output
    assert "instance mIoU " in said.output
    return room / "run"


def test_the_figures_are_those_of_the_model_folder(finished):
    segmenter, config = load_network(finished / "student")
    test, ranges = Shapes("test", 2, 64), part_ranges(part_counts(config.parts))
    points = with_category(torch.from_numpy(test.points), torch.from_numpy(test.labels), 12)
    with torch.no_grad():
        logits = segmenter(points).numpy()
    objects = []
    for scores, parts, label in zip(logits, test.parts, test.labels, strict=True):
        own = list(ranges[label])
        found = np.array(own)[scores[:, own].argmax(axis=1)]
        pairs = [(found == part, parts == part) for part in own]
        ious = [(a & b).sum() / (a | b).sum() if (a | b).any() else 1.0 for a, b in pairs]
        objects.append(np.mean(ious))
    result = json.loads((finished / "result.json").read_text())
    assert result["student"]["instance_iou"] == pytest.approx(np.mean(objects))
    means = {n: np.mean(np.array(objects)[test.labels == i]) for i, n in enumerate(test.classes)}
    assert result["classes"] == pytest.approx(means)
    assert result["student"]["class_iou"] == pytest.approx(np.mean(list(means.values())))
    assert config.provenance["encoder's method"] == "pointcmt"


def test_a_run_leaves_a_history_a_report_and_no_state(finished):
    records = read_history(RunFolder(finished).history("training"))
    assert {"loss", "accuracy", "validation_iou"} <= records[-1].keys()
    page = (finished / "report.html").read_text()
    assert page.count("<img") == 3
    assert all(f"<td class=number>{name}" in page for name in SHAPES_CLASSES)
    assert "seat, leg, back, arm, floor" in page
    assert not (finished / "state").exists()
    again = run(load_config(str(finished / "config.yaml")), finished)
    assert again == json.loads((finished / "result.json").read_text())


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, monkeypatch):
    monkeypatch.setattr("pointcmt_training.parts.run.write_report", lambda *_: None)
    run(settings(), tmp_path / "whole")
    with monkeypatch.context() as patch:
        interrupt_at(2, patch)
        with pytest.raises(Interrupted):
            run(settings(), tmp_path / "cut")
    run(settings(), tmp_path / "cut")
    one, other = (load_network(tmp_path / run / "student")[0] for run in ("whole", "cut"))
    for key, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[key]), key


def test_part_labels_stay_with_their_points_through_augmentation():
    shapes = Shapes("train", 1, 64)
    parts = torch.from_numpy(shapes.parts)
    marked = torch.cat([torch.from_numpy(shapes.points), parts[..., None].float()], dim=2)
    data = CloudDataset(
        "m", shapes.classes, marked.numpy(), shapes.labels, shapes.ids, channels=(*"xyzm",)
    )
    split = PartSplit(Split(data, marked, torch.from_numpy(shapes.labels), ViewsConfig()), parts)
    config = settings("augmentation.dropout=0.5", "augmentation.rotate=any")
    changed = augmented(split.labelled, torch.arange(12), 0, config)
    assert torch.equal(changed[..., 3], changed[..., 4])
    assert not torch.equal(changed[..., 4].long(), parts)


# --- the encoder


def test_the_encoder_is_taken_and_the_rest_is_fresh(tmp_path):
    start = classifier(tmp_path / "model")
    config = settings(f"start={start}")
    inputs, segmenter = prepare_parts(config)
    fresh = {k: t.clone() for k, t in segmenter.state_dict().items()}
    take_encoder(segmenter, config, inputs)
    theirs = load_network(start)[0].state_dict()
    for key, tensor in segmenter.state_dict().items():
        taken = key.startswith(("levels.", "top."))
        assert torch.equal(tensor, theirs[key] if taken else fresh[key]), key


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "pointnet"}, "holds a pointnet, but pointnet2-ssg-parts starts from a pointnet2"),
        ({"options": {"width": 0.25}}, r"has other options \(levels\.0.* there, .* here\)"),
        ({"options": {"centres": [20, 8]}}, "samples and groups otherwise .20 centres"),
        ({"options": {"neighbours": [[5], [4]]}}, "samples and groups otherwise"),
        ({"up": "z"}, "its vertical axis is z, that of shapes/train y"),
        ({"normalization": "none"}, "its normalization is none"),
        (
            {"options": {"channels": 6}, "channels": ("x", "y", "z", "nx", "ny", "nz")},
            "its channels is x, y, z, nx",
        ),
    ],
)
def test_another_encoder_is_refused(tmp_path, changes, message):
    if changes.get("name") == "pointnet":
        student = create_student("pointnet", 3, width=0.125)
        config = ModelConfig("pointnet", {"width": 0.125}, ("a", "b", "c"), 64)
        start = save_student(tmp_path / "model", student, config)
    else:
        start = classifier(tmp_path / "model", **changes)
    with pytest.raises(InputError, match=f"start=.*{message}"):
        run(settings(f"start={start}"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


# --- refusals


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["method=pointcmt"], "method=pointcmt: parts are learned without a teacher"),
        (["data.class_balance=weights"], "without data.class_balance=weights"),
        (["evaluation.votes=3"], "without evaluation.votes"),
        (["compute.compile=true"], "without compute.compile"),
        (["student=pointnet2-ssg", "start=x"], "start=x: is for part segmenters"),
    ],
)
def test_what_makes_no_sense_is_refused(words, message):
    with pytest.raises(InputError, match=message):
        settings(*words)


def test_data_without_parts_and_missing_encoders_are_named(tmp_path):
    with pytest.raises(InputError, match=r"not a model folder"):
        run(settings(f"start={tmp_path}/none"), tmp_path / "run")
    with pytest.raises(InputError, match=r"data\.points=8: must be at least 16"):
        run(settings("data.points=8"), tmp_path / "run")
    with pytest.raises(InputError, match=r"segmenter 'pointnet2-ssg-parts': cannot be run .*17"):
        run(settings("options.centres=[17, 18]"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    made = tmp_path / "own"
    for name in ("a", "b"):
        for split in ("train", "test"):
            (made / name / split).mkdir(parents=True)
            np.save(made / name / split / "1.npy", np.random.default_rng(0).normal(size=(70, 3)))
    with pytest.raises(InputError, match=r"data\.name=folder: its points have no parts; use"):
        run(
            load_config("shapes_parts", ["data.name=folder", f"data.root={made}"]), tmp_path / "run"
        )


def test_a_part_of_another_class_is_named():
    shapes = Shapes("train", 1, 16)
    shapes.parts[3, 5] = 0
    split = Split(shapes, torch.from_numpy(shapes.points), torch.from_numpy(shapes.labels), None)
    ranges = [range(5), *[range(5, 60)] * 2, range(9, 60), *[range(5, 60)] * 8]
    with pytest.raises(InputError, match="chair_00003 has a part that is none of a chair"):
        _with_parts(split, ranges)


def test_a_dry_run_says_what_would_be_trained(tmp_path):
    said = CliRunner().invoke(main, ["shapes_parts", *TINY, "--dry-run"])
    assert "12 with 53 parts" in said.output
    assert "from scratch" in said.output
