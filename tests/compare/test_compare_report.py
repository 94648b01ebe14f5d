"""The report: figures and tables from logs and files of runs, here made by hand."""

import base64
import dataclasses
import re
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from PIL import Image
from tiny import write_config
from torch.utils.tensorboard import SummaryWriter

from benchmarks import compared
from lightning_gantk import files
from lightning_gantk.compare.command import main
from lightning_gantk.compare.plan.runs import runs_of
from lightning_gantk.compare.plan.specification import load
from lightning_gantk.compare.report import figures, sections
from lightning_gantk.compare.report.differences import differing, flat
from lightning_gantk.compare.report.figures import title
from lightning_gantk.compare.report.logs import Series
from lightning_gantk.compare.report.results import collect
from lightning_gantk.compare.report.statistics import welch
from lightning_gantk.compare.state import Comparison

_VALUES = {"good": (2.0, 2.2, 1.9), "bad": (9.0, 9.4, 8.8), "near": (2.1, 1.8, 2.4)}
_RECORD = {
    "steps": 20,
    "threads": 1,
    "processes": 1,
    "peak_memory": 700 * 2**20,
    "peak_gpu_memory": None,
    "machine": {"host": "h", "processor": "P", "cores": "2"},
    "versions": {"python": "3.11", "torch": "2.9"},
}


def _run(folder, cell, value, *, finished=True):
    """What a run leaves behind."""
    writer = SummaryWriter(folder.training)
    for step in (0, 10, 20):
        for name, logged in (("val/fid", value + 20 - step), ("val/fid_floor", 0.5)):
            writer.add_scalar(name, logged, step, walltime=time.time() + step)
    for step in range(20):
        for part, seconds in (("fit", 0.03), ("scores", 0.01), ("generator", 0.002)):
            writer.add_scalar(f"time/{part}", seconds if step > 1 else 9.0, step, walltime=time.time() + step)
    writer.close()
    loss = {"class_path": "lightning_gantk.losses.IPM" if cell == "bad" else "lightning_gantk.losses.LSGAN"}
    (folder.training / "config.yaml").write_text(
        yaml.safe_dump({"seed_everything": 1, "model": {"loss": loss, "x": 1}})
    )
    (folder.training / "samples").mkdir()
    for step in (0, 20):
        Image.new("L", (800, 800), step).save(folder.training / "samples" / f"step_{step:06d}.png")
    record = {"began": time.time() - 9, "ended": time.time(), "host": "h", "pid": 1, "code": 0, "outcome": "finished"}
    if not finished:
        record |= {"code": 1, "outcome": "failed", "error": "ValueError: <what>"}
    files.write_json(folder.attempts / "1.json", record)
    if finished:
        files.write_json(folder.finished, _RECORD)


def _texts(image):
    """What is written in a figure: matplotlib draws letters as paths and says in a comment what they are."""
    page = base64.b64decode(re.search(r"base64,([^\"]+)", image)[1]).decode()
    return set(re.findall(r"<!-- (.*?) -->", page))


@pytest.fixture
def specification(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path / "tiny.yaml")
    runs = {name: {"model.discriminator.init_args.time": place} for place, name in enumerate(_VALUES)}
    given = {
        "configs": "tiny.yaml",
        "title": "A <title>",
        "runs": runs,
        "seeds": [0, 1, 2],
        "metrics": {"val/fid": "min"},
    }
    Path("spec.yaml").write_text(yaml.safe_dump(given, sort_keys=False))
    specification = load(Path("spec.yaml"))
    for run in runs_of(specification):
        missing = (run.cell, run.seed) == ("bad", 2)
        folder = Comparison(specification.folder).run(run.slug)
        _run(folder, run.cell, _VALUES[run.cell][run.seed], finished=not missing)
    return specification


def test_summary_holds_means_errors_bold_and_p_values(specification):
    rows = sections.summary(collect(specification)).rows
    assert [cell.text for cell in (row[1] for row in rows[:3])] == ["2.033 ± 0.088", "9.20 ± 0.20", "2.10 ± 0.17"]
    assert [row[1].bold for row in rows[:3]] == [True, False, True]
    assert [row[-1].text for row in rows[:3]] == ["3 of 3", "2 of 3", "3 of 3"]
    expected = welch(_VALUES["good"], _VALUES["near"])  # the larger of two p-values: Holm leaves it as it is
    assert rows[0][1].note == "" and rows[1][1].note.startswith("p = 0.0") and rows[2][1].note == f"p = {expected:.2f}"
    assert rows[3][1] == "0.5"


def test_first_tenth_of_the_times_and_all_but_the_last_fifth_of_the_values_are_left_out(specification):
    (first, *_) = collect(specification).runs
    rising = Series({step: (float(step), 0.0) for step in range(10)})
    result = dataclasses.replace(first, scalars={"time/fit": rising, "val/fid": rising})
    assert result.step_parts() == {"time/fit": 5.0}  # the median of 1 to 9
    assert result.value("val/fid", which="late", better="min") == 8.5  # the mean of 8 and 9


def test_finished_run_without_a_value_is_told(specification):
    (first, *_) = collect(specification).runs
    writer = SummaryWriter(first.folder.training)
    writer.add_scalar("val/fid", float("nan"), 30)
    writer.close()
    assert "good, seed 0 — has finished, with no value of val/fid" in sections.unfinished(collect(specification))


def test_time_per_step_leaves_the_warm_up_out(specification):
    rows = sections.summary(collect(specification)).rows
    assert rows[0][2] == "42.00 ± 0.00"


