"""Parts of a batch, precision: the update that they make."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pointcmt.errors import InputError
from pointcmt.teacher.multiview import MultiViewTeacher
from pointcmt_training.compute import encoded, set_up
from pointcmt_training.distillation.method import Images
from pointcmt_training.folder import RunFolder
from pointcmt_training.prepare import prepare
from pointcmt_training.recipe import load_config
from pointcmt_training.rehearsal import Held
from pointcmt_training.stages.student import train_student
from pointcmt_training.stages.teacher import train_teacher
from tests.training import made


def trained(folder: Path, *overrides: str) -> made.PooledStudent:
    config = made.settings("training.optimizer=sgd", "training.lr=0.1", *overrides)
    inputs, student = made.inputs(config, unlabelled=6), made.student()
    torch.manual_seed(0)
    classifier = nn.Linear(made.FEATURES, len(made.CLASSES)).requires_grad_(False)
    generator = nn.Sequential(nn.Linear(made.FEATURES, 30), nn.Unflatten(1, (10, 3)))
    features = torch.randn(18, made.FEATURES)
    images = Images(classifier, generator.requires_grad_(False), features)
    train_student(config, inputs, RunFolder(folder), student, images)  # type: ignore[arg-type]
    return student


def test_products_are_tf32_where_the_recipe_says_so_alone() -> None:
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    for wanted in (True, False):  # which is what is left behind
        set_up(made.settings(f"compute.tf32={wanted}").compute)
        assert products.allow_tf32 == wanted
        assert convolutions.allow_tf32 == wanted


@pytest.mark.parametrize(("parts", "balance"), [(2, "share"), (1000, "weight")])
def test_parts_make_the_update_of_the_whole_batch(parts: int, balance: str, tmp_path: Path) -> None:
    losses = (f"distillation.balance={balance}", "distillation.feature=1")  # KL sums the batch
    whole = trained(tmp_path / "whole", *losses)
    made.assert_same_weights(
        trained(tmp_path / "parts", *losses, f"training.parts={parts}"), whole, 1e-5
    )


def test_parts_of_pictures_train_the_teacher(tmp_path: Path) -> None:
    config = made.settings("views.kind=rendered", "views.drawn=1", "teacher.parts=2")
    teacher = train_teacher(config, made.inputs(config), RunFolder(tmp_path), made.FEATURES)
    assert int(teacher.encoder.bn1.num_batches_tracked) == 2 * 2 * 2  # epochs, steps, parts


@pytest.mark.parametrize(("width", "last"), [(0.25, True), (0.1, False)])
def test_channels_come_last_where_they_fill_vectors(
    width: float, last: bool, tmp_path: Path
) -> None:
    """With the 13 channels of a tenth of a ResNet torch's gradients damage the heap."""
    config = made.settings("teacher.epochs=1", f"teacher.width={width}")
    teacher = train_teacher(config, made.inputs(config), RunFolder(tmp_path), made.FEATURES)
    kernel = teacher.encoder.layer2[0].conv2.weight
    assert kernel.is_contiguous(memory_format=torch.channels_last) == last


@pytest.mark.parametrize(
    "cnn",
    [
        ["teacher.backbone=resnet50", "teacher.width=0.25"],
        ["teacher.backbone=efficientnet-lite0", "teacher.width=1.0"],
    ],
)
def test_recomputed_blocks_make_the_same_update_and_keep_little(
    cnn: list[str], tmp_path: Path
) -> None:
    teachers, kept = [], []
    for recomputed in ("false", "true"):
        config = made.settings(f"teacher.recompute={recomputed}", "teacher.epochs=1", *cnn)
        held, folder = Held(), RunFolder(tmp_path / recomputed)
        with held.counted():
            teachers.append(train_teacher(config, made.inputs(config), folder, made.FEATURES))
        kept.append(held.most)
    made.assert_same_weights(*teachers)
    assert kept[1] < 0.5 * kept[0]


def test_recomputing_is_refused_where_it_cannot_be_done() -> None:
    with pytest.raises(InputError, match=r"teacher\.recompute=true: is not for compute\.compile"):
        made.settings("teacher.recompute=true", "compute.compile=true")
    teacher = MultiViewTeacher("resnet18", 3, width=0.1)
    teacher.encoder, teacher.backbone = nn.Identity(), "timm:other"
    with pytest.raises(ValueError, match="blocks of timm:other are not known"):
        _ = teacher.blocks


def test_what_is_computed_again_moves_no_running_statistics_and_drops_the_same() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    twin, rows = copy.deepcopy(network), torch.randn(6, 3)
    torch.manual_seed(1)
    encoded(network, network, lambda i: rows[i], torch.arange(6), 2).square().sum().backward()
    torch.manual_seed(1)
    torch.cat([twin(rows[:3]), twin(rows[3:])]).square().sum().backward()
    made.assert_same_weights(network, twin)
    for one, other in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


@pytest.mark.parametrize("graphs", [False, True])
def test_encoders_are_compiled_and_each_step_begins_anew_for_cuda_graphs(
    graphs: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[str | None] = []
    calls: list[str] = []

    def compile_(function: Callable[[Tensor], Tensor], mode: str | None) -> Any:
        modes.append(mode)
        return lambda points: (calls.append("encode"), function(points))[1]

    monkeypatch.setattr(torch, "compile", compile_)
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: calls.append("step"))
    settings = ("compute.compile=true", f"compute.cuda_graphs={str(graphs).lower()}")
    made.assert_same_weights(trained(tmp_path / "a", *settings), trained(tmp_path / "b"))
    assert modes == ["reduce-overhead" if graphs else None]
    assert calls.count("encode") > 0
    # A step begins once before its batch is encoded, and never where no graphs are replayed.
    assert calls.count("step") == (calls.count("encode") if graphs else 0)
    assert not graphs or calls[:2] == ["step", "encode"]


def test_cuda_graphs_are_refused_where_there_can_be_none() -> None:
    with pytest.raises(InputError, match=r"compute\.cuda_graphs=true: needs compute\.compile=true"):
        made.settings("compute.cuda_graphs=true")
    words = ("device=cpu", "compute.compile=true", "compute.cuda_graphs=true")
    with pytest.raises(InputError, match="needs a GPU, and the device is cpu"):
        prepare(load_config("shapes", words))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_autocast_trains_nearly_the_same(precision: str, tmp_path: Path) -> None:
    whole = trained(tmp_path / "float32")
    student = trained(tmp_path / precision, f"compute.precision={precision}")
    made.assert_same_weights(student, whole, 2e-2)
    with pytest.raises(AssertionError):
        made.assert_same_weights(student, whole)
    assert student.layer.weight.dtype == torch.float32


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_killed_run_of_less_precision_goes_on(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = f"compute.precision={precision}"
    whole = trained(tmp_path / "whole", settings)
    with monkeypatch.context() as patch:
        made.interrupt_at(2, patch)
        with pytest.raises(made.Interrupted):
            trained(tmp_path / "killed", settings)
    made.assert_same_weights(trained(tmp_path / "killed", settings), whole)
