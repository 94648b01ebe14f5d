"""Specifications of comparisons: what is read, what is refused, and which runs follow."""

import math
import re
from pathlib import Path

import pytest
import yaml
from tiny import write_config

from lightning_gantk import yaml_files
from lightning_gantk.compare import command
from lightning_gantk.compare.command import main
from lightning_gantk.compare.plan import runs as plan
from lightning_gantk.compare.plan.specification import load
from lightning_gantk.compare.plan.undone import undone
from lightning_gantk.compare.run.preparation import check
from lightning_gantk.compare.search.trials import searches
from lightning_gantk.compare.search.tuner import Tuner
from lightning_gantk.compare.state import Comparison
from lightning_gantk.errors import ConfigError

_CONFIGS = Path(__file__).parents[2] / "configs"
_SHIPPED = sorted((_CONFIGS / "compare").glob("*.yaml"))
_TIME, _LR = "model.discriminator.init_args.time", "model.optimizer.init_args.lr"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path / "tiny.yaml")
    return tmp_path


def _write(folder, **keys):
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump({"configs": "tiny.yaml", **keys}, sort_keys=False))
    return path


def _runs(folder, **keys):
    return plan.runs_of(load(_write(folder, **keys)))


# Which runs follow


def _cells(runs):
    """In the specification's order."""
    return list(dict.fromkeys(run.cell for run in runs))


def test_grid_is_the_full_product_with_seeds(folder):
    runs = _runs(folder, grid={_TIME: [0.1, 1], _LR: [0.001, 0.01, 0.1]}, seeds=[3, 5])
    assert len(runs) == 12
    assert _cells(runs)[:2] == ["time=0.1, lr=0.001", "time=0.1, lr=0.01"]
    config, *words = plan.arguments(runs[1])
    assert config == f"--config={folder / 'tiny.yaml'}"
    assert words == [f"--{_TIME}=0.1", f"--{_LR}=0.001", "--seed_everything=5"]


def test_named_runs_are_combined_with_the_grid(folder):
    write_config(folder / "other.yaml")
    runs = _runs(folder, runs={"one": {"configs": "other.yaml"}, "two": {_TIME: 2}}, grid={_LR: [1, 2]})
    assert _cells(runs) == ["one, lr=1", "one, lr=2", "two, lr=1", "two, lr=2"]
    assert [Path(word).name for word in plan.arguments(runs[0])[:2]] == ["tiny.yaml", "other.yaml"]


def test_values_that_a_later_file_undoes_are_told_once_and_shipped_specifications_have_none(folder):
    (folder / "other.yaml").write_text(f"trainer: {{max_steps: 7}}\n{_LR.split('.')[0]}: {{ema_decay: 0.5}}\n")
    run = {"configs": "other.yaml"}
    given = {"set": {"trainer.max_steps": 3, "model.ema_decay": 0.5, _LR: 1}, "grid": {_TIME: [1, 2]}}
    (line,) = undone(plan.cells(load(_write(folder, runs={"one": run, "two": {}}, **given))))
    assert line.startswith("one: other.yaml has trainer.max_steps: 7 where 3 was said before it.")
    run |= {"trainer.max_steps": 3}
    assert undone(plan.cells(load(_write(folder, runs={"one": run}, **given)))) == []
    assert [line for path in _SHIPPED for line in undone(plan.cells(load(path)))] == []


def test_grid_axis_may_be_of_named_choices(folder):
    runs = _runs(folder, grid={"pace": {"slow": {_LR: 1e-4}, "fast": {_LR: 1e-2, "trainer.max_steps": 9}}})
    assert _cells(runs) == ["slow", "fast"]
    assert "--trainer.max_steps=9" in plan.arguments(runs[1])


def test_axes_whose_last_words_are_equal_keep_their_whole_names(folder):
    runs = _runs(folder, grid={"a.b.time": [1], "c.d.time": [2]})
    assert _cells(runs) == ["a.b.time=1, c.d.time=2"]


def test_numbers_without_a_point_are_numbers(folder):
    path = folder / "spec.yaml"
    path.write_text(f"configs: tiny.yaml\ngrid: {{{_LR}: [1e-3, 2.5e4]}}\n")
    assert [run.layers[1].settings[0][1] for run in plan.runs_of(load(path))] == [0.001, 25000.0]


def test_mapping_may_take_its_keys_from_another(folder):
    text = "configs: tiny.yaml\nruns:\n  one: &one {a: 1, b: 1}\n  two: {<<: *one, b: 2}\n  three: {<<: [*one]}\n"
    (folder / "spec.yaml").write_text(text)
    runs = yaml_files.read(folder / "spec.yaml", "specification")["runs"]
    assert runs == {"one": {"a": 1, "b": 1}, "two": {"a": 1, "b": 2}, "three": {"a": 1, "b": 1}}


