"""What a class takes, read from its source: to ask a class itself is to import it, which takes seconds."""

import ast
import importlib.util
from functools import cache
from pathlib import Path

_DEPTH = 8  # of names that are handed on from package to package


@cache
def parameters(class_path: str, *, method: str = "__init__") -> frozenset[str] | None:
    """Names that a class's constructor takes.

    Args:
        class_path: As ``lightning.pytorch.Trainer``.
        method: Another method in the place of the constructor.

    Returns:
        None where they cannot be told: there is no such class, or it takes any names.
    """
    found = _class(class_path, _DEPTH)
    if found is None:
        return None
    for node in found.body:
        if isinstance(node, ast.FunctionDef) and node.name == method:
            taken = node.args
            if taken.kwarg is not None:
                return None
            return frozenset(one.arg for one in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)) - {"self"}
    return None  # inherited


def _class(class_path: str, depth: int) -> ast.ClassDef | None:
    module, _, name = class_path.rpartition(".")
    tree = _tree(module)
    if tree is None or depth == 0:
        return None
    for node in ast.walk(tree):  # imports for type checkers alone included: they say where a lazy name lives
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _class(f"{node.module}.{alias.name}", depth - 1)
    return None


@cache
def _tree(module: str) -> ast.Module | None:
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)  # of a package at the top: nothing is run
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    places = [Path(place).joinpath(*rest) for place in spec.submodule_search_locations or ()]
    files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
    file = next((file for file in files if file.is_file()), None)
    try:
        return None if file is None else ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
