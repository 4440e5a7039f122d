"""The model card of an exported folder, which makes it a Hugging Face style folder."""

import json
from collections.abc import Mapping
from typing import Any

from pointcmt.geometry import XYZ
from pointcmt_export.formats import chosen_formats
from pointcmt_export.machine import describe_machine, versions
from pointcmt_export.report import Report
from pointcmt_export.source import Source
from pointcmt_serve.artefact import BESIDE, MODEL_FILE, file_name

METRICS = {
    "oa": ("accuracy", "Overall accuracy"),
    "macc": ("accuracy", "Mean class accuracy"),
    "instance_iou": ("iou", "Instance mIoU"),
    "class_iou": ("iou", "Class mIoU"),
}


def model_card(source: Source, report: Report) -> str:
    """Return the card in Markdown: use, figures of the checks, conditions, provenance.

    Its YAML header carries the measured accuracy as Hugging Face's `model-index`, where a data set
    was named; a check that was not run gives no figure.
    """
    parts = [
        f"---\n{_header(source, report)}---",
        f"# {source.config.student}, {len(source.config.classes)} classes, for inference",
        _summary(source),
        f"Classes: {', '.join(source.config.classes)}.",
        f"## Use\n\n{_use(source)}",
        f"## Engines\n\n{_engines(source, report)}",
        f"## Measured\n\n{_measured(report)}",
        f"## Provenance\n\n{_facts(source.config.provenance)}",
    ]
    return "\n\n".join(parts) + "\n"


def _header(source: Source, report: Report) -> str:
    """YAML, each value as JSON, which is YAML whatever the names hold."""
    header: dict[str, Any] = {
        "library_name": "pointcmt",
        "tags": ["point-cloud", _task(source), "onnx", source.config.student],
    }
    accuracy = _accuracy(report)
    if accuracy is not None:
        header["metrics"] = ["accuracy"]
        result = _result(accuracy, _task(source))
        header["model-index"] = [{"name": source.config.student, "results": [result]}]
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in header.items())


def _accuracy(report: Report) -> Mapping[str, Any] | None:
    figures = [c.figures for c in report.checks if c.name == "accuracy" and c.status == "passed"]
    return figures[0] if figures else None


def _task(source: Source) -> str:
    return "segmentation" if source.config.parts else "classification"


def _result(figures: Mapping[str, Any], task: str) -> dict[str, Any]:
    metrics = [
        {"type": kind, "name": f"{name} (%)", "value": round(figures["artefact"][key], 2)}
        for key, (kind, name) in METRICS.items()
        if key in figures["artefact"]
    ]
    return {
        "task": {"type": f"point-cloud-{task}", "name": f"Point cloud {task}"},
        "dataset": {"type": figures["data"], "name": figures["data"]},
        "metrics": metrics,
    }


def _summary(source: Source) -> str:
    config = source.config
    numbers = sum(p.numel() for p in source.student.parameters())
    what = "A part segmenter" if config.parts else "A classifier"
    logits = f"(B, N, {config.outputs})" if config.parts else f"(B, {config.outputs})"
    return (
        f"{what} of single objects from {config.points} points each, with {numbers:,} "
        "parameters. Trained with PointCMT, it needs no images. `pointcmt_serve` brings clouds of "
        f"any size to what the network wants: the normalisation `{config.normalization}`, then "
        f"{config.points} points of the cloud. The ONNX file takes prepared `points` (B, N, "
        f"{source.channels}) float32, {', '.join(config.channels)}, and gives `logits` "
        f"{logits}."
    )


def _use(source: Source) -> str:
    if source.config.parts:
        return (
            "```\npip install 'pointcmt[serve]'\n"
            f"pointcmt-segment FOLDER scan.ply --category '{source.config.classes[0]}'\n"
            "```\n\n```python\nfrom pointcmt_serve import Segmenter\n\n"
            "segmenter = Segmenter(FOLDER)\n"
            f"[found] = segmenter(points, {source.config.classes[0]!r})  # (N, 3), any N\n"
            "print(found.names[found.index])\n```"
        )
    channels = source.config.channels
    more = "" if channels == XYZ else f"  # C = {len(channels)}: {', '.join(channels)}"
    shape = "(N, 3), or (B, N, 3)" if channels == XYZ else "(N, C), or (B, N, C)"
    return (
        "```\npip install 'pointcmt[serve]'\npointcmt-classify FOLDER chair.off scan.ply\n"
        "pointcmt-serve FOLDER\n```\n\n"
        "```python\nfrom pointcmt_serve import Classifier\n\n"
        f"classifier = Classifier(FOLDER){more}\n"
        f"[prediction] = classifier(points)  # {shape}, or a list of clouds\n"
        "print(prediction.label, prediction.probability)\n```"
    )


def _engines(source: Source, report: Report) -> str:
    """What each written format was shown to give, by the engine that serves it."""
    formats, precision = chosen_formats(str(report.options["format"])), report.options["precision"]
    served = [(form, form.files, form.engine or "") for form in formats]
    if precision in BESIDE:
        file = file_name(MODEL_FILE, precision)
        served += [(form, (file,), f"{form.engine}, {precision}") for form in formats]
    rows = []
    for form, files, engine in served:
        shown = report.engines.get(engine, {})
        rates = shown.get("samples_per_s", {})
        cells = (
            ", ".join(f"`{file}`" for file in files),
            form.runs_with,
            engine,
            _cell(str(shown.get("reason") or shown.get("status", ""))),
            next((f"{shown[key]:.2f} %" for key in METRICS if key in shown), ""),
            f"{rates['artefact']:.1f}" if rates else "",
            f"{rates['checkpoint']:.1f}" if rates else "",
        )
        rows.append(f"| {' | '.join(cells)} |\n")
    score = "instance mIoU" if source.config.parts else "OA"
    head = ("files", "runs with", "engine", "status", score, "samples/s", "PyTorch's samples/s")
    return f"| {' | '.join(head)} |\n{'|---' * len(head)}|\n{''.join(rows)}".rstrip()


def _measured(report: Report) -> str:
    rows = "".join(f"| {c.name} | {c.status} | {_cell(c.detail)} |\n" for c in report.checks)
    place, packages = describe_machine(), versions()
    where = ", ".join([place["processor"], *([place["gpu"]["name"]] if place["gpu"] else [])])
    told = ", ".join(f"{key} {value}" for key, value in report.options.items())
    warnings = "".join(f"**Mind:** {text}.\n\n" for text in report.warnings)
    return warnings + (
        f"The exported files beside the checkpoint they were made of ({told}); a check that the "
        f"machine could not run says so.\n\n| check | status | figures |\n|---|---|---|\n{rows}\n"
        f"On {where}; {', '.join(f'{name} {version}' for name, version in packages.items())}. "
        "Every figure, limit and hash is in `export_report.json`."
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _facts(provenance: Mapping[str, Any]) -> str:
    lines = (f"- {key}: {_cell(str(value))}" for key, value in provenance.items())
    return "\n".join(lines) or "Not stated."