def test_values_reach_the_command_line_as_yaml(folder):
    given = {
        "a": None,
        "b": [1, 2.5],
        "c": {"class_path": "x.Y"},
        "d": True,
        "e": "word",
        "f": {"g": [math.inf, -math.inf]},
    }
    (run,) = _runs(folder, set=given)
    assert plan.arguments(run)[1:-1] == [
        "--a=null",
        "--b=[1, 2.5]",
        '--c={"class_path": "x.Y"}',
        "--d=true",
        "--e=word",
        '--f={"g": [.inf, -.inf]}',
    ]


# Their names


def test_run_keeps_its_digest_when_names_comments_and_other_runs_change(folder):
    (before,) = _runs(folder, runs={"one": {_TIME: 2}})
    tiny = folder / "tiny.yaml"
    tiny.write_text("# a comment\n" + tiny.read_text())
    after = _runs(folder, runs={"renamed": {_TIME: 2}, "more": {_TIME: 3}}, seeds=[0, 1], parallel=7)
    assert before.digest == after[0].digest
    assert len({run.digest for run in after}) == 4


def test_run_is_another_when_its_config_changes(folder):
    (before,) = _runs(folder)
    write_config(folder / "tiny.yaml", seed_everything=4)
    (after,) = _runs(folder)
    assert before.digest != after.digest


def test_run_is_another_with_another_seed_or_value(folder):
    first, *others = [
        _runs(folder, **keys)[0] for keys in ({}, {"seeds": [1]}, {"set": {_TIME: 1}}, {"set": {_TIME: 2}})
    ]
    assert len({first.digest, *(run.digest for run in others)}) == 4


def test_values_whose_short_names_are_equal_keep_long_ones(folder):
    axes = load(_write(folder, grid={_TIME: [1000001.0, 1000002.0], "model.x": [{"class_path": "a.B"}, "c.B"]})).axes
    names = [choice.name for axis in axes for choice in axis]
    assert names == ["time=1000001.0", "time=1000002.0", "x={'class_path': 'a.B'}", "x=c.B"]


def test_copied_configs_outlive_the_originals(folder):
    (run,) = _runs(folder)
    plan.copy_configs(run, folder / "copies")
    before = yaml.safe_load((folder / "tiny.yaml").read_text())
    (folder / "tiny.yaml").unlink()
    (folder / "copies" / "0_tiny.yaml").write_text("")  # as a full disk leaves it
    plan.copy_configs(run, folder / "copies")
    (word,) = [word for word in plan.arguments(run, folder / "copies") if word.startswith("--config=")]
    assert yaml.safe_load(Path(word.partition("=")[2]).read_text()) == before


# Short names


def test_configs_have_the_short_names_of_shipped_ones_and_files_beside_the_specification_come_first(folder):
    asked = load(_write(folder, configs=["quickstart", "tiny.yaml"], runs={"a": {"configs": "discriminator/ntk_ipm"}}))
    assert [file.path for file in asked.base.configs] == [_CONFIGS / "quickstart.yaml", folder / "tiny.yaml"]
    assert asked.axes[0][0].configs[0].path == _CONFIGS / "discriminator" / "ntk_ipm.yaml"
    write_config(folder / "quickstart")
    assert load(_write(folder, configs="quickstart")).base.configs[0].path == folder / "quickstart"


