"""Examples in docstrings: every public class has one, and it gives what it says."""

import doctest
import importlib
import inspect
import runpy
from pathlib import Path

import pytest
import torch

HOOKS = Path(__file__).parents[2] / "docs" / "hooks.py"
pytest.importorskip("latex2mathml")
pytest.importorskip("mkdocs")
PACKAGES = runpy.run_path(str(HOOKS))["public_packages"]()


def _classes(package):
    """The classes of the project among the public names of a package."""
    module = importlib.import_module(package)
    for name in PACKAGES[package]:
        found = getattr(module, name)
        if inspect.isclass(found) and found.__module__.split(".")[0] in ("lightning_gantk", "datamodules"):
            yield found


@pytest.mark.parametrize("package", PACKAGES)
def test_examples_of_every_public_class_give_what_they_say(package, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner, wrong = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS), []
    for found in _classes(package):
        name = f"{found.__module__}.{found.__name__}"
        example = doctest.DocTestParser().get_doctest(inspect.getdoc(found) or "", {}, name, None, 0)
        torch.manual_seed(0)
        runner.run(example, out=wrong.append)
        if not example.examples or ">>>" not in (found.__doc__ or ""):
            wrong.append(f"{name} has no example.\n")
    assert not wrong, "".join(wrong)
