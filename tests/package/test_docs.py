"""The documentation: every public name has its place in the reference, and tutorials run at a small size."""

import importlib
import inspect
import os
import re
import runpy
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from links import dead_links

import lightning_gantk
from lightning_gantk.discriminators import Discriminator
from lightning_gantk.generators import Generator

ROOT = Path(__file__).parents[2]
TUTORIALS = {
    "first_gan": ["--steps", "3", "--output"],
    "point_of_view": ["--side", "8", "--output"],
    "width": ["--widths", "8", "16", "--draws", "1", "--output"],
    "own_parts": [],
    "from_equation": ["--steps", "2"],
    "own_pictures": ["--steps", "2", "--output"],
    "comparison": ["--steps", "2", "--seeds", "1", "--output"],
    "collapse": ["--steps", "5", "--couplings", "0.5", "--output"],
    "cluster": ["--steps", "2", "--devices", "2"],
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


def test_symbols_of_the_mathematics_are_in_the_files_that_it_names():
    rows = (ROOT / "docs" / "mathematics.md").read_text().split("## Symbols")[1].splitlines()
    rows = [row.rsplit("|", 3)[1:3] for row in rows if row.startswith("| ") and ".py" in row]
    assert len(rows) > 20
    for names, file in rows:
        code = (ROOT / file.strip(" `")).read_text()
        for name in re.findall(r"`(\w+)`", names):
            assert re.search(rf"\b{name}\b", code), f"{file} has no {name}"


def test_version_is_the_same_everywhere():
    citation = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    section = re.search(r"^## \[(.+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert citation and section and citation[1] == section[1] == lightning_gantk.__version__


@pytest.fixture(scope="module")
def gallery():
    return runpy.run_path(str(ROOT / "docs" / "gallery.py"))


def _parts(package, base=object):
    """The classes of a package that one can make something of."""
    module = importlib.import_module(f"lightning_gantk.{package}")
    classes = {name: part for name in module.__all__ if inspect.isclass(part := getattr(module, name))}
    own = {name: part for name, part in classes.items() if part.__module__.startswith("lightning_gantk.")}
    return {name for name, part in own.items() if issubclass(part, base) and not inspect.isabstract(part)}


def test_gallery_has_every_part(gallery):
    without = gallery["WITHOUT_A_PICTURE"].keys()
    assert _parts("kernels") == gallery["KERNELS"].keys()
    assert _parts("losses") == gallery["LOSSES"].keys()
    assert _parts("architectures") - {"Network"} == gallery["ARCHITECTURES"].keys()
    assert _parts("generators", Generator) - without == gallery["GENERATORS"].keys()
    assert _parts("discriminators", Discriminator) - without == gallery["SYSTEMS"].keys()


@pytest.mark.slow
def test_gallery_is_drawn(gallery, tmp_path):
    gallery["main"](["--output", str(tmp_path), "--steps", "1", "--side", "6"])
    drawn = sorted(path.name for path in tmp_path.iterdir())
    assert drawn == sorted(path.name for path in (ROOT / "docs" / "images" / "gallery").iterdir())


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
    assert not list(dead_links(tmp_path / "site"))


def test_a_dead_link_is_found(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "index.html").write_text(
        '<a href="b/#there"> <a href="b/#gone"> <img src="no.png"> <a href="https://x.y/z">'
    )
    (tmp_path / "b" / "index.html").write_text('<h1 id="there"> <a href="../index.html"> <a href="..#nowhere">')
    assert sorted(dead_links(tmp_path)) == ["b/index.html: ..#nowhere", "index.html: b/#gone", "index.html: no.png"]


@pytest.mark.slow
@pytest.mark.parametrize("name", TUTORIALS)
def test_tutorial_runs(name, tmp_path):
    script, arguments = ROOT / "docs" / "tutorials" / f"{name}.py", TUTORIALS[name]
    draws = arguments[-1:] == ["--output"]
    arguments = [*arguments, str(tmp_path / "picture.png")] if draws else arguments
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not draws or (tmp_path / "picture.png").stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["own_parts", "from_equation"])
def test_contracts_of_a_tutorial_hold(name, tmp_path):
    script = ROOT / "docs" / "tutorials" / f"{name}.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-o", "addopts=", str(script)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
