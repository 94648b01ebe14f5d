"""Tables of a report, once for HTML and Markdown."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from lightning_gantk.compare.report.statistics import Summary


@dataclass
class Cell:
    """Of a table.

    Attributes:
        text: What it says.
        bold: Whether it stands out.
        note: A second, smaller line.
        colour: Of a mark before the text.
    """

    text: str
    bold: bool = False
    note: str = ""
    colour: str = ""


@dataclass
class Table:
    """With a heading; cells are text where nothing else is to be said of them.

    Attributes:
        header: Of the columns.
        rows: Of cells.
        left: Columns that are words; the others are numbers, to the right.
    """

    header: Sequence[str]
    rows: list[list[Cell | str]] = field(default_factory=list)
    left: frozenset[int] = frozenset({0})

    def html(self) -> str:
        """As HTML."""
        head = "".join(f"<th{self._side(place)}>{html.escape(name)}</th>" for place, name in enumerate(self.header))
        rows = []
        for row in self.rows:
            cells = "".join(f"<td{self._side(place)}>{_html(cell)}</td>" for place, cell in enumerate(row))
            rows.append(f"<tr>{cells}</tr>")
        body = "\n".join(rows)
        return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'

    def markdown(self) -> str:
        """As Markdown."""
        lines = [[_escaped(name) for name in self.header]]
        lines.append(["---" if place in self.left else "---:" for place in range(len(self.header))])
        lines += [[_markdown(cell) for cell in row] for row in self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def _side(self, place: int) -> str:
        return ' class="left"' if place in self.left else ""


def plus_minus(summary: Summary) -> str:
    """Mean and standard error, to the error's second digit or the mean's fourth: "18.72 ± 0.41"."""
    mean, error = summary.mean, summary.error
    if not summary.values:
        return "—"
    if not math.isfinite(mean) or not math.isfinite(error):
        return f"{mean:.4g}"
    magnitude = _magnitude(mean) if mean else _magnitude(error) if error else 0
    digits = 3 - magnitude
    if error:
        digits = min(digits, 1 - _magnitude(error))
    if not -4 <= magnitude <= 5:
        scale = 10.0**magnitude
        return f"({mean / scale:.3f} ± {error / scale:.3f})e{magnitude}"
    digits = max(digits, 0)
    small = 0 < error < 0.5 * 10.0**-digits
    return f"{mean:.{digits}f} ± {'< ' if small else ''}{10.0**-digits if small else error:.{digits}f}"


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value)))


def probability(p: float) -> str:
    """A p-value as one reads it; empty for NaN."""
    if math.isnan(p):
        return ""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def _html(cell: Cell | str) -> str:
    if isinstance(cell, str):
        return html.escape(cell)
    text = html.escape(cell.text)
    text = f"<b>{text}</b>" if cell.bold else text
    text = f'<span class="key" style="background:{cell.colour}"></span>{text}' if cell.colour else text
    return f"{text}<small>{html.escape(cell.note)}</small>" if cell.note else text


def _markdown(cell: Cell | str) -> str:
    if isinstance(cell, str):
        return _escaped(cell)
    text = f"**{_escaped(cell.text)}**" if cell.bold else _escaped(cell.text)
    return f"{text} ({_escaped(cell.note)})" if cell.note else text


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
