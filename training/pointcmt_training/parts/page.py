"""`report.html` of part segmentation: one self-contained page."""

import html
from typing import Any

import torch
from torch import Tensor

from pointcmt.part_metrics import PartIoU
from pointcmt_training.config import Config
from pointcmt_training.folder import RunFolder, write_text
from pointcmt_training.parts.figures import coloured
from pointcmt_training.parts.inputs import PartInputs
from pointcmt_training.reading import read_history
from pointcmt_training.report import figures
from pointcmt_training.report.page import PROTOCOL, document, image, section, table

SHOWN = 4  # objects in each picture


def write_report(
    config: Config,
    inputs: PartInputs,
    folder: RunFolder,
    result: dict[str, Any],
    iou: PartIoU,
    found: Tensor,
) -> None:
    """Write the page: figures, curves, IoU of each class, objects in the colours of their parts.

    Args:
        config: of the run.
        inputs: its splits.
        folder: where the page goes.
        result: what `result.json` will hold.
        iou: of the test split.
        found: (n, N) the parts found in it.
    """
    history = {"training": read_history(folder.history("training"))}
    sections = [
        section("Result", table(_result(config, inputs, result))),
        section("Curves", image(figures.curves(history))),
        section("Classes", _classes(inputs, iou)),
        section("Objects of a middling IoU", _picture(inputs, found, iou, _middling(iou))),
        section("Objects of the least IoU", _picture(inputs, found, iou, _least(iou))),
        section("Next", f"<pre>{html.escape(_next(folder, inputs))}</pre>"),
        section("Configuration", f"<pre>{html.escape(config.to_yaml())}</pre>"),
    ]
    title = f"{config.student}, parts, seed {config.seed}"
    write_text(folder.report, document(title, sections))


def _result(config: Config, inputs: PartInputs, result: dict[str, Any]) -> list[tuple[str, str]]:
    student, seconds = result["student"], result["seconds"]["training"]
    train, test = inputs.train.clouds.dataset, inputs.test.clouds.dataset
    return [
        ("Trained on", f"{train.name}, {len(train)} clouds"),
        ("Tested on", f"{test.name}, {len(test)} clouds"),
        ("Instance / class mIoU", f"{student['instance_iou']:.1%} / {student['class_iou']:.1%}"),
        ("Points of the right part", f"{student['points']:.1%}"),
        ("Encoder", f"from {config.start}" if config.start else "from scratch"),
        ("Epoch kept", PROTOCOL[config.selected_on]),
        ("Parameters", f"{result['parameters']:,}"),
        (
            "Time of training",
            f"{seconds['wall_seconds']:.0f} s, {seconds['cpu_seconds']:.0f} s of CPU",
        ),
    ]


def _classes(inputs: PartInputs, iou: PartIoU) -> str:
    """Return an HTML table: a row a class, the weakest first."""
    by_class = iou.by_class
    rows = []
    for label in torch.argsort(by_class).tolist():
        name, count = inputs.classes[label], int((iou.labels == label).sum())
        if count:
            cells = (name, f"{by_class[label]:.1%}", f"{count}", ", ".join(inputs.parts[name]))
            rows.append("<tr>" + "".join(f"<td class=number>{html.escape(c)}" for c in cells))
    return f"<table><tr><th>class<th>IoU<th>test clouds<th>parts{''.join(rows)}</table>"


def _middling(iou: PartIoU) -> list[int]:
    """Return the object of median IoU of some classes, evenly spread over all of them."""
    present = torch.unique(iou.labels)
    spread = torch.linspace(0, len(present) - 1, min(SHOWN, len(present))).long()
    chosen = []
    for label in present[spread].tolist():
        members = (iou.labels == label).nonzero().flatten()
        order = members[torch.argsort(iou.objects[members])]
        chosen.append(int(order[len(order) // 2]))
    return chosen


def _least(iou: PartIoU) -> list[int]:
    return torch.argsort(iou.objects)[:SHOWN].tolist()


def _picture(inputs: PartInputs, found: Tensor, iou: PartIoU, chosen: list[int]) -> str:
    test = inputs.test
    labels = iou.labels[chosen]
    first = torch.tensor([own.start for own in inputs.ranges])[labels].unsqueeze(1)  # (B, 1)
    true, given = test.parts.cpu()[chosen] - first, found[chosen] - first  # (B, N)
    columns = {"labelled": true, "found": given, "wrong": torch.where(true == given, -1, given)}
    names = [
        f"{inputs.classes[label]} ({iou.objects[i]:.0%})"
        for label, i in zip(labels.tolist(), chosen, strict=True)
    ]
    legends = [inputs.parts[inputs.classes[label]] for label in labels.tolist()]
    points = test.clouds.points[chosen][..., :3].cpu()
    return image(coloured(points, columns, names, legends))


def _next(folder: RunFolder, inputs: PartInputs) -> str:
    return (
        f"pointcmt-export {folder.root} -o exported\n"
        f"pointcmt-segment exported --category {inputs.classes[0]} FILE --out segmented"
    )
