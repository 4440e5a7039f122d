"""A whole run of part segmentation: one stage, one folder."""

import shutil
from pathlib import Path
from typing import Any

from pointcmt.channels import ANY
from pointcmt.checkpoint import ModelConfig, save_student, save_training_checkpoint
from pointcmt.models.pointnet2_parts import PointNet2Parts
from pointcmt.part_metrics import PartIoU, part_iou
from pointcmt_training.allocator import tune_allocator
from pointcmt_training.config import Config
from pointcmt_training.environment import environment
from pointcmt_training.folder import RunFolder, stage_seconds, write_json
from pointcmt_training.held import held
from pointcmt_training.inputs import load_inputs
from pointcmt_training.parts.inputs import PartInputs
from pointcmt_training.parts.page import write_report
from pointcmt_training.parts.prepare import network_options, prepare_parts
from pointcmt_training.parts.start import take_encoder
from pointcmt_training.parts.train import found_parts, train_segmenter
from pointcmt_training.prepare import pick_device
from pointcmt_training.recipe import shaping
from pointcmt_training.together import agreed, told


def run_parts(config: Config, root: Path) -> dict[str, Any]:
    """Train a part segmenter into the folder `root`; resume what an earlier call left unfinished.

    Returns:
        The content of `result.json`: instance and class mIoU, that of each class, seconds.

    Raises:
        InputError: the data or `start` is unusable, the data is not the same as before, or the
            folder holds another run.
    """
    folder = RunFolder(root)
    told(lambda: folder.require_free(config))
    tune_allocator()
    if told(folder.result.is_file):
        return told(lambda: _finished(config, folder))
    inputs, segmenter, begun = agreed(
        lambda: _prepared(config), lambda made: (shaping(config), made[0].whole.identity)
    )
    with held(root):
        told(lambda: folder.claim(config, inputs.whole.identity))
        return _train(config, inputs, folder, segmenter, begun)


def _train(
    config: Config,
    inputs: PartInputs,
    folder: RunFolder,
    segmenter: PointNet2Parts,
    begun: dict[str, Any],
) -> dict[str, Any]:
    history = train_segmenter(config, inputs, folder, segmenter)
    found = found_parts(segmenter, inputs.test, inputs.ranges)
    test = inputs.test
    iou = part_iou(found, test.parts.cpu(), test.clouds.labels.cpu(), inputs.ranges)
    result = {
        "student": iou.summary(),
        "classes": {
            name: iou.by_class[label].item()
            for label, name in enumerate(inputs.classes)
            if (iou.labels == label).any()
        },
        "protocol": config.protocol,
        "selection": config.selected_on or "last",
        "seconds": {"training": stage_seconds(folder, "training")},
        "parameters": sum(p.numel() for p in segmenter.parameters()),
        "environment": environment(inputs.train.parts.device),
    }

    def save() -> None:
        _save(config, inputs, folder, segmenter, iou, len(history), begun)
        write_report(config, inputs, folder, result, iou, found)
        write_json(folder.result, result)
        shutil.rmtree(folder.root / "state", ignore_errors=True)

    told(save)
    return result


def _finished(config: Config, folder: RunFolder) -> dict[str, Any]:
    folder.claim(config, load_inputs(config, pick_device("cpu")).identity)
    return folder.finished()


def _prepared(config: Config) -> tuple[PartInputs, PointNet2Parts, dict[str, Any]]:
    """Return the splits, the segmenter, and where its encoder comes from, if it is trained."""
    inputs, segmenter = prepare_parts(config)
    begun = take_encoder(segmenter, config, inputs) if config.start else {}
    return inputs, segmenter, begun


def _save(
    config: Config,
    inputs: PartInputs,
    folder: RunFolder,
    segmenter: PointNet2Parts,
    iou: PartIoU,
    epochs: int,
    begun: dict[str, Any],
) -> None:
    data = inputs.train.clouds.dataset
    model = ModelConfig(
        student=config.student,
        options=network_options(config, inputs),
        classes=inputs.classes,
        points=config.data.points,
        normalization=data.normalization,
        channels=inputs.channels,
        up=ANY if config.augmentation.rotate == "any" else data.up,
        parts={name: tuple(parts) for name, parts in inputs.parts.items()},
        provenance={
            "seed": config.seed,
            "epochs": epochs,
            "selection": config.selected_on or "last",
            "trained on": data.name,
            "tested on": inputs.test.clouds.dataset.name,
            "instance mIoU": round(iou.instance, 4),
            "class mIoU": round(iou.mean_class, 4),
            **begun,
        },
    )
    save_student(folder.student, segmenter, model)
    save_training_checkpoint(folder.checkpoint, model, segmenter)
