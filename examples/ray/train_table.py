"""Train the runs of one of the paper's tables with Ray, on as many machines as it has.

    python examples/ray/train_table.py 4 /data/tables data.root=/data/clouds
    pointcmt-train table 4 data.root=/data/clouds -o /data/tables

The second command finds every run finished, and writes the table. /data is a folder that every
machine has. A run whose worker dies is started again, and goes on from its last saved epoch.
"""

import sys
from pathlib import Path

import ray

from pointcmt.errors import InputError
from pointcmt_training.tables.grid import plan
from pointcmt_training.tables.jobs import Job
from pointcmt_training.tables.paper import load_table
from pointcmt_training.tables.words import Asked
from pointcmt_training.tables.work import finished, train

CPUS, GPUS, ATTEMPTS = 1, 0, 4  # of each run


@ray.remote(num_cpus=CPUS, num_gpus=GPUS, max_calls=1, max_retries=ATTEMPTS - 1)
def attempt(job: Job, root: Path, failed: str) -> str:
    """Do a job in a process of its own; return why it failed, as the one it needs perhaps did."""
    try:
        if not failed and not finished(job, root):
            train(job, root)
    except InputError as error:
        return str(error)
    return failed


def main(number: str, folder: str, *overrides: str) -> int:
    """Train all runs of a table, tell how each ended, and return 1 if one failed, else 0."""
    root = Path(folder)
    grid = plan(load_table(number), Asked(overrides, root=root))
    ended = {"": ""}  # a job's name -> why it failed, once it is known
    for name, job in grid.jobs.items():  # each stands behind the one it needs
        ended[name] = attempt.remote(job, root, ended[job.needs])
    reasons = {name: ray.get(ended[name]) for name in grid.jobs}
    for name, reason in reasons.items():
        print(f"{name}: {reason or 'done'}")
    return 1 if any(reasons.values()) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