@pytest.mark.parametrize("name", ["critics", "compare/critics", "critics.yaml", "configs/compare/critics.yaml"])
def test_command_takes_the_short_name_of_a_shipped_specification(name, folder, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(command, "_report", lambda specification, options: seen.append(specification.path) or 0)
    assert main(["report", name]) == 0
    assert seen == [_CONFIGS / "compare" / "critics.yaml"]
    assert main(["report", "critic"]) == 2
    assert "no specification critic; did you mean critics or" in capsys.readouterr().err


# What is refused


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"seds": [1]}, "no key 'seds'; did you mean seeds"),
        ({"configs": None}, "has no 'configs'"),
        ({"configs": "missing.yaml"}, "there is no file .*missing.yaml"),
        ({"configs": "quickstar"}, "no file .*quickstar .*did you mean quickstart"),
        ({"configs": 3}, "must be a file or a list of files, got 3"),
        ({"runs": {"one": {"configs": "missing.yaml"}}}, "'configs' of 'one' of 'runs': there is no file"),
        ({"runs": {}}, "'runs' has no values"),
        ({"runs": None}, "'runs' has no values"),
        ({"runs": {"one": 3}}, "'one' of 'runs' must be a mapping"),
        ({"grid": {_TIME: []}}, "axis 'model.discriminator.init_args.time' of 'grid' has no values"),
        ({"grid": {_TIME: None}}, "axis 'model.discriminator.init_args.time' of 'grid' has no values"),
        ({"grid": {}}, "'grid' must be a mapping of axes"),
        ({"grid": {_TIME: [1, 2, 1]}}, "has the value 1 twice"),
        ({"seeds": [1, 2, 1]}, "the seed 1 stands twice in 'seeds'"),
        ({"seeds": []}, "'seeds' has no values"),
        ({"seeds": None}, "'seeds' has no values"),
        ({"seeds": [1.5]}, "a seed must be a whole number at least 0, got 1.5"),
        ({"seeds": [True]}, "a seed must be a whole number at least 0, got True"),
        ({"set": {"seed_everything": 3}}, "'set' must not set 'seed_everything': give 'seeds' instead"),
        ({"runs": {"one": {"trainer.logger": False}}}, "'one' of 'runs' must not set 'trainer.logger'"),
        ({"set": {"not a key": 1}}, "'not a key' is no dotted key"),
        ({"set": [1]}, "'set' must be a mapping of dotted keys"),
        ({"metrics": {"val/fid": "low"}}, "metric 'val/fid' must be 'min' or 'max', got 'low'"),
        ({"metrics": {}}, "'metrics' must be a mapping of names"),
        ({"metrics": ["val/fid"]}, "'metrics' must be a mapping of names"),
        ({"metrics": [{"val/fid": "min"}]}, "'metrics' must be a mapping of names"),
        ({"budget": 3, "grid": {"budget.seconds": [1, 2]}}, "'seconds=1' sets 'budget.seconds', and the 'budget'"),
        ({"budget": 3, "set": {"trainer.max_steps": 2}}, "'base' sets 'trainer.max_steps', and the 'budget'"),
        ({"value": "mean"}, "'value' must be 'last' or 'best'"),
        ({"alpha": 1.0}, "'alpha' must be a number above 0 and below 1, got 1.0"),
        ({"parallel": 0}, "'parallel' must be a whole number at least 1, got 0"),
        ({"retries": -1}, "'retries' must be a whole number at least 0, got -1"),
        ({"timeout_minutes": 0}, "'timeout_minutes' must be a number above 0, got 0"),
        ({"slurm": ["gpu"]}, "'slurm' must be a mapping"),
        ({"runs": {"one": {_TIME: 2}, "two": {_TIME: 2}}}, "the runs 'one' and 'two' of .* are the same"),
    ],
)
def test_bad_specification_is_refused(folder, keys, says):
    with pytest.raises(ConfigError, match=says):
        _runs(folder, **keys)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("configs: tiny.yaml\nruns: {one: {}, one: {a: 1}}", "line 2: 'one' stands there twice"),
        ("configs: tiny.yaml\nruns: {one: &one {a: 1}, two: {<<: *one, b: 1, b: 2}}", "line 2: 'b' stands there twice"),
        ("configs: tiny.yaml\nruns: {[one]: {}}", "line 2: the key .'one'. is no word"),
        ("configs: tiny.yaml\nseeds: [", "line 2"),
        ("- tiny.yaml", "must be a mapping with the keys"),
        ("", "must be a mapping with the keys"),
    ],
)
def test_bad_yaml_is_refused(folder, text, says):
    (folder / "spec.yaml").write_text(text)
    with pytest.raises(ConfigError, match=says):
        load(folder / "spec.yaml")


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"grid": {"model.discriminator.init_args.tim": [1]}}, "tim=1: .*has no option 'tim'; did you mean time"),
        ({"set": {"trainer.max_stps": 3}}, "no key 'trainer.max_stps'; did you mean trainer.max_steps"),
        ({"runs": {"odd": {"model.generator": "Nothing"}}}, "odd: .*no class 'Nothing'"),
        ({"runs": {"odd": {_LR: "high"}}}, "odd: .*lr"),
        ({"slurm": {"partition": "gpu"}}, "'slurm' needs timeout_min"),
        ({"slurm": {"partion": "gpu"}}, "'slurm' has no option 'partion'"),
        ({"slurm": {"partition": "gpu", "timeout_min": 5}}, "srun"),
    ],
)
def test_run_refuses_in_one_line_before_anything_runs(folder, keys, says, capsys):
    assert main(["run", str(_write(folder, **keys))]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and line.startswith("compare: ")
    assert re.search(says, line), line
    assert not list(folder.rglob("run.json"))


def test_missing_specification_is_refused_in_one_line(folder, capsys):
    assert main(["status", "missing.yaml"]) == 2
    names = ", ".join(sorted(path.stem for path in (_CONFIGS / "compare").glob("*.yaml")))
    said = f"compare: there is no specification missing.yaml; it may be one of {names}.\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("path", _SHIPPED, ids=lambda path: path.stem)
def test_shipped_specification_is_one_that_the_command_line_takes(path, tmp_path):
    asked = load(path)
    runs = plan.runs_of(asked)
    if asked.search is not None:
        runs = Tuner(asked, Comparison(tmp_path), searches(asked)).probes()
    steps = check(runs, Comparison(tmp_path))
    assert set(steps) == set(_cells(runs)) and all(steps.values())