@pytest.mark.parametrize(("peak", "told"), [(700, "700"), (3 * 1024, "3")])
def test_tables_and_figures_have_the_same_units(peak, told, specification):
    (first, *_) = collect(specification).runs
    files.write_json(first.folder.finished, _RECORD | {"peak_memory": peak * 2**20, "peak_gpu_memory": 512 * 2**20})
    results = collect(specification)
    memory = "peak memory, MiB" if peak < 1024 else "peak memory, GiB"
    costs = ["ms per generator step", "training time, seconds", memory]
    summary, runs = sections.summary(results), sections.runs(results)
    assert list(summary.header[-4:-1]) == costs
    assert {*costs, "generator steps"} <= set(runs.header)
    drawn = [figures.curves(results, "val/fid"), figures.step_times(results), figures.memory(results)]
    labels = [_texts(one) for one in drawn]
    assert {"generator steps", "training time, seconds"} <= labels[0]
    assert "ms per generator step" in labels[1] and memory in labels[2]
    row = summary.rows[0]
    assert row[-3] == "20" and row[-2].text == told
    assert row[-2].note == ("512 on GPU" if peak < 1024 else "0.5 on GPU")
    assert runs.rows[0][runs.header.index(memory)] == told
    assert {"42", told} <= {text.strip() for text in labels[1] | labels[2]}


def test_runs_that_do_not_count_are_told_of(specification):
    assert sections.unfinished(collect(specification)) == ["bad, seed 2 — failed: ValueError: <what>"]


def test_page_needs_nothing_but_itself_and_escapes_what_it_shows(specification, capsys):
    assert main(["report", "spec.yaml"]) == 0
    page = (specification.folder / "report.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]{1,40})', page)
    assert sources and all(
        source.startswith(("data:image/svg+xml;base64,", "data:image/png;base64,")) for source in sources
    )
    assert "A &lt;title&gt;" in page and "<title>A <title>" not in page
    assert "ValueError: &lt;what&gt;" in page
    for picture in re.findall(r'data:image/svg\+xml;base64,([^"]+)', page):
        text = base64.b64decode(picture).decode()
        ElementTree.fromstring(text)
        assert "http" not in re.sub(
            r'xmlns(:\w+)?="[^"]*"|"http://www.w3.org[^"]*"|<!DOCTYPE[^>]*>|rdf:\w+="[^"]*"', "", text
        )


def test_samples_are_the_last_grids_one_for_each_finished_run(specification):
    main(["report", "spec.yaml"])
    page = (specification.folder / "report.html").read_text()
    assert page.count("data:image/png") == 8
    assert page.count("after 20 steps") == 8 and "after 0 steps" not in page


def test_markdown_and_csv_say_the_same(specification):
    main(["report", "spec.yaml"])
    text = (specification.folder / "report.md").read_text()
    assert "| good | **2.033 ± 0.088** |" in text and "Welch's t-test" in text
    lines = (specification.folder / "results.csv").read_text().splitlines()
    assert len(lines) == 10 and lines[1].startswith("good,0,finished,2.0,20,")


def test_page_of_the_documentation_has_the_tables_and_the_last_grids(specification, monkeypatch):
    monkeypatch.setattr(compared, "CONFIGS", Path.cwd())
    Path("compare").mkdir()
    for name in ("spec.yaml", "tiny.yaml"):
        Path("compare", name).write_text(Path(name).read_text())
    Path("page.md").write_text("Before.\n")
    compared.main(["spec", "--page=page.md", "--pictures=pictures", "--columns=2"])
    page = Path("page.md").read_text()
    assert page.startswith("Before.") and sections.summary(collect(specification)).markdown() in page
    assert "Not counted: bad, seed 2" in page and "Run time" in page and "Hardware" not in page
    assert [path.name for path in Path("pictures").iterdir()] == ["spec_samples.png"]  # no seconds without a budget
    drawn = compared.samples(collect(specification), columns=2)
    assert [ax.get_title() for ax in drawn.axes if ax.images] == list(_VALUES)


def test_best_value_is_another_than_the_last(specification):
    Path("spec.yaml").write_text(Path("spec.yaml").read_text() + "value: best\n")
    results = collect(load(Path("spec.yaml")))
    assert results.runs[0].value("val/fid", which="best", better="max") == 12  # 22 is of its start
    assert results.runs[0].value("val/fid", which="last", better="max") == 2
    assert "best value" in sections.stated_test(results)


def test_report_before_anything_ran_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path / "tiny.yaml")
    Path("spec.yaml").write_text("configs: tiny.yaml")
    assert main(["report", "spec.yaml"]) == 0
    assert "base, seed 0 — waiting" in (tmp_path / "runs" / "compare" / "spec" / "report.html").read_text()


def test_differences_are_the_keys_that_differ(specification):
    assert differing(collect(specification)) == [("model.loss", ["LSGAN", "IPM", "LSGAN"])]


def test_flat_names_classes_and_leaves_out_init_args():
    config = {"a": {"class_path": "x.Y", "init_args": {"b": 1e-3, "c": None}}, "d": [1], "e": True}
    assert flat(config) == {"a": "Y", "a.b": "0.001", "a.c": "null", "d": "[1]", "e": "true"}


def test_title_of_a_metric():
    assert [title(name) for name in ("val/fid", "val/sinkhorn", "val/mode_coverage")] == [
        "FID",
        "sinkhorn",
        "mode coverage",
    ]
