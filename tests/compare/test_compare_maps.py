"""Phase diagrams: what a specification may ask for, the means in the cells, and the pictures."""

import dataclasses
import math
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from tiny import write_config
from torch.utils.tensorboard import SummaryWriter

from lightning_gantk import files
from lightning_gantk.compare.command import main
from lightning_gantk.compare.plan.formula import Formula
from lightning_gantk.compare.plan.runs import runs_of
from lightning_gantk.compare.plan.specification import load
from lightning_gantk.compare.report.maps import draw, panels
from lightning_gantk.compare.report.page import write
from lightning_gantk.compare.report.results import collect
from lightning_gantk.compare.state import Comparison
from lightning_gantk.errors import ConfigError

_X, _Y = "model.discriminator.init_args.time", "trainer.max_steps"
_MAP = {"x": _X, "y": _Y, "contours": [3.5], "theory": "y - 10 * x"}
_RECORD = {"steps": 20, "threads": 1, "processes": 1, "peak_memory": 1, "peak_gpu_memory": None}
_RECORD |= {"machine": {"host": "h", "processor": "P", "cores": "2"}, "versions": {"python": "3.11"}}


def _load(folder, maps, **changes):
    write_config(folder / "tiny.yaml")
    lr = {"model.optimizer.init_args.lr": 0.1}
    grid = {_X: [2.0, 0.5, 1.0], _Y: [5, 10], "rate": {"slow": {}, "fast": lr}}
    given = {"configs": "tiny.yaml", "grid": grid, "seeds": [0, 1], "maps": maps, **changes}
    (folder / "spec.yaml").write_text(yaml.safe_dump(given, sort_keys=False))
    return load(folder / "spec.yaml")


def _value(run):
    """Of the late fifth: x times y, plus the seed; 100 more of the fast ones."""
    settings = {key: value for layer in run.layers for key, value in layer.settings}
    return settings[_X] * settings[_Y] / 5 + run.seed + (100 if len(settings) > 2 else 0)


