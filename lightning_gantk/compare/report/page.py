"""The report: ``report.html``, one page that needs nothing else, ``report.md`` and ``results.csv``."""

import csv
import html
import io
import time
from importlib import resources
from pathlib import Path

from lightning_gantk import files
from lightning_gantk.compare.plan.specification import Specification
from lightning_gantk.compare.report import figures, maps, pictures, sections, tried
from lightning_gantk.compare.report.results import Results, collect
from lightning_gantk.compare.report.tables import Table


def write(specification: Specification) -> list[Path]:
    """Writes the report of what has finished so far, from the runs' own logs and files.

    Returns:
        The files: HTML, Markdown, CSV, and the maps as pictures.
    """
    return save(collect(specification))


def save(results: Results) -> list[Path]:
    """As ``write``, of results that have been read."""
    folder = results.specification.folder
    found = {"report.html": _page(results), "report.md": _markdown(results), "results.csv": _csv(results)}
    for name, text in found.items():
        files.write_text(folder / name, text)
    return [*(folder / name for name in found), *_save_maps(results)]


def _save_maps(results: Results) -> list[Path]:
    """The maps that have values as pictures, for a paper or a page."""
    saved = []
    for place, asked in enumerate(results.specification.maps):
        for metric in asked.metrics:
            name = metric.removeprefix("val/").replace("/", "_")
            path = results.specification.folder / "maps" / f"{place}_{name}.png"
            if (figure := maps.draw(results, asked, metric)) is None:
                path.unlink(missing_ok=True)  # of runs that no longer count
                continue
            path.parent.mkdir(exist_ok=True)
            figure.savefig(path, dpi=110)
            saved.append(path)
    return saved


def _maps(results: Results) -> list[str]:
    parts = []
    for asked in results.specification.maps:
        for metric in asked.metrics:
            words = f"{figures.title(metric)} over {asked.x} and {asked.y}"
            if (figure := maps.draw(results, asked, metric)) is None:
                parts.append(_note(f"{words}: no run has a value yet."))
                continue
            parts.append(f'<div class="figure">{figures.svg(figure, words)}</div>')
        told = ["Means over seeds, with their standard errors."]
        told += (
            [f"Orange: contours at {', '.join(f'{level:g}' for level in asked.contours)}."] if asked.contours else []
        )
        told += [f"Dashed: where {asked.theory.text} = 0, x and y the values of the axes."] if asked.theory else []
        parts.append(_note(" ".join(told)))
    return ["<h2>Maps</h2>", *parts] if parts else []


