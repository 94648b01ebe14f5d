"""The sources of the package, read and not run."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("lightning_gantk", "datamodules")


def name_of(path: Path) -> str:
    """Of the module in a file: ``lightning_gantk.kernels`` for ``lightning_gantk/kernels/__init__.py``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def trees() -> dict[str, ast.Module]:
    """Syntax trees of all modules by name."""
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    return {name_of(file): ast.parse(file.read_text()) for file in files}


def run_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes of a tree but for what stands under ``if TYPE_CHECKING``, which is never run."""
    yield node
    children = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        children = iter(node.orelse)
    for child in children:
        yield from run_nodes(child)