@pytest.fixture
def specification(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    specification = _load(tmp_path, [_MAP], value="late")
    for run in runs_of(specification):
        if run.cell.startswith("time=2, max_steps=10"):
            continue
        folder = Comparison(specification.folder).run(run.slug)
        writer = SummaryWriter(folder.training)
        for step in range(10):  # late are the last two, whose mean is the value
            wrong = 1.0 if step == 9 else -1.0 if step == 8 else 50.0
            writer.add_scalar("val/fid", _value(run) + wrong, step, walltime=time.time() + step)
        writer.close()
        files.write_json(folder.attempts / "1.json", {"began": 1.0, "ended": 2.0, "code": 0, "outcome": "finished"})
        files.write_json(folder.finished, _RECORD)
    return specification


def test_cells_are_means_over_seeds_in_the_order_of_the_values(specification):
    slow, fast = panels(collect(specification), specification.maps[0], "val/fid")
    assert (slow.name, fast.name) == ("slow", "fast")
    # float32 in the logs
    np.testing.assert_allclose(slow.means, [[1.0, 1.5, 2.5], [1.5, 2.5, math.nan]], rtol=1e-6)
    np.testing.assert_allclose(fast.means, slow.means + 100, rtol=1e-6)
    np.testing.assert_allclose(slow.errors[0], 0.5, rtol=1e-5)


def test_cell_without_runs_is_empty(specification):
    results = collect(specification)
    without = [one for one in results.runs if one.run.cell != results.cells[0]]
    found = panels(dataclasses.replace(results, runs=without), specification.maps[0], "val/fid")
    assert sum(int(np.isnan(panel.means).sum()) for panel in found) == 2 + 1  # two cells have not finished


def test_picture_has_numbers_contours_and_theory(specification):
    results, asked = collect(specification), specification.maps[0]
    figure = draw(results, asked, "val/fid")
    first = figure.axes[0]
    assert [text.get_text() for text in first.get_xticklabels()] == ["0.5", "1", "2"]
    assert [text.get_text() for text in first.get_yticklabels()] == ["5", "10"]
    assert "2.5\n±0.5" in [text.get_text() for text in first.texts]
    assert "–" in [text.get_text() for text in first.texts]  # noqa: RUF001
    theory = first.collections[-1].get_paths()[0].vertices
    # y = 10 x: at x = 0.5 it is 5, the centre of the lowest left cell, and at x = 1 it is 10, one up and one right
    np.testing.assert_allclose(theory[[0, -1]], [[0.5, 0.5], [1.5, 1.5]], atol=0.05)


def test_maps_of_a_search_that_has_compared_nothing_yet_are_empty(specification, tmp_path):
    search = {"trials": 2, "space": {"model.optimizer.init_args.lr": [0.1, 0.2]}}
    maps, grid = [{**_MAP, "y": "data.x"}], {_X: [1, 2], "data.x": [5, 10]}
    asked = _load(tmp_path, maps, search=search, budget=5, grid=grid)
    (panel,) = panels(collect(asked), asked.maps[0], "val/fid")
    assert panel.name == "" and panel.means.shape == (2, 2) and np.isnan(panel.means).all()
    assert draw(collect(asked), asked.maps[0], "val/fid") is None


def test_legend_names_the_lines_that_are_drawn_and_covers_nothing(specification):
    asked = dataclasses.replace(specification.maps[0], contours=(2.0, 101.5, 9999.0))
    figure = draw(collect(specification), asked, "val/fid")
    (legend,) = figure.legends
    wanted = ["contour: FID = 2, 101.5", "theory: y - 10 * x = 0 (x across, y up)"]
    assert [text.get_text() for text in legend.get_texts()] == wanted
    figure.canvas.draw()
    room = legend.get_window_extent()
    assert room.x0 >= 0 and room.x1 <= figure.bbox.x1
    assert not any(room.overlaps(axis.get_tightbbox()) for axis in figure.axes)
    without = dataclasses.replace(asked, contours=(9999.0,), theory=Formula("x + y"))  # none of which passes through
    assert not draw(collect(specification), without, "val/fid").legends


def test_report_of_which_nothing_is_finished_says_so_and_draws_no_map(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    specification = _load(tmp_path, [_MAP])
    stale = specification.folder / "maps" / "0_fid.png"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"")
    assert main(["report", "spec.yaml"]) == 0
    told = capsys.readouterr().out
    assert "Nothing has finished yet, of 24 runs" in told and "gantk compare run spec.yaml runs" in told
    assert ".png" not in told and not stale.exists()


def test_map_of_a_metric_that_no_run_has_is_not_drawn(specification):
    specification = dataclasses.replace(
        specification,
        metrics={**specification.metrics, "val/other": "min"},
        maps=(dataclasses.replace(specification.maps[0], metrics=("val/fid", "val/other")),),
    )
    assert [path.name for path in write(specification) if path.suffix == ".png"] == ["0_fid.png"]
    assert "other over model.discriminator" in (specification.folder / "report.html").read_text()


def test_report_has_the_maps_and_saves_them(specification):
    paths = write(specification)
    assert (specification.folder / "maps" / "0_fid.png") in paths
    assert (specification.folder / "maps" / "0_fid.png").read_bytes().startswith(b"\x89PNG")
    assert "Dashed: where y - 10 * x = 0" in (specification.folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ({}, "'maps' must be a list"),
        ([{"x": _X}], "needs 'x' and 'y'"),
        ([{"x": _X, "y": _X}], "two axes"),
        ([{"x": _X, "y": "rate"}], "'rate'.*list of two or more numbers"),
        ([{"x": _X, "y": "nowhere"}], "'nowhere'.*axis of 'grid'"),
        ([{**_MAP, "metrics": "val/kid"}], "among those compared, val/fid; got"),
        ([{**_MAP, "contours": ["a"]}], "a contour must be a number"),
        ([{**_MAP, "line": 1}], "no key 'line'"),
        ([{**_MAP, "theory": "x +"}], "cannot be read"),
        ([{**_MAP, "theory": "x - 1/0"}], "cannot be read .*zero"),
        ([{**_MAP, "theory": "10 ** 1000"}], "cannot be read"),
        ([{**_MAP, "theory": "z - x"}], "'z' is not allowed"),
        ([{**_MAP, "theory": "__import__('os').getcwd()"}], "is not allowed"),
        ([{**_MAP, "theory": "x.real"}], "'x.real' is not allowed"),
        ([{**_MAP, "theory": "sqrt(x, out=y)"}], "is not allowed"),
        ([{**_MAP, "theory": "'a' * x"}], "is not allowed"),
        ([{**_MAP, "theory": "max(x, y, 2 * x)"}], "max takes 2 numbers, not 3"),
        ([{**_MAP, "theory": "log(x, y)"}], "log takes 1 numbers, not 2"),
    ],
)
def test_what_cannot_be_a_map_is_refused(maps, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        _load(tmp_path, maps)


def test_formula_is_arithmetic():
    x, y = np.array([1.0, 4.0]), np.array([2.0, 9.0])
    np.testing.assert_array_equal(Formula("2 * sqrt(x) - y / 2 ** 1 + min(x, 2) * -1")(x, y), [0.0, -2.5])
    np.testing.assert_array_equal(Formula("1 / (x - 1)")(x, y), [np.inf, 1 / 3])
    np.testing.assert_array_equal(Formula("pi")(x, y), [np.pi] * 2)


def test_every_shipped_map_can_be_read():
    shipped = [
        path
        for path in (Path(__file__).parents[2] / "configs" / "compare").glob("*.yaml")
        if "maps:" in path.read_text()
    ]
    assert shipped and all(load(path).maps for path in shipped)
