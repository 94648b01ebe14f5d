"""What mkdocs does besides: pages that lie elsewhere, a page for each public package, formulas as MathML.

Browsers draw MathML themselves, so no script comes from another host.
"""

import ast
import html
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
_ORDER = ("first_gan", "point_of_view", "width", "own_parts", "from_equation", "own_pictures", "comparison", "collapse")
TUTORIALS = [ROOT / "docs" / "tutorials" / f"{name}.py" for name in (*_ORDER, "cluster")]
_MODULES = tuple(f"lightning_gantk.{name}" for name in ("bridge", "empirical", "errors", "processes"))
_MATH = re.compile(r'<(span|div) class="arithmatex">(.*?)</\1>', re.DOTALL)


def public_packages() -> dict[str, list[str]]:
    """The public names of each package, by its ``__all__``, and of some modules."""
    packages = {}
    for top in ("lightning_gantk", "datamodules"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if any(part.startswith("_") and part != "__init__" for part in parts) or "backends" in parts:
                continue
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "__all__":
                    packages[".".join(part for part in parts if part != "__init__")] = ast.literal_eval(node.value)
    for name in _MODULES:  # they have no __all__: what is defined there and has no underscore
        tree = ast.parse((ROOT / f"{name.replace('.', '/')}.py").read_text())
        defined = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
        packages[name] = [one for one in defined if not one.startswith("_")]
    return packages


def on_config(config: Any) -> Any:
    """The site's order, with whatever systems and tutorials there are."""
    systems = sorted(path.name for path in (ROOT / "docs" / "systems").glob("*.md"))
    elsewhere = {"contracts.md", "mathematics.md", "speed.md", "accuracy.md", "faq.md"}
    guide = sorted(path.name for path in (ROOT / "docs").glob("*.md") if path.name not in elsewhere)
    # Without the name that they share, which fills the column; a page's title has it.
    reference = [{name.removeprefix("lightning_gantk."): f"reference/{name}.md"} for name in public_packages()]
    config["nav"] = [
        {"Home": "index.md"},
        {"Guide": guide},
        {"Tutorials": [f"tutorials/{path.stem}.md" for path in TUTORIALS]},
        {"Systems": [f"systems/{name}" for name in systems]},
        {"Extending": ["contracts.md", "contributing.md"]},
        {"Mathematics": "mathematics.md"},
        {"Figures": ["speed.md", "accuracy.md"]},
        {"Reference": ["reference/index.md", *reference]},
        {"More": ["faq.md", "changelog.md"]},
    ]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that are not in docs/."""
    pages = {"index.md": _home(), "changelog.md": (ROOT / "CHANGELOG.md").read_text()}
    pages["contributing.md"] = (ROOT / "CONTRIBUTING.md").read_text().replace("](docs/", "](")
    pages |= {f"tutorials/{path.stem}.md": tutorial(path.read_text()) for path in TUTORIALS}
    rows = []
    for package, names in public_packages().items():
        page = f"reference/{package}.md"
        pages[page] = f"# {package}\n\n::: {package}\n"
        rows.append(f"| [{package}]({package}.md) | {', '.join(f'`{name}`' for name in names)} |")
    pages["reference/index.md"] = "\n".join(["# Reference", "", "| package | names |", "| --- | --- |", *rows, ""])
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_content(content: str, **_: Any) -> str:
    """Formulas of arithmatex as MathML."""

    def draw(match: re.Match) -> str:
        text = html.unescape(match[2]).strip()
        return convert(text[2:-2].strip(), display="inline" if match[1] == "span" else "block")

    return _MATH.sub(draw, content)


def tutorial(source: str) -> str:
    """A script as a page: its docstring and the comments that stand at the left margin are text, the rest is code."""
    _, docstring, source = source.split('"""', 2)
    title, text = docstring.split(".\n", 1)
    parts = [f"# {title}", text]
    for code, block in enumerate(re.split(r"((?:^#.*\n)+)", source, flags=re.MULTILINE)):
        if code % 2:
            parts.append(re.sub(r"^# ?", "", block, flags=re.MULTILINE))
        elif block.strip():
            parts.append(f"```python\n{block.strip()}\n```")
    return "\n\n".join(parts) + "\n"


def _home() -> str:
    return (ROOT / "README.md").read_text().replace("](docs/", "](")
