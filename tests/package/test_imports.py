"""Imports go one way: no circle between modules or between folders, those made inside functions included."""

import ast
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

import pytest
from sources import PACKAGES, run_nodes, trees

_WAY = ("gan", "discriminators", "kernels", "architectures")  # each may import those after it alone
_BY_NAME = {"lightning_gantk.architectures.limit": "lightning_gantk.kernels"}  # the one way back, taken on first use

Graph = Mapping[str, set[str]]


def _imported(tree: ast.AST, known: Iterable[str]) -> set[str]:
    """Modules among those known that a tree imports, with the packages that this runs."""
    found = set()
    for node in run_nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import, of {node.module}: write the whole name"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= whole & set(known) if whole <= set(known) else {*(whole & set(known)), node.module}
    # But for the outermost, which runs nothing: `lightning_gantk` gets GAN when somebody asks for it.
    found |= {name[:end] for name in found for end, letter in enumerate(name) if letter == "." and "." in name[:end]}
    return found & set(known)


def _graph() -> dict[str, set[str]]:
    found = {name: _imported(tree, trees()) for name, tree in trees().items()}
    # A module's own packages are there before it is.
    return {name: {to for to in imports if not f"{name}.".startswith(f"{to}.")} for name, imports in found.items()}


def _folder(name: str) -> str:
    """What a module belongs to: a folder of the package, or a module beside the folders. A program is its own."""
    parts = name.split(".")
    if parts[-1] == "__main__":
        return name
    return parts[0] if parts[0] == "datamodules" else ".".join(parts[:2])


def _folders(graph: Graph) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, imports in graph.items():
        found.setdefault(_folder(name), set()).update({_folder(to) for to in imports} - {_folder(name)})
    return found


def _circle(graph: Graph) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def _reached(graph: Graph, start: str) -> set[str]:
    found, waiting = set(), [start]
    while waiting:
        new = graph.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def test_modules_import_in_no_circle():
    assert _circle(_graph()) == []


def test_folders_import_in_no_circle():
    assert _circle(_folders(_graph())) == []


@pytest.mark.parametrize("place", range(len(_WAY)))
def test_imports_go_one_way(place):
    folders = _folders(_graph())
    name, before = f"lightning_gantk.{_WAY[place]}", {f"lightning_gantk.{name}" for name in _WAY[:place]}
    assert name in folders and before <= set(folders)
    assert not before & _reached(folders, name)


def test_nothing_imports_a_program():
    assert not {name for imports in _graph().values() for name in imports if name.endswith("__main__")}


def test_only_the_registry_of_kernels_imports_by_name():
    found = {}
    for name, tree in trees().items():
        for node in run_nodes(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                for argument in node.args:
                    if isinstance(argument, ast.Constant) and argument.value.split(".")[0] in PACKAGES:
                        found[name] = argument.value
    assert found == _BY_NAME


def test_circle_inside_a_function_is_found_and_one_for_type_checkers_is_none():
    lazy = ast.parse("def f():\n    from p.b import g")
    types = ast.parse("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p import a")
    back = ast.parse("import p.a")
    known = {"p.a", "p.b"}
    assert _circle({"p.a": _imported(lazy, known), "p.b": _imported(types, known)}) == []
    assert set(_circle({"p.a": _imported(lazy, known), "p.b": _imported(back, known)})) == known
