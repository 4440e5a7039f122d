"""A benchmark for the eye: a table in Markdown and a plot."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

Record = dict[str, Any]
Column = tuple[str, Callable[[Record], str]]

SPEED: tuple[Column, ...] = (
    ("batch", lambda r: str(r["batch"])),
    ("engine", lambda r: r["engine"]),
    ("on", lambda r: r["target"]),
    ("p50 ms", lambda r: f"{r['p50_ms']:.2f}"),
    ("p90 ms", lambda r: f"{r['p90_ms']:.2f}"),
    ("p99 ms", lambda r: f"{r['p99_ms']:.2f}"),
    ("CPU ms", lambda r: f"{r['cpu_ms']:.2f}"),
    ("samples/s", lambda r: f"{r['samples_per_s']:.1f}"),
    ("without copies", lambda r: _resident(r, "samples_per_s")),
)
REST: tuple[Column, ...] = (
    ("peak MiB", lambda r: f"{r['peak_mib']:.0f}"),
    ("first call s", lambda r: f"{r['first_call_s']:.2f}"),
    ("calls", lambda r: str(r["calls"])),
    ("max logit difference", lambda r: _agreement(r)),
)


def markdown(report: dict[str, Any]) -> str:
    """Return the report of `pointcmt_export.bench.run.benchmark` as Markdown."""
    measured = [r for r in report["results"] if r["status"] == "measured"]
    others = [r for r in report["results"] if r["status"] != "measured"]
    parts = [_conditions(report)]
    if measured:
        parts.append(_table(measured))
    if others:
        parts.append("\n".join(f"- {_name(r)}: {r['status']}, {r['reason']}" for r in others))
    return "\n\n".join(parts)


def _conditions(report: dict[str, Any]) -> str:
    machine, protocol = report["machine"], report["protocol"]
    clock = f" at {machine['clock_mhz']:.0f} MHz" if machine["clock_mhz"] else ""
    gpu = f", {machine['gpu']['name']}" if machine["gpu"] else ""
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return (
        f"{machine['processor']}, {machine['cores']} cores{clock}{gpu}; {packages}. "
        f"Device {protocol['device']}, {protocol['threads']} threads, {protocol['points']} points "
        f"a cloud. {protocol['warm_up_calls']} warm-up calls, then at least "
        f"{protocol['seconds']:g} s and {protocol['fewest_calls']} calls; {protocol['clock']}; "
        f"{protocol['copies']}. Memory: {protocol['memory']}. Load average before: "
        f"{machine['load_average']:.1f}."
    )


def _table(records: list[Record]) -> str:
    rows = sorted(records, key=lambda r: (r["batch"], -r["samples_per_s"]))
    bases = dict.fromkeys(base for r in rows for base in r["speed_over"])
    ratios: list[Column] = [(f"x {base}", partial(_ratio, base=base)) for base in bases]
    columns = [(name, [cell(r) for r in rows]) for name, cell in (*SPEED, *ratios, *REST)]
    shown = [(name, cells) for name, cells in columns if any(cells)]
    lines = [[name for name, _ in shown], ["---"] * len(shown)]
    lines += [list(line) for line in zip(*(cells for _, cells in shown), strict=True)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _ratio(record: Record, base: str) -> str:
    return f"{record['speed_over'][base]:.2f}" if base in record["speed_over"] else ""


def _resident(record: Record, key: str) -> str:
    return f"{record['resident'][key]:.1f}" if "resident" in record else ""


def _agreement(record: Record) -> str:
    agreement = record.get("agreement")
    return f"{agreement['max_difference']:.1g}" if agreement else ""


def _name(record: Record) -> str:
    on = f" on {record['target']}" if record["target"] else ""
    return f"{record['engine']}{on}"


def plot(report: dict[str, Any], path: Path) -> None:
    """Draw samples per second over the batch size, and the latency of the smallest batch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    measured = [r for r in report["results"] if r["status"] == "measured"]
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _draw_throughput(left, measured)
    _draw_latency(right, measured)
    machine, protocol = report["machine"], report["protocol"]
    figure.suptitle(
        f"{machine['processor']}, {protocol['threads']} threads, device {protocol['device']}, "
        f"{protocol['points']} points a cloud",
        fontsize=10,
    )
    figure.savefig(path, format="png", dpi=120)


def _draw_throughput(axes: Any, records: list[Record]) -> None:
    for label, series in _series(records):
        batches = [str(r["batch"]) for r in series]
        axes.plot(batches, [r["samples_per_s"] for r in series], marker="o", label=label)
    axes.set(xlabel="batch size", ylabel="samples/s", title="Throughput")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    if records:
        axes.legend(fontsize=8)


def _draw_latency(axes: Any, records: list[Record]) -> None:
    smallest = min((r["batch"] for r in records), default=1)
    rows = sorted((r for r in records if r["batch"] == smallest), key=lambda r: -r["p50_ms"])
    labels = [_label(r, records) for r in rows]
    tail = [r["p99_ms"] - r["p50_ms"] for r in rows]
    axes.barh(labels, [r["p50_ms"] for r in rows], xerr=[[0] * len(rows), tail], capsize=3)
    axes.set(xlabel="ms (bar: p50, whisker: p99)", title=f"Latency at batch {smallest}")
    axes.grid(alpha=0.3, axis="x")


def _series(records: list[Record]) -> Iterable[tuple[str, list[Record]]]:
    labels = dict.fromkeys(_label(r, records) for r in records)
    return ((name, [r for r in records if _label(r, records) == name]) for name in labels)


def _label(record: Record, records: list[Record]) -> str:
    """The engine's name, with the target's where one engine ran on several."""
    targets = {r["target"] for r in records if r["engine"] == record["engine"]}
    return f"{record['engine']} ({record['target']})" if len(targets) > 1 else record["engine"]
