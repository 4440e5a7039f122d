"""The report's words on single classes and on single objects that the student got wrong."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pointcmt.models.student import Student
from pointcmt_training.evaluate import map_batches
from pointcmt_training.inputs.split import Split

SEARCHED = 512  # clouds of the test split that are classified again to find wrong answers


def class_table(counts: Tensor, classes: Sequence[str]) -> str:
    """Return an HTML table of a confusion matrix (C, C): a row a class, the weakest first."""
    total = counts.sum(dim=1)  # (C,)
    recall = counts.diagonal() / total.clamp_min(1)
    rows = []
    for index in torch.argsort(recall, stable=True).tolist():
        if total[index]:
            cells = (classes[index], f"{recall[index]:.1%}", f"{total[index]}")
            numbers = "".join(f"<td class=number>{html.escape(cell)}" for cell in cells)
            rows.append(
                f"<tr>{numbers}<td>{html.escape(_taken_for(counts[index], index, classes))}"
            )
    head = "<tr><th>class<th>right<th>test clouds<th>mostly taken for"
    return f"<table>{head}{''.join(rows)}</table>"


def _taken_for(row: Tensor, index: int, classes: Sequence[str]) -> str:
    others = row.clone()
    others[index] = 0
    worst = int(others.argmax())
    return f"{classes[worst]} ({int(others[worst])})" if others[worst] else ""


@dataclass(frozen=True)
class Mistake:
    """A test cloud that the student got wrong.

    Attributes:
        index: its place in the split.
        said: the class it was taken for.
        right: its own class.
    """

    index: int
    said: str
    right: str


def mistakes(student: Student, split: Split, shown: int) -> list[Mistake]:
    """Return wrong answers among the first `SEARCHED` clouds, each of another pair of classes."""
    searched = min(SEARCHED, len(split))
    answers = map_batches(student, lambda i: student(split.points[i]), searched).argmax(dim=1)
    names, labels = split.dataset.classes, split.labels[:searched].cpu()
    found: dict[tuple[int, int], Mistake] = {}
    for index in (answers.cpu() != labels).nonzero().flatten().tolist():
        said, right = int(answers[index]), int(labels[index])
        found.setdefault((said, right), Mistake(index, names[said], names[right]))
    return list(found.values())[:shown]
