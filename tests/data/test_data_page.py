"""The data page: every example runs, or needs data and then names what exists."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import pointcmt.data as data
from pointcmt.data.tools.table import renewed

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
NEEDS_FILES = re.compile(r'"(data|my-objects)')
RUNNABLE = [block for block in BLOCKS if not NEEDS_FILES.search(block)]


@pytest.mark.parametrize("block", RUNNABLE)
def test_examples_on_the_embedded_set_run(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pointcmt.data.readers.shapes.PER_CLASS", {"train": 3, "test": 3})
    exec(compile(block, str(PAGE), "exec"), {})  # noqa: S102


@pytest.mark.parametrize("block", [block for block in BLOCKS if block not in RUNNABLE])
def test_other_examples_call_the_classes_as_they_are(block):
    tree = ast.parse(block)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    named = [c for c in calls if isinstance(c.func, ast.Name) and hasattr(data, c.func.id)]
    assert named
    for call in named:
        signature = inspect.signature(getattr(data, call.func.id))
        signature.bind(*call.args, **{k.arg: k.value for k in call.keywords})


def test_every_public_class_has_its_example():
    text = "".join(BLOCKS)
    classes = [n for n in data.__all__ if inspect.isclass(getattr(data, n))]
    helpers = {"CloudDataset", "DataSet", "DecodedViews", "Sample", "ViewSource"}
    assert not [
        name for name in classes if name not in helpers and not re.search(rf"{name}(\.of)?\(", text)
    ]


def test_the_table_is_the_catalogue():
    assert renewed(PAGE.read_text()) == PAGE.read_text()
