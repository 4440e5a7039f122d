"""A benchmark for the eye: each figure under its heading, at its place in the plot."""

from typing import Any

import pytest
from matplotlib.figure import Figure

from pointcmt_export.bench.report import _draw_latency, _draw_throughput, markdown

MACHINE = {"processor": "p", "cores": 2, "clock_mhz": None, "gpu": None, "packages": {}}
PROTOCOL = dict.fromkeys(("device", "threads", "points", "clock", "copies", "memory"), "x")
PROTOCOL |= {"warm_up_calls": 3, "seconds": 1.0, "fewest_calls": 5}  # type: ignore[dict-item]


def record(engine: str, batch: int, rate: float, target: str = "a", **more: Any) -> dict[str, Any]:
    figures = {"p50_ms": 2.0, "p90_ms": 3.0, "p99_ms": 5.0, "cpu_ms": 7.0, "peak_mib": 11.0}
    figures |= {"first_call_s": 13.0, "calls": 17, "speed_over": {"torch-eager": 1.5}}
    told = {"engine": engine, "batch": batch, "samples_per_s": rate, "target": target}
    return {"status": "measured", **figures, **told, **more}


def test_each_figure_stands_under_its_heading_the_fastest_of_a_batch_first() -> None:
    agreement = {"max_difference": 2e-6, "argmax": 1.0}
    results = [
        record("slow", 8, 10.0),
        record("fast", 8, 20.0, agreement=agreement, resident={"samples_per_s": 40.0}),
        record("one", 1, 30.0),
    ]
    machine = MACHINE | {"load_average": 0.0}
    text = markdown({"machine": machine, "protocol": PROTOCOL, "results": results})
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    head, _, *rows = lines
    assert [row[1] for row in rows] == ["one", "fast", "slow"]
    assert dict(zip(head, rows[1], strict=True)) == {
        "batch": "8",
        "engine": "fast",
        "on": "a",
        "p50 ms": "2.00",
        "p90 ms": "3.00",
        "p99 ms": "5.00",
        "CPU ms": "7.00",
        "samples/s": "20.0",
        "without copies": "40.0",
        "x torch-eager": "1.50",
        "peak MiB": "11",
        "first call s": "13.00",
        "calls": "17",
        "max logit difference": "2e-06",
    }


def test_the_plot_has_each_engine_on_each_target_and_the_latency_of_the_smallest_batch() -> None:
    left, right = Figure().subplots(1, 2)
    results = [
        record("onnx", batch, 10.0 * batch, target, p50_ms=float(batch), p99_ms=batch + 3.0)
        for target in ("a", "b")
        for batch in (1, 8)
    ]
    _draw_throughput(left, results)
    assert [line.get_label() for line in left.lines] == ["onnx (a)", "onnx (b)"]
    assert [list(line.get_ydata()) for line in left.lines] == [[10.0, 80.0]] * 2
    _draw_latency(right, results)
    assert [bar.get_width() for bar in right.patches] == [1.0, 1.0]
    (whiskers,) = (bar.errorbar for bar in right.containers if getattr(bar, "errorbar", None))
    ends = whiskers.lines[2][0].get_segments()
    assert [tuple(end[:, 0]) for end in ends] == [pytest.approx((1.0, 4.0))] * 2
