"""Sample grids in a report, side by side."""

import base64
import html
import io
from pathlib import Path

from PIL import Image

from lightning_gantk.compare.report.results import Result, Results

_PIXELS = 420  # width in the file, which bounds the page's size


def side_by_side(results: Results, seed: int) -> str:
    """The last grid of each cell's run with a seed; empty where no run of that seed has any."""
    found = ((result, result.pictures()) for result in results.runs if result.run.seed == seed and result.finished)
    shown = "".join(_figure(result, paths[-1]) for result, paths in found if paths)
    return f'<div class="grids">{shown}</div>' if shown else ""


def _figure(result: Result, path: Path) -> str:
    step = int(path.stem.rpartition("_")[-1])
    name = html.escape(result.run.cell)
    return (
        f'<figure><img alt="Samples of {html.escape(result.run.label)}" src="{_embedded(path)}">'
        f"<figcaption><b>{name}</b><br>seed {result.run.seed}, after {step} steps</figcaption></figure>"
    )


def _embedded(path: Path) -> str:
    with Image.open(path) as picture:
        picture = picture.convert("RGB")
        if picture.width > _PIXELS:
            height = round(picture.height * _PIXELS / picture.width)
            picture = picture.resize((_PIXELS, height), Image.Resampling.BOX)
        red, green, blue = picture.split()
        if red.tobytes() == green.tobytes() == blue.tobytes():
            picture = red
        out = io.BytesIO()
        picture.save(out, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
