"""Arms that are trained for the same seeds: the loop over them, and how the page is written."""

import argparse
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch

from benchmarks.machine import processor

Figures = Mapping[str, Sequence[Mapping[str, float]]]
Measure = Callable[[str, int, Path], dict[str, float]]


def compare(
    doc: str,
    title: str,
    arms: Iterable[str],
    measure: Measure,
    table: Callable[[Figures], str],
    *,
    seeds: int,
) -> None:
    """Read the command line, measure every arm for every seed, write NAME.json and NAME.md.

    Args:
        doc: of the script: one line, the command `python -m benchmarks.NAME ...`, the protocol.
        title: of the page.
        arms: what is compared.
        measure: (arm, seed, folder of the runs) -> figures.
        table: the figures of all arms, a list by seed each, as Markdown.
        seeds: how many, unless `--seeds` says so.
    """
    first, command, protocol = doc.strip().split("\n\n")
    name = command.split()[2].removeprefix("benchmarks.")
    parser = argparse.ArgumentParser(description=first)
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--runs", type=Path, default=Path("runs") / name)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    figures: dict[str, list[dict[str, float]]] = {arm: [] for arm in arms}
    for seed in range(arguments.seeds):
        for arm, found in figures.items():
            found.append(measure(arm, seed, arguments.runs))
    report = {"machine": f"{processor()}, one thread", "seeds": arguments.seeds, "figures": figures}
    (arguments.output / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n")
    text = f"# {title}\n\n{protocol.strip()}\n\n{table(figures)}\n\n{report['machine']}.\n"
    (arguments.output / f"{name}.md").write_text(text)
    print(text)
