"""The pages: their links lead somewhere, the API's names exist, and the site builds."""

import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import pointcmt_serve
from pointcmt import ops

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
ROWED = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_to_files(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]

    absent = [link for link in links if not (page.parent / link).exists()]

    assert not absent


def documented() -> list[str]:
    pages = ROOT.glob("docs/api/*.md")
    return [name for page in pages for name in re.findall(r"^::: (\S+)$", page.read_text(), re.M)]


@pytest.mark.parametrize("name", documented())
def test_a_name_of_the_reference_exists_and_has_a_docstring(name: str) -> None:
    assert pkgutil.resolve_name(name).__doc__


@pytest.mark.parametrize("package", [ops, pointcmt_serve], ids=lambda package: package.__name__)
def test_the_reference_has_every_public_name(package: ModuleType) -> None:
    public = {f"{package.__name__}.{name}" for name in package.__all__}

    assert public <= set(documented())


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path)]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "farthest_point_sample" in (tmp_path / "api" / "ops.html").read_text()


@pytest.mark.parametrize(
    "package",
    [
        "pointcmt",
        "training/pointcmt_training",
        "export/pointcmt_export",
        "serve/pointcmt_serve",
        "serve/pointcmt_serve/http",
    ],
)
def test_every_package_has_its_row_in_the_architecture(package: str) -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    rooms = {
        name for row in re.findall(r"^\| (`.*?) \|", page, re.M) for name in ROWED.findall(row)
    }
    prefix = "http/" if package.endswith("http") else ""
    packages = {f"{prefix}{init.parent.name}" for init in (ROOT / package).glob("*/__init__.py")}

    assert packages
    assert packages <= rooms
