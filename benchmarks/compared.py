"""A comparison in the documentation: ``python -m benchmarks.compared NAME [--folder FOLDER] [--page PAGE]``.

NAME is that of a file in ``configs/compare`` of which runs have finished. Its tables go into the page, its pictures to
``docs/images/compared``: the first metric over seconds, and samples.
"""

import argparse
import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from benchmarks.command import CONFIGS
from benchmarks.tables import put
from lightning_gantk import checkpoint_files, saved_run
from lightning_gantk.compare.plan.specification import load
from lightning_gantk.compare.report import sections
from lightning_gantk.compare.report.figures import DECADES, colours, mean_over_time, title
from lightning_gantk.compare.report.results import Result, Results, collect
from lightning_gantk.pictures import style

PAGE, PICTURES = Path("docs/systems/critics.md"), Path("docs/images/compared")
_PIXELS = 240  # of a grid of images
_WIDTH = 6.6  # inches


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compared", description=__doc__)
    parser.add_argument("name", metavar="NAME", help="of a file in configs/compare")
    parser.add_argument("--folder", type=Path, help="of the comparison, instead of the specification's")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the tables go")
    parser.add_argument("--pictures", type=Path, default=PICTURES, help="folder")
    parser.add_argument("--columns", type=int, default=4, help="samples beside each other")
    options = parser.parse_args(arguments)
    results = collect(load(CONFIGS / "compare" / f"{options.name}.yaml", folder=options.folder))
    put(options.page, f"benchmarks.compared {options.name}", tables(results))
    drawn = {"_samples": samples(results, options.columns)}
    if results.specification.budget is not None:
        drawn[""] = curves(results)
    for suffix, figure in drawn.items():
        print("wrote", style.save(figure, options.pictures / f"{options.name}{suffix}.png", dpi=130))


def tables(results: Results) -> str:
    """What runs came to, by seconds, and which failed."""
    parts = [sections.summary(results).markdown(), sections.stated_test(results)]
    if (by_time := sections.by_time(results)) is not None:
        parts += [by_time.markdown(), sections.stated_time(results)]
    if missing := sections.unfinished(results):
        parts.append("\n".join(f"- Not counted: {line}" for line in missing))
    made = sections.facts(results)
    parts.append(". ".join(f"{key}: {value}" for key, value in made.items() if key != "Hardware") + ".")
    return "\n\n".join(parts)


@style.styled
def curves(results: Results) -> Figure:
    """The first metric over seconds, means over seeds."""
    metric = next(iter(results.specification.metrics))
    drawn = style.figure(3.2, width=_WIDTH)
    ax, shown = drawn.subplots(), []
    for place, (cell, colour) in enumerate(colours(results.cells).items()):
        if runs := [result.scalars[metric] for result in results.of(cell) if metric in result.scalars]:
            seconds, means, _ = mean_over_time(runs)
            ax.plot(seconds, means, "-" if place % 2 else "--", color=colour, label=cell)
            shown += [value for value in means if math.isfinite(value)]
    positive = bool(shown) and min(shown) > 0
    if positive and max(shown) / min(shown) > DECADES:
        ax.set_yscale("log")
    ax.set(xlabel="seconds of training", ylabel=title(metric), xlim=(0, None))
    drawn.legend(loc="outside right upper")
    return drawn


@style.styled
def samples(results: Results, columns: int) -> Figure:
    """What the first seed of each combination ends with: its last grid of images, or its points."""
    seed = results.specification.seeds[0]
    shown = [result for result in results.runs if result.run.seed == seed and result.finished]
    rows = max(1, math.ceil(len(shown) / columns))
    heights = [_height(result) for result in shown]
    drawn = style.figure(rows * _WIDTH / columns * max(heights, default=1.0) + 0.18 * rows, width=_WIDTH)
    axes = list(np.atleast_1d(drawn.subplots(rows, columns)).flat)
    real = saved_run.load(_last(shown[0])).real.numpy() if shown and not shown[0].pictures() else None  # of all
    for ax, result in zip(axes, shown, strict=False):
        ax.set(title=result.run.cell, xticks=[], yticks=[])
        ax.title.set_fontsize(6.5)
        if real is None:
            _image(ax, result)
        else:
            _points(ax, result, real)
    for ax in axes[len(shown) :]:
        ax.set_axis_off()
    return drawn


def _height(result: Result) -> float:
    """Of a picture, over its width."""
    if not (pictures := result.pictures()):
        return 1.0
    with Image.open(pictures[-1]) as picture:
        return picture.height / picture.width


def _image(ax: Axes, result: Result) -> None:
    with Image.open(result.pictures()[-1]) as picture:
        size = (_PIXELS, round(_PIXELS * picture.height / picture.width))
        ax.imshow(np.asarray(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)))
    ax.set_axis_off()


def _points(ax: Axes, result: Result, real: np.ndarray) -> None:
    points = checkpoint_files.read(_last(result))["state_dict"]["generator.samples"].numpy()
    for cloud, colour in ((real, style.REAL_LINE), (points, style.FAKE_LINE)):
        ax.plot(*cloud.T, ".", color=colour, markersize=1.0)
    reach = 1.6 * np.abs(real).max()
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    ax.set_xlabel(f"step {result.record['steps']:,}", fontsize=6)


def _last(result: Result) -> Path:
    return result.folder.training / "checkpoints" / "last.ckpt"


if __name__ == "__main__":
    main()
