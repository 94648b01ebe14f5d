"""The code of the documentation runs as it stands."""

import re
from pathlib import Path

import pytest

_DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.slow
def test_code_of_the_python_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (_DOCS / "python.md").read_text(), re.DOTALL)
    assert len(blocks) >= 6
    names = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    assert names["samples"].shape == (16, 1, 16, 16)
    assert names["of_class_2"].shape == (8, 1, 16, 16)
    assert {"mine.ckpt", "samples.png", "interpolation.pdf"} <= {path.name for path in tmp_path.iterdir()}