def _page(results: Results) -> str:
    asked = results.specification
    finished = any(result.finished for result in results.runs)
    parts = [f"<h1>{html.escape(asked.title)}</h1>"]
    if asked.description:
        parts.append(f'<p class="lead">{html.escape(asked.description)}</p>')
    parts.append(_facts(results))
    if missing := sections.unfinished(results):
        without = sum(not result.finished for result in results.runs)
        head = f"<b>Not counted below: {without} of {len(results.runs)} runs</b>" if without else "<b>Not counted</b>"
        if results.others:
            why = "of another specification, or of configs that were edited since"
            missing.append(f"({results.others} more runs lie in the folder, {why}.)")
        parts.append(f'<div class="warn">{"<br>".join([head, *map(html.escape, missing)])}</div>')
    if finished:
        parts += ["<h2>Results</h2>", sections.summary(results).html(), _note(sections.stated_test(results))]
        parts += _maps(results)
        parts += _curves(results)
        parts += _every_run(results)
        parts += _cost(results)
        parts += _samples(results)
    parts += _what_was_tried(results)
    parts += _what_differs(results)
    parts += ["<h2>All runs</h2>", sections.runs(results).html()]
    if finished:
        parts += ["<h2>Made with</h2>", sections.made_with(results).html()]
    name, specification = (html.escape(text) for text in (asked.path.name, asked.path.read_text()))
    parts.append(f"<details><summary>The specification, {name}</summary><pre>{specification}</pre></details>")
    parts.append(_footer(results))
    style = resources.files("lightning_gantk.compare.report").joinpath("page.css").read_text()
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(asked.title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>\n{style}</style></head>\n'
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def _facts(results: Results) -> str:
    pairs = [map(html.escape, pair) for pair in sections.facts(results).items()]
    told = "".join(f"<div><span>{key}</span><strong>{text}</strong></div>" for key, text in pairs)
    return f'<div class="facts">{told}</div>'


def _curves(results: Results) -> list[str]:
    parts = ["<h2>Learning curves</h2>", _legend(results)]
    for metric in results.specification.metrics:
        parts.append(f'<div class="figure">{figures.curves(results, metric)}</div>')
    parts.append(
        _note("Lines are means over seeds, bands one standard error to each side. " + sections.stated_time(results))
    )
    if by_time := sections.by_time(results):
        parts.append(by_time.html())
    return parts


def _every_run(results: Results) -> list[str]:
    drawn = [figures.dots(results, metric) for metric in results.specification.metrics]
    shown = "".join(f'<div class="figure">{one}</div>' for one in drawn)
    note = _note("Dots are runs, the upright bars means, the wide ones a standard error to each side.")
    return ["<h2>Every run</h2>", f'<div class="pair">{shown}</div>', note]


def _cost(results: Results) -> list[str]:
    times = figures.step_times(results)
    shown = "".join(f'<div class="figure">{one}</div>' for one in (times, figures.memory(results)) if one)
    note = _note(
        "Times are those of the wall clock, medians over the logged steps of a run, without the first tenth, then "
        "means over seeds. Memory is the most that the process of any of the runs held, libraries included."
    )
    return ["<h2>Time and memory</h2>", f'<div class="pair">{shown}</div>', note]


def _samples(results: Results) -> list[str]:
    shown = {seed: grids for seed in results.specification.seeds if (grids := pictures.side_by_side(results, seed))}
    if not shown:
        return []
    first, *others = shown
    parts = ["<h2>Samples</h2>", _note("At the end of training, from the same latents in every run."), shown[first]]
    if others:
        rest = "".join(shown[seed] for seed in others)
        parts.append(f"<details><summary>The other seeds ({', '.join(map(str, others))})</summary>{rest}</details>")
    return parts


def _what_was_tried(results: Results) -> list[str]:
    plan = results.specification.search
    if plan is None:
        return []
    parts = ["<h2>What was tried</h2>", _note(tried.stated(results, plan))]
    for one, table in zip(results.searches, tried.tables(results).values(), strict=True):
        parts += [f"<h3>{html.escape(one.cell.name)}</h3>", table.html(), _note(tried.space(one))]
    return parts


def _what_differs(results: Results) -> list[str]:
    table, of_some = sections.differences(results)
    parts = []
    if table.rows:
        parts += [_note("Keys of the full configurations that are not the same in all."), table.html()]
    if of_some.rows:
        parts.append(f"<details><summary>Keys that only some of the classes have</summary>{of_some.html()}</details>")
    return ["<h2>What differs</h2>", *parts] if parts else []


def _legend(results: Results) -> str:
    colours = [(html.escape(cell), colour) for cell, colour in figures.colours(results.cells).items()]
    keys = "".join(
        f'<span><span class="key" style="background:{colour}"></span>{cell}</span>' for cell, colour in colours
    )
    floor = any(results.floors(metric) for metric in results.specification.metrics)
    real = '<span><span class="line"></span>real samples against held-out real ones</span>' if floor else ""
    return f'<div class="legend">{keys}{real}</div>'


def _footer(results: Results) -> str:
    others = f" {results.others} runs in its folder belong to other specifications." if results.others else ""
    folder = html.escape(str(results.specification.folder))
    when = time.strftime("%Y-%m-%d %H:%M")
    return f"<footer>Written {when} by <code>lightning_gantk.compare</code> from the logs in {folder}.{others}</footer>"


def _note(text: str) -> str:
    return f'<p class="note">{html.escape(text)}</p>'


def _markdown(results: Results) -> str:
    asked = results.specification
    parts = [f"# {asked.title}", asked.description]
    parts.append("\n".join(f"- {key}: {text}" for key, text in sections.facts(results).items()))
    if missing := sections.unfinished(results):
        parts.append("Not counted:\n\n" + "\n".join(f"- {line}" for line in missing))
    parts += [sections.summary(results).markdown(), sections.stated_test(results)]
    if by_time := sections.by_time(results):
        parts += ["## By time", by_time.markdown(), sections.stated_time(results)]
    if (plan := asked.search) is not None:
        parts += ["## What was tried", tried.stated(results, plan)]
        for one, table in zip(results.searches, tried.tables(results).values(), strict=True):
            parts += [f"### {one.cell.name}", table.markdown(), tried.space(one)]
    differ, of_some = sections.differences(results)
    tables: dict[str, Table] = {
        "What differs": differ,
        "Keys that only some of the classes have": of_some,
        "All runs": sections.runs(results),
        "Made with": sections.made_with(results),
    }
    parts += [f"## {title}\n\n{table.markdown()}" for title, table in tables.items() if table.rows]
    return "\n\n".join(part for part in parts if part) + "\n"


def _csv(results: Results) -> str:
    """Every run with its numbers unrounded, for programs."""
    asked = results.specification
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            "run",
            "seed",
            "state",
            *asked.metrics,
            "steps",
            "training_seconds",
            "seconds_per_step",
            "peak_memory",
            "folder",
        ]
    )
    for result in results.runs:
        values = [result.value(metric, which=asked.value, better=better) for metric, better in asked.metrics.items()]
        step = results.step_seconds(result)
        writer.writerow(
            [
                result.run.cell,
                result.run.seed,
                result.state.phase.value,
                *values,
                result.record.get("steps", ""),
                result.training_seconds,
                "" if step is None else step,
                result.record.get("peak_memory", ""),
                result.folder.path,
            ]
        )
    return out.getvalue()
