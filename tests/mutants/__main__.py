"""Plants every error of `errors.yaml` in a copy of the tree and runs the tests that must notice.

    python -m tests.mutants [WORD ...]    all errors, or those whose name holds one of the words

Prints a line an error and, when all were planted, writes `tests/mutants/result.md`. The exit status
is 0 only if every error was noticed.
"""

import importlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from tests.mutants.errors import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "tests" / "mutants" / "result.md"
IN_EVERY_PROCESS = """import sys
sys.meta_path[:] = [f for f in sys.meta_path if "ScikitBuild" not in type(f).__name__]
"""
HEAVY = ("torch._dynamo", "pydantic", "scipy.spatial", "h5py", "matplotlib.figure", "pytest")


def main(words: list[str]) -> int:
    """Plant the chosen errors; return the exit status."""
    from pointcmt.native import library

    if loaded := library.load():
        os.environ["POINTCMT_NATIVE"] = str(Path(loaded._name).resolve())
    for name in HEAVY:  # once, for all the processes forked below
        importlib.import_module(name)
    chosen = [m for m in MUTANTS if not words or any(word in m.name for word in words)]
    if not chosen:
        sys.stdout.write(f"no error's name holds {' or '.join(words)}\n")
        return 1
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        tree = Path(scratch) / "tree"
        _copy(tree)
        every = sorted({test for mutant in chosen for test in mutant.tests})
        if failed := _tested(tree, every):
            sys.stdout.write(f"nothing planted: {failed} fails without any error\n")
            return 1
        outcomes = [(mutant, _planted(mutant, tree)) for mutant in chosen]
    if not words:
        RESULT.write_text(_page(outcomes))
    return int(any(not noticed for _, noticed in outcomes))


def _copy(tree: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in listed.stdout.decode().split("\0"):
        source = ROOT / name
        if name.endswith((".py", ".yaml", ".toml", ".json", ".md")) and source.is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, tree / name)


def _planted(mutant: Mutant, tree: Path) -> str:
    """Plant one error, run its tests, take it back; return the test that noticed it, or ""."""
    file = tree / mutant.file
    good = file.read_text()
    if good.count(mutant.old) != 1:
        raise SystemExit(f"{mutant.file}: {mutant.old!r} must stand there exactly once")
    file.write_text(good.replace(mutant.old, mutant.new))
    begun = time.monotonic()
    noticed = _tested(tree, list(mutant.tests))
    file.write_text(good)
    word = "killed  " if noticed else "SURVIVED"
    sys.stdout.write(f"{word} {time.monotonic() - begun:5.1f} s  {mutant.name}\n")
    sys.stdout.flush()
    return noticed


def _tested(tree: Path, tests: list[str]) -> str:
    """Run tests in the tree in a process of their own; return the first that fails, or ""."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.write(writer, _first_failure(tree, tests).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answer = pipe.read()
    return answer if os.waitpid(child, 0)[1] == 0 else "a process that died"


def _first_failure(tree: Path, tests: list[str]) -> str:
    """Run in the child: forget the packages of the checkout, import those of the tree."""
    import pytest

    os.chdir(tree)
    sys.dont_write_bytecode = True
    sys.meta_path = [f for f in sys.meta_path if "ScikitBuild" not in type(f).__name__]
    rooms = [str(tree / part) for part in ("", "training", "export", "serve")]
    sys.path[:0] = rooms
    (tree / "sitecustomize.py").write_text(IN_EVERY_PROCESS)  # those that the tests start
    os.environ["PYTHONPATH"] = os.pathsep.join(rooms)
    for name in [n for n in sys.modules if n.split(".")[0].startswith(("pointcmt", "tests"))]:
        del sys.modules[name]
    failures = _Failures()
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        status = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests], plugins=[failures])
    return "" if status == 0 else (failures.first or f"pytest ended with {status}")


class _Failures:
    """A pytest plugin that keeps the first failure's name."""

    first = ""

    def pytest_runtest_logreport(self, report: object) -> None:
        if getattr(report, "failed", False) and not self.first:
            self.first = str(getattr(report, "nodeid", ""))

    pytest_collectreport: Callable[[object, object], None] = pytest_runtest_logreport


def _page(outcomes: list[tuple[Mutant, str]]) -> str:
    import torch

    killed = sum(bool(noticed) for _, noticed in outcomes)
    rows = "".join(
        f"| {mutant.name} | `{mutant.file}` | {f'`{noticed}`' if noticed else '**survived**'} |\n"
        for mutant, noticed in outcomes
    )
    return (
        "# Planted errors\n\n"
        f"`make mutants` planted {len(outcomes)} errors, one at a time; the tests noticed {killed}."
        f"\n{time.strftime('%Y-%m-%d')}, {platform.system()} on {platform.machine()}, "
        f"{os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}."
        f"\n\n| error | planted in | first test that fails |\n|---|---|---|\n{rows}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
