"""The documentation: every public name has its place in the reference, and tutorials run at a small size."""

import importlib
import os
import re
import runpy
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TUTORIALS = {
    "first_gan": ["--steps", "3", "--output"],
    "point_of_view": ["--side", "8", "--output"],
    "width": ["--widths", "8", "16", "--draws", "1", "--output"],
    "own_parts": [],
}


def _hooks():
    pytest.importorskip("latex2mathml")
    pytest.importorskip("mkdocs")
    return runpy.run_path(str(ROOT / "docs" / "hooks.py"))


def test_every_tutorial_is_on_the_site_and_in_these_tests():
    scripts = {path.stem for path in (ROOT / "docs" / "tutorials").glob("*.py")}
    assert scripts == TUTORIALS.keys() == {path.stem for path in _hooks()["TUTORIALS"]}


def test_pages_of_the_reference_are_the_public_packages():
    packages = _hooks()["public_packages"]()
    assert {"lightning_gantk", "lightning_gantk.losses", "lightning_gantk.kernels", "datamodules"} <= packages.keys()
    for package, names in packages.items():
        module = importlib.import_module(package)
        assert sorted(getattr(module, "__all__", names)) == sorted(names) and all(hasattr(module, n) for n in names)


def test_formulas_become_mathml_and_scripts_pages():
    hooks = _hooks()
    page = hooks["on_page_content"](r'<span class="arithmatex">\(v \le \frac12\)</span>')
    assert page.startswith("<math") and "<mfrac>" in page
    text = hooks["tutorial"]('"""A title.\n\nWhat.\n"""\n\nimport math\n\n# A comment.\nx = 1\n')
    assert text == "# A title\n\n\nWhat.\n\n\n```python\nimport math\n```\n\nA comment.\n\n\n```python\nx = 1\n```\n"


@pytest.mark.slow
def test_site_is_built_strict_and_has_every_public_name(tmp_path):
    hooks = _hooks()
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    inventory = (tmp_path / "site" / "objects.inv").read_bytes().split(b"\n", 4)[4]
    known = {line.split()[0] for line in zlib.decompress(inventory).decode().splitlines()}
    names = {f"{package}.{name}" for package, names in hooks["public_packages"]().items() for name in names}
    assert not names - known
    elsewhere = re.compile(r'<(?:script|img|link rel="(?:stylesheet|icon|preconnect)")[^>]*?(?:src|href)="https?:')
    for page in (tmp_path / "site").rglob("*.html"):  # no script, style, font or picture of another host
        assert not elsewhere.search(page.read_text()), page


@pytest.mark.slow
@pytest.mark.parametrize("name", TUTORIALS)
def test_tutorial_runs(name, tmp_path):
    arguments = [*TUTORIALS[name], str(tmp_path / "picture.png")] if TUTORIALS[name] else []
    script = ROOT / "docs" / "tutorials" / f"{name}.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not arguments or (tmp_path / "picture.png").stat().st_size > 1000
