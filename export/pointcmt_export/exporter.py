"""One export: strip, convert, verify, write; a failed check leaves nothing behind."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import onnx
import torch
from torch import nn

from pointcmt import __version__
from pointcmt.errors import InputError
from pointcmt.files import write_beside
from pointcmt_export.convert.host_steps import host_steps
from pointcmt_export.convert.maxima import find_maxima
from pointcmt_export.convert.networks import deployable, has_own_network
from pointcmt_export.convert.to_onnx import Converted, set_metadata, to_onnx
from pointcmt_export.convert.trace import trace
from pointcmt_export.door import keep_options, require_replaceable
from pointcmt_export.formats import ALL, Format, Job, Write, chosen_formats
from pointcmt_export.model_card import model_card
from pointcmt_export.options import Options, Precision
from pointcmt_export.reduced import reducer
from pointcmt_export.report import Report, hashes
from pointcmt_export.source import Source, open_source
from pointcmt_export.verify import Check, Clouds, Thresholds, failed, open_data
from pointcmt_export.verify.check import EXACT, FEATURE_NEIGHBOURS, HALF, limited
from pointcmt_export.verify.gate import Expectation, opening_check, structure_checks

MODEL_FILE = "model.onnx"
UNMEASURED = (
    "nobody has measured the accuracy of this student, whatever was published of it; "
    "name its data set with --data"
)


class GateError(InputError):
    """A check failed; `report` says which and how."""

    def __init__(self, report: Report) -> None:
        faults = "; ".join(f"{check.name}: {check.detail}" for check in failed(report.checks))
        super().__init__(f"the artefact is not what was trained, nothing was written ({faults})")
        self.report = report


def export(model: Path | str, out: Path | str, options: Options | None = None) -> Report:
    """Export a student into a folder and prove that it is the one that was trained.

    Args:
        model: a run folder, a model folder or a training checkpoint.
        out: the folder to write; an earlier export there is replaced when this one succeeds.
        options: what is wanted.

    Returns:
        The report that also lies in the folder.

    Raises:
        GateError: a check failed; `out` is as it was.
        InputError: something about the input, the machine or the disk forbids the export.
    """
    options = options or Options()
    require_replaceable(Path(out), Path(model))
    source = open_source(model, options.allow)
    writers = [_writer(each, source, options) for each in chosen_formats(options.format)]
    reduce = reducer(source, options, partial(_graph, source, options))
    writers += [reduce] if reduce else []
    clouds = open_data(options.data, source.config, options.limit)
    try:
        with write_beside(out) as fresh:
            fresh.mkdir()
            report = _export(source, clouds, options, writers, fresh)
            keep_options(Path(out), fresh)
            return report
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
            raise
        raise InputError("more memory is needed than there is; try smaller --batches") from error


def _export(
    source: Source, clouds: Clouds, options: Options, writers: Sequence[Write], folder: Path
) -> Report:
    graph, expected = convert(source, options.of_onnx_file())
    set_metadata(graph.model, metadata(source, graph, options.of_onnx_file()))
    onnx.save(graph.model, folder / MODEL_FILE)
    checks = structure_checks(folder / MODEL_FILE, expected)
    job = Job(graph.model, partial(_full, source, options), folder, expected, clouds, options)
    for write in writers:
        checks += [] if failed(checks) else write(job)
    if not failed(checks):
        checks.append(opening_check(folder, clouds))
    told = {key: getattr(options, key) for key in ("format", "sampling", "precision")}
    told |= {"calibration": options.calibration} if options.calibration else {}
    name = source.config.student
    warnings = () if source.measured or options.data else (UNMEASURED,)
    report = Report(name, source.to_json(), told, expected.thresholds, tuple(checks), {}, warnings)
    if failed(checks):
        raise GateError(report)
    (folder / "README.md").write_text(model_card(source, report))
    report = replace(report, files=hashes(folder))
    report.write(folder)
    return report


def convert(source: Source, options: Options) -> tuple[Converted, Expectation]:
    """Convert a student to ONNX, and say what the file must be.

    Raises:
        InputError: the student cannot be converted as asked.
    """
    module = _prepared(source, options)
    # With free dimensions torch's cache of shapes costs more than it spares: a fifth of all.
    with torch._dynamo.config.patch(fake_tensor_cache_enabled=False):
        traced = trace(module, source.channels, source.student.min_points)
        steps, on_xyz = host_steps(traced)
        host = options.graph_sampling == "host"
        maxima = find_maxima(traced, steps)
        graph = to_onnx(traced, maxima, steps, on_xyz) if host else to_onnx(traced, maxima)
    expected = Expectation(
        student=source.student,
        config=source.config,
        weights=module.state_dict(),
        inputs=("points", *(step.input for step in graph.host)),
        steps=tuple(steps),
        shapes=tuple(options.grid.shapes(source.student.min_points)),
        thresholds=_thresholds(options, len(steps) < len(traced.indices)),
    )
    return graph, expected


def metadata(source: Source, graph: Converted, options: Options) -> dict[str, object]:
    """Return what the file says of itself, see `to_onnx.set_metadata`."""
    config = source.config
    return {  # what an older file lacks comes first: a file cut short lacks the rest as well
        "explain": graph.maxima,
        "channels": list(config.channels),
        "up": json.dumps(config.up),
        "parts": {name: list(parts) for name, parts in config.parts.items()},
        "classes": list(config.classes),
        "points": str(config.points),
        "normalization": config.normalization,
        "student": config.student,
        "version": __version__,
        "provenance": dict(config.provenance),
        "weights_sha256": source.fingerprint(),
        "min_points": str(source.student.min_points),
        "sampling": options.graph_sampling,
        "precision": options.precision,
        "inputs": [step.to_json() for step in graph.host],
        "indices": list(graph.indices),
    }


def _prepared(source: Source, options: Options) -> nn.Module:
    module = deployable(source.student)
    if options.precision == "fp32":
        return module
    if not has_own_network(source.student):
        raise InputError(
            f"--precision {options.precision}: {source.config.student} has no deployable network "
            "of its own, so nothing keeps its index selection in float32; export it in fp32"
        )
    return module.half() if options.precision == "fp16" else module.bfloat16()


def _writer(form: Format, source: Source, options: Options) -> Write:
    """Return a format's writer; among "all", one that cannot be made here says why."""
    try:
        return form.writer(source, options)
    except InputError as error:
        if options.format != ALL:
            raise
        reason = str(error)
        return lambda _: [Check(form.name, "not run", reason, engine=form.engine)]


def _graph(
    source: Source, options: Options, precision: Precision
) -> tuple[onnx.ModelProto, Expectation]:
    """Convert the student in a precision."""
    chosen = replace(options, precision=precision, calibration=None)
    graph, expected = convert(source, chosen)
    set_metadata(graph.model, metadata(source, graph, chosen))
    return graph.model, expected


def _full(source: Source, options: Options) -> onnx.ModelProto:
    """Convert the student in float32, to compare the sizes of engines."""
    return convert(source, replace(options, precision="fp32"))[0].model


def _thresholds(options: Options, searches_features: bool) -> Thresholds:
    chosen = FEATURE_NEIGHBOURS if searches_features else EXACT
    if options.precision == "fp16":
        chosen = HALF
    return limited(chosen, options.limits)
