"""Run several of PointCMT's commands at once with Ray, on as many machines as it has.

    python examples/ray/run_commands.py commands.txt

commands.txt has a command a line, as it would be typed. All that a command names lies in a folder
that every machine has, and is given by its whole path. When a worker dies its command is started
again, and goes on with what is there.
"""

import shlex
import sys
from importlib.metadata import entry_points
from pathlib import Path

import ray

CPUS, GPUS, ATTEMPTS = 1, 0, 4  # of each command


@ray.remote(num_cpus=CPUS, num_gpus=GPUS, max_calls=1, max_retries=ATTEMPTS - 1)
def run(line: str) -> object:
    """Run a command in a process of its own; return its exit status, 0 if all went well."""
    sys.argv = shlex.split(line)
    (command,) = entry_points(group="console_scripts", name=sys.argv[0])
    try:
        command.load()()
    except SystemExit as end:
        return end.code or 0
    return 0


def main(file: str) -> int:
    """Run the lines of `file`, tell how each ended, and return 1 if one failed, else 0."""
    lines = [line for line in Path(file).read_text().splitlines() if line.strip()]
    ended = [run.remote(line) for line in lines]
    statuses = [ray.get(one) for one in ended]
    for line, status in zip(lines, statuses, strict=True):
        print(f"{status}  {line}")
    return 1 if any(statuses) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
