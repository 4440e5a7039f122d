"""`report.html`: one self-contained page that shows a run."""

import base64
import html
import io
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure

from pointcmt.models.student import Student
from pointcmt_training.config import Config
from pointcmt_training.folder import SECTIONS, RunFolder, write_text
from pointcmt_training.inputs import Inputs
from pointcmt_training.reading import read_history
from pointcmt_training.report import figures
from pointcmt_training.report.classes import class_table, mistakes
from pointcmt_training.stages.teaching import Teaching

SHOWN = 4  # objects in the pictures
PROTOCOL = {
    "": "the last",
    "validation": "the best on the validation split",
    "test": "the best on the TEST split, as published; do not compare with honest figures",
}

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem;
       color: #222; background: #fff }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse } td, th { padding: .25rem .9rem .25rem 0; text-align: left }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap }
svg, img { max-width: 100%; height: auto }
pre { background: #f5f5f5; padding: 1rem; overflow-x: auto } p.note { color: #555 }
"""


def write_report(
    config: Config,
    inputs: Inputs,
    folder: RunFolder,
    result: dict[str, Any],
    student: Student,
    teaching: Teaching | None,
) -> None:
    """Write the page: figures, curves, confusion matrix, views, decoded clouds, configuration."""
    histories = {section: read_history(folder.history(section)) for section in SECTIONS}
    confusion = torch.tensor(result["confusion"])
    sections = [
        section("Result", _table(config, inputs, result)),
        section("Curves", image(figures.curves(histories))),
        section("Classes", class_table(confusion, inputs.classes)),
        section("Confusion", image(figures.confusion(confusion, inputs.classes))),
        section("What the student got wrong", _wrong(student, inputs)),
    ]
    if teaching:
        shown = torch.linspace(0, len(inputs.train) - 1, SHOWN).long()
        sections += [
            section("What the teacher sees", image(figures.views(inputs.train, shown))),
            section("What the generator decodes", _decoded(inputs, shown, student, teaching)),
        ]
    sections.append(section("Next", _next(folder)))
    sections.append(section("Configuration", f"<pre>{html.escape(config.to_yaml())}</pre>"))
    title = f"{config.student}, {config.method}, seed {config.seed}"
    write_text(folder.report, document(title, sections))


def document(title: str, sections: Sequence[str]) -> str:
    """Return a whole page."""
    title = html.escape(title)
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        f"<style>{STYLE}</style><h1>{title}</h1>{''.join(sections)}</html>\n"
    )


def _decoded(inputs: Inputs, shown: torch.Tensor, student: Student, teaching: Teaching) -> str:
    device = inputs.train.points.device
    with torch.no_grad():
        clouds = inputs.train.points[shown.to(device)]
        from_image = teaching.generator(teaching.images.features[shown.to(device)])
        from_points = teaching.generator(student.encode(clouds))
    columns = {
        "cloud": clouds[..., :3].cpu(),
        "from its images": from_image.cpu(),
        "from its points": from_points.cpu(),
    }
    names = [inputs.classes[int(label)] for label in inputs.train.labels[shown.to(device)]]
    note = (
        "The generator learned to decode image features; feature enhancement asks that the "
        "student's point feature decodes to the same cloud."
    )
    return f"<p class=note>{note}</p>{image(figures.clouds(columns, names))}"


def _wrong(student: Student, inputs: Inputs) -> str:
    found = mistakes(student, inputs.test, SHOWN)
    if not found:
        return "<p class=note>Nothing among the test clouds that were looked at.</p>"
    chosen = torch.tensor([one.index for one in found]).to(inputs.test.points.device)
    names = [f"{one.right}, taken for {one.said}" for one in found]
    return image(figures.clouds({"": inputs.test.points[chosen][..., :3].cpu()}, names))


def _next(folder: RunFolder) -> str:
    commands = (
        f"pointcmt-export {folder.root} -o exported",
        "pointcmt-classify exported FILE --top 3",
        "pointcmt-serve exported",
    )
    return f"<pre>{html.escape(chr(10).join(commands))}</pre>"


def _table(config: Config, inputs: Inputs, result: dict[str, Any]) -> str:
    rows = [
        ("Trained on", f"{inputs.train.dataset.name}, {len(inputs.train)} clouds"),
        *_unlabelled(inputs),
        ("Tested on", f"{inputs.test.dataset.name}, {len(inputs.test)} clouds"),
        ("Student OA / mAcc", _accuracies(result["student"])),
        *_voted(result),
    ]
    if result["teacher"]:
        rows.append(("Teacher OA / mAcc", _accuracies(result["teacher"])))
    rows.append(("Epoch kept", PROTOCOL[config.selected_on]))
    rows.append(("Student parameters", f"{result['parameters']:,}"))
    for stage, seconds in result["seconds"].items():
        if seconds["wall_seconds"]:
            took = f"{seconds['wall_seconds']:.0f} s, {seconds['cpu_seconds']:.0f} s of CPU"
            rows.append((f"Time of {stage}", took))
    return table(rows)


def _unlabelled(inputs: Inputs) -> Iterator[tuple[str, str]]:
    if count := len(inputs.pool) - len(inputs.train):
        yield "Beside it, without labels", f"{count} clouds"


def table(rows: Sequence[tuple[str, str]]) -> str:
    """Return an HTML table of names and values."""
    cells = "".join(
        f"<tr><th>{html.escape(name)}<td class=number>{html.escape(value)}" for name, value in rows
    )
    return f"<table>{cells}</table>"


def _accuracies(measured: dict[str, float]) -> str:
    return f"{measured['overall']:.1%} / {measured['mean_class']:.1%}"


def _voted(result: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if voted := result.get("voted"):
        yield f"Student OA / mAcc, {voted['votes']} votes averaged", _accuracies(voted)
    if best := result.get("published"):
        name = f"LARGEST OA / mAcc of {best['repeats']} votings, as published"
        yield name, f"{_accuracies(best)}; do not compare with honest figures"


def section(title: str, body: str) -> str:
    """Return a section of a page: a heading, escaped, and HTML below it."""
    return f"<section><h2>{html.escape(title)}</h2>{body}</section>"


def image(figure: Figure) -> str:
    """Embed a figure as PNG; identical runs give identical bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="" src="data:image/png;base64,{data}">'
