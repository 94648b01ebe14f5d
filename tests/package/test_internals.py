"""Names that another library keeps to itself are used in one file for each library, and are missed in words."""

import ast
import functools
from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace

import pytest
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.core.mixins import hparams_mixin
from sources import PACKAGES, trees

from lightning_gantk import lightning_internals
from lightning_gantk.errors import ConfigError

_INTERNALS = {
    "lightning_gantk.lightning_internals",
    "lightning_gantk.torch_internals",
    "lightning_gantk.compare.run.submitit_internals",
    "lightning_gantk.kernels.neural_tangents",
}
_PUBLIC = {"_replace", "_asdict", "_fields", "_make", "_exit"}  # documented: of named tuples, against clashes; of os


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in _PUBLIC


def _defined(tree: ast.AST) -> Iterator[str]:
    """Names that a module gives to functions, variables and attributes of its own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.attr


def _used(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Private names that a module asks of an object or another module, with the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
        elif isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            for alias in node.names:
                yield from ((part, node.lineno) for part in f"{module}.{alias.name}".split("."))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr", "setattr", "delattr"):
            yield from ((word.value, node.lineno) for word in node.args[1:2] if isinstance(word, ast.Constant))


def _foreign(tree: ast.AST, own: set[str]) -> list[tuple[str, int]]:
    return [(name, line) for name, line in _used(tree) if _is_private(name) and name not in own]


def test_private_names_of_other_libraries_are_used_in_one_file_each():
    own = {name for module, tree in trees().items() if module not in _INTERNALS for name in _defined(tree)}
    found = {module: _foreign(tree, own) for module, tree in trees().items() if module not in _INTERNALS}
    assert {module: names for module, names in found.items() if names} == {}


def _bases(module: str, node: ast.ClassDef) -> Iterator[type]:
    """The classes that a class of a module stands on, wherever in it, and whatever it imports there, it is written."""
    known = dict(vars(import_module(module)))
    for inner in ast.walk(trees()[module]):
        if isinstance(inner, ast.ImportFrom):
            for alias in inner.names:
                known.setdefault(alias.asname or alias.name, getattr(import_module(inner.module), alias.name, None))
    for base in node.bases:
        first, *rest = ast.unparse(base).partition("[")[0].split(".")
        found = functools.reduce(getattr, rest, known.get(first))
        if isinstance(found, type):
            yield from found.__mro__


def test_private_methods_of_other_libraries_are_replaced_in_their_file_alone():
    found, seen = [], 0
    for module, tree in trees().items():
        if module in _INTERNALS or module.endswith("__main__"):
            continue
        for node in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.bases):
            bases = [base for base in _bases(module, node) if not base.__module__.startswith(PACKAGES)]
            foreign = {name for base in bases for name in dir(base)}
            found += [(module, name) for name in _defined(node) if _is_private(name) and name in foreign]
            seen += bool(bases)
    assert found == []
    assert seen > 100


@pytest.mark.parametrize(
    "source",
    [
        "trainer._results",
        "self._subcommand_parsers.get(1)",
        "from lightning.pytorch.core.mixins.hparams_mixin import _given_hyperparameters",
        "import jax._src.core",
        "getattr(trainer, '_results', None)",
        "loop._has_run = True",
    ],
)
def test_private_name_is_found(source):
    tree = ast.parse(source)
    assert _foreign(tree, set(_defined(tree)))


def _trainer() -> Trainer:
    loop = SimpleNamespace(val_loop=SimpleNamespace())
    return SimpleNamespace(fit_loop=SimpleNamespace(epoch_loop=loop), global_step=1)


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("_given_hyperparameters", lambda: lightning_internals.configuration_is_given()),
        ("_results", lambda: lightning_internals.log_again(_trainer(), "training_step", "loss", 0)),
        ("_batches_that_stepped", lambda: lightning_internals.count_steps_as_taken(_trainer())),
        ("_num_ready_batches_reached", lambda: lightning_internals.epoch_is_over(_trainer())),
        ("_has_run", lambda: lightning_internals.skip_rest_of_epoch(_trainer())),
        ("epoch_progress", lambda: lightning_internals.mend_counters({"fit_loop": {}}, validated=True)),
        ("_set_seed", lambda: lightning_internals.CommandLine()),
        ("_parse_ckpt_path", lambda: lightning_internals.CommandLine()),
        ("_get_train_description", lambda: lightning_internals.ProgressBar()),
    ],
)
def test_name_that_has_gone_is_missed_in_words(name, use, monkeypatch):
    for owner in (hparams_mixin, LightningCLI, RichProgressBar):
        monkeypatch.delattr(owner, name, raising=False)
    with pytest.raises(ConfigError, match=rf"^lightning [\d.]+ has no '{name}' in \w.*tested are .*pip install"):
        use()
