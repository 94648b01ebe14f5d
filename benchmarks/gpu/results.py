"""Rows on disk, part by part, and the table that is made of them."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.rows import Row
from benchmarks.tables import put


class Results:
    """The rows of one device.

    Args:
        path: A JSON file; rows of another device in it are refused.
        device: The device's name.
    """

    def __init__(self, path: Path, device: str):
        self._path, self.device = path, device
        self.parts: dict[str, dict[str, Any]] = {}
        if path.exists():
            known = json.loads(path.read_text())
            if known["device"] != device:
                raise SystemExit(f"{path} has rows of {known['device']}, this is {device}: name another --results.")
            self.parts = known["parts"]

    def is_finished(self, part: str) -> bool:
        return self.parts.get(part, {}).get("seconds") is not None

    def begin(self, part: str, versions: str) -> None:
        """Keeps the rows that are there until they are measured again."""
        rows = self.parts.get(part, {}).get("rows", [])
        self.parts[part] = {"versions": versions, "seconds": None, "rows": rows}

    def add(self, part: str, row: Row) -> None:
        """A row, in the place of the one of the same work if there is one."""
        rows, new = self.parts[part]["rows"], asdict(row)
        for i, known in enumerate(rows):
            if known["work"] == row.work:
                rows[i] = new
                break
        else:
            rows.append(new)
        self._write()

    def finish(self, part: str, seconds: float) -> None:
        self.parts[part]["seconds"] = round(seconds, 1)
        self._write()

    def table(self) -> str:
        """All rows as Markdown, part by part."""
        lines: list[str] = []
        for name, part in self.parts.items():
            lines += [f"{name.capitalize()} ({self.device}; {part['versions']}):", ""]
            lines += ["| work | baseline | ours | faster | |", "| --- " * 5 + "|"]
            lines += ["| " + " | ".join(map(str, row.values())) + " |" for row in part["rows"]]
            lines += [""]
        return "\n".join(lines).rstrip()

    def write_table(self, path: Path) -> None:
        """Puts the table in its place in a page."""
        put(path, "benchmarks.gpu", self.table())

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".part")
        fresh.write_text(json.dumps({"device": self.device, "parts": self.parts}, indent=1))
        os.replace(fresh, self._path)
