"""Voting: the mean answer over several versions of each cloud, told apart from the plain figure."""

from collections.abc import Callable, Iterator
from functools import reduce

import torch
from torch import Tensor

from pointcmt.data.augment import Augmentation
from pointcmt.metrics import Accuracy, accuracy
from pointcmt.models.student import Student
from pointcmt_training.evaluate import map_batches
from pointcmt_training.inputs.split import Split

HONEST = (0.8, 1.25)  # scale of each axis, as in `pointcmt_serve.voting`
PUBLISHED = (0.85, 1.15)  # of the released code
PAPER_VOTES = 10


def voted_accuracy(student: Student, split: Split, votes: int) -> Accuracy:
    """Measure the student on the mean of its probabilities over `votes` versions of each cloud.

    The first version is the cloud as it is; in each other one every axis is scaled by a factor of
    its own and the points stand in another order. The versions are the same in every run.
    """
    change = Augmentation(scale=HONEST, shuffle=True, normals=split.normals)

    def versions(indices: Tensor) -> Iterator[Tensor]:
        yield split.points[indices]
        for vote in range(1, votes):
            yield change(split.points[indices], indices, vote, 0)

    return _measured(student, split, versions)


def published_accuracy(
    student: Student, split: Split, votes: int, repeats: int
) -> dict[str, float]:
    """Return the LARGEST accuracies of `repeats` votings, as the released code reports them.

    Each scaling is applied to the cloud that the one before has left, as in the released code.
    The largest of many tries on the test split says more than the student can: compare it with
    figures that were made in the same way alone.

    Returns:
        The largest "overall" and the largest "mean_class", perhaps of two votings.
    """
    change = Augmentation(scale=PUBLISHED, normals=split.normals)
    found = []
    for repeat in range(repeats):

        def versions(indices: Tensor, first: int = repeat * votes) -> Iterator[Tensor]:
            clouds = split.points[indices]
            yield clouds
            for vote in range(1, votes):
                clouds = change(clouds, indices, first + vote, 0)
                yield clouds

        found.append(_measured(student, split, versions).summary())
    return {key: max(one[key] for one in found) for key in found[0]}


def _measured(
    student: Student, split: Split, versions: Callable[[Tensor], Iterator[Tensor]]
) -> Accuracy:
    """Measure the sum of probabilities over versions (b, N, C) of the clouds at indices (b,)."""

    def probabilities(indices: Tensor) -> Tensor:
        return reduce(torch.add, (student(each).softmax(dim=1) for each in versions(indices)))

    predicted = map_batches(student, probabilities, len(split)).argmax(dim=1)
    return accuracy(predicted, split.labels.cpu(), student.num_classes)
