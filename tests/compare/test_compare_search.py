"""Searches: what a specification may ask for, which trials follow from which results, what is compared in the end."""

import csv
import json
import sys
from pathlib import Path

import pytest
import yaml
from tiny import write_config
from torch.utils.tensorboard import SummaryWriter

from benchmarks.compared import curves
from lightning_gantk import files
from lightning_gantk.compare.command import main
from lightning_gantk.compare.plan.runs import arguments, cells, copy_configs
from lightning_gantk.compare.plan.search import Parameter, space_of
from lightning_gantk.compare.plan.specification import load
from lightning_gantk.compare.report import sections, tried
from lightning_gantk.compare.report.results import collect
from lightning_gantk.compare.run.display import Board
from lightning_gantk.compare.run.execution import Driver
from lightning_gantk.compare.search.sampler import Tried, propose
from lightning_gantk.compare.search.trials import known_runs, searches
from lightning_gantk.compare.search.tuner import Tuner
from lightning_gantk.compare.state import Comparison, Phase
from lightning_gantk.errors import ConfigError

_TIME, _LR = "model.discriminator.init_args.time", "model.optimizer.init_args.lr"
_RATE = {"low": 1e-4, "high": 1e-1, "log": True}
_RUNS = {"one": {_TIME: 1, "search": {_TIME: [0.5, 2.0]}}, "two": {_TIME: 2}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path / "tiny.yaml")
    return tmp_path


def _specification(folder, **keys):
    given = {"configs": "tiny.yaml", "runs": _RUNS, "budget": 5, "seeds": [0, 1]}
    given |= {"search": {"trials": 3, "space": {_LR: _RATE}}, **keys}
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(given, sort_keys=False))
    return load(path)


def _end(specification, run, value, *, seconds=(0.0, 3.0, 5.0)):
    """What a run that finished leaves behind; one that diverged where there is no value."""
    place = Comparison(specification.folder).run(run.slug)
    outcome = "finished" if value is not None else "diverged"
    attempt = {"began": 1.0, "ended": 2.0, "host": "h", "pid": 1, "code": 0, "outcome": outcome, "error": "Diverged."}
    files.write_json(place.attempts / "1.json", attempt)
    if value is None:
        return
    writer = SummaryWriter(place.training)
    for number, spent in enumerate(seconds):
        step = number * (10 + run.seed)  # runs of the same seconds have not the same steps
        writer.add_scalar("val/fid", value + 2 - number, step, walltime=100.0 + 50 * number)
        writer.add_scalar("time/training", spent, step, walltime=100.0 + 50 * number)
    writer.close()
    record = {"steps": 20, "threads": 1, "processes": 1, "peak_memory": 1, "peak_gpu_memory": None}
    machine = {"machine": {"host": "h", "processor": "P", "cores": "2"}, "versions": {"python": "3.11"}}
    files.write_json(place.finished, record | machine)


def _search(specification, value_of):
    """Runs a search to its end, trial by trial, each driver knowing but the files; gives the trials' runs."""
    ended, seen = set(), []
    while True:
        tuner = Tuner(specification, Comparison(specification.folder), searches(specification))
        new = tuner.more(ended)
        for run in new:
            if run.trial is not None:
                seen.append(run)
                _end(specification, run, value_of(run))
        ended |= {run.slug for run in new}
        if tuner.is_done:
            return seen


def _values(run):
    return dict(run.layers[-1].settings)


# What a specification says


def test_budget_trains_for_its_seconds_alone(folder):
    specification = _specification(folder, search=None, runs={"a": {}}, budget={"seconds": 60, "schedule": "cosine"})
    words = arguments(cells(specification)[0].run(0))
    assert [word.partition("=")[2] for word in words if word.startswith("--budget")] == ["60", "cosine"]
    assert {"--trainer.max_steps=-1", "--trainer.max_epochs=-1", "--model.scheduler=null"} <= set(words)


def test_cell_searches_what_all_do_and_its_own(folder):
    one, two = cells(_specification(folder))
    assert [key for key, _ in one.space] == [_LR, _TIME] and [key for key, _ in two.space] == [_LR]
    assert dict(one.space)[_TIME] == Parameter(choices=(0.5, 2.0))


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"budget": 0}, "'budget' .its seconds. must be a number above 0, got 0"),
        ({"budget": {"clock": "cpu"}}, "'budget' .its seconds. must be a number above 0, got None"),
        ({"budget": {"seconds": 1, "clock": "sun"}}, "'clock' of 'budget' must be 'wall' or 'cpu', got 'sun'"),
        ({"budget": {"minutes": 1}}, "'budget' has no key 'minutes'"),
        ({"search": 3}, "'search' must be a mapping with the keys trials"),
        ({"search": {"space": {_LR: _RATE}}}, "'trials' of 'search' must be a whole number at least 1, got None"),
        ({"search": {"trials": 2, "sampler": "grid", "space": {_LR: _RATE}}}, "'sampler' of 'search' must be 'tpe' or"),
        ({"search": {"trials": 2, "seed": 1, "space": {_LR: _RATE}}}, "'seed' of 'search' must be none of 'seeds'"),
        ({"search": {"trials": 2}}, "'two' has nothing to search"),
        (
            {"search": {"trials": 2, "seconds": 0, "space": {_LR: _RATE}}},
            "'seconds' of 'search' must be a number above 0",
        ),
        ({"search": {"trials": 2, "seconds": 6, "space": {_LR: _RATE}}}, "at most those of the 'budget', 5, got 6"),
        ({"budget": None, "search": {"trials": 2, "seconds": 1, "space": {_LR: _RATE}}}, "and the .* no 'budget'"),
        ({"search": None}, "'one' has a space to search, and the specification no 'search'"),
        ({"search": {"trials": 2, "space": {_LR: [1]}}}, "must be a list of two or more different values"),
        ({"search": {"trials": 2, "space": {_LR: 1}}}, "must be a list of values, or a mapping with 'low' and 'high'"),
        ({"search": {"trials": 2, "space": {_LR: {"low": 0, "high": 1, "log": True}}}}, "'low' of .* above 0, got 0"),
        ({"search": {"trials": 2, "space": {_LR: {"low": 2, "high": 1}}}}, "'high' of .* above 2, got 1"),
        ({"search": {"trials": 2, "space": {_LR: {**_RATE, "first": 1}}}}, "'first' of .* between 0.0001 and 0.1"),
        ({"search": {"trials": 2, "space": {"seed_everything": [1, 2]}}}, "'space' of 'search' must not set"),
        ({"search": {"trials": 2, "space": {_LR: {"low": 1, "high": 8, "first": 2.5}}}}, "'first' .* a whole number"),
        ({"search": {"trials": 2, "space": {_LR: {"low": 1, "high": float("inf")}}}}, "two finite numbers"),
        ({"runs": {"one": {"search": {"seed_everything": [1, 2]}}}}, "'search' of 'one' .* must not set"),
    ],
)
def test_bad_search_is_refused(folder, keys, says):
    with pytest.raises(ConfigError, match=says):
        _specification(folder, **keys)


def test_missing_optuna_is_told_before_anything_runs(folder, monkeypatch, capsys):
    _specification(folder)
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["run", "spec.yaml"]) == 2
    assert "pip install 'lightning-gantk[search]'" in capsys.readouterr().err


def test_space_that_the_command_line_would_refuse_is_told_before_anything_runs(folder, capsys):
    _specification(folder, search={"trials": 1, "space": {"model.optimizer.init_args.lrr": _RATE}})
    assert main(["run", "spec.yaml"]) == 2
    assert "lrr" in capsys.readouterr().err and not list(folder.rglob("run.json"))


# What is proposed


@pytest.mark.parametrize("name", ["tpe", "random", "gp"])
def test_proposals_lie_in_the_space_and_follow_from_what_was_tried(name):
    space = space_of({"a": {**_RATE, "first": 0.01}, "b": {"low": 1, "high": 64, "log": True}, "c": [None, "x"]}, "s")
    tried = []
    for number in range(7):
        values = propose(name, space, tried, better="min", key="cell")
        assert values == propose(name, space, tried, better="min", key="cell")
        assert 1e-4 <= values["a"] <= 1e-1 and values["b"] in range(1, 65) and values["c"] in (None, "x")
        tried.append(Tried(values, number != 3, None if number in (2, 3) else float(number)))
    assert tried[0].values["a"] == 0.01
    assert len({one.values["a"] for one in tried}) == 7


def test_rounded_proposals_lie_in_a_narrow_range():
    low, high = 0.12345678, 0.12345999
    space = ((_LR, Parameter(low=low, high=high, first=low)),)
    tried = []
    for number in range(3):
        values = propose("random", space, tried, better="min", key="a")
        assert low <= values[_LR] <= high and (number or values[_LR] == low)
        tried.append(Tried(values, True, 1.0))


@pytest.mark.parametrize("better", ["min", "max"])
def test_proposals_go_where_results_are_better(better):
    space = space_of({"a": {"low": 0.0, "high": 1.0}}, "s")
    sign = 1 if better == "min" else -1
    tried = [Tried({"a": place / 20}, True, sign * abs(place / 20 - 0.3)) for place in range(21)]
    found = [propose("tpe", space, tried, better=better, key=str(number))["a"] for number in range(20)]
    assert sum(abs(value - 0.3) < 0.2 for value in found) > 15  # 8 of 20 would be chance


def test_gaussian_process_leaves_where_training_fails():
    space = space_of({"a": {"low": 0.0, "high": 1.0}}, "s")
    tried = [Tried({"a": place / 10}, True, -place / 10 if place < 6 else None) for place in range(11)]
    for _ in range(3):
        values = propose("gp", space, tried, better="min", key="k")
        tried.append(Tried(values, True, -values["a"] if values["a"] < 0.55 else None))
    assert sum(one.result is not None for one in tried[11:]) >= 2  # without their failures all are at 1


# What follows


def test_edited_config_reaches_no_run_of_a_search_that_has_begun(folder):
    specification = _specification(folder)
    one, _ = searches(specification)
    first = one.add({_LR: 0.01, _TIME: 2.0})
    before = (folder / "tiny.yaml").read_text()
    (folder / "tiny.yaml").write_text(before + "name: edited\n")
    second = one.add({_LR: 0.01, _TIME: 2.0})
    assert second.digest == first.digest
    copy_configs(second, folder / "copies")
    assert (folder / "copies" / "0_tiny.yaml").read_text() == before


def test_every_cell_has_as_many_trials_and_the_best_meets_fresh_seeds(folder):
    specification = _specification(folder)
    trials = _search(specification, lambda run: 100 * _values(run)[_LR])
    assert [run.cell for run in trials] == ["one", "two"] * 3  # by turns
    assert {run.seed for run in trials} == {1_000_000}
    for one in searches(specification):
        best = min((_values(run) for run in trials if run.cell == one.cell.name), key=lambda values: values[_LR])
        found = one.found(specification.seeds)
        assert [run.seed for run in found] == [0, 1]
        assert all(_values(run) == best for run in found)
    assert len(known_runs(specification, searches(specification))) == 10


def test_trials_may_be_shorter_than_what_they_are_for(folder):
    plan = {"trials": 2, "seconds": 1.5, "space": {_LR: _RATE}}
    specification = _specification(folder, search=plan, budget={"seconds": 5, "schedule": "cosine"})
    trials = _search(specification, lambda run: _values(run)[_LR])
    every = [run for one in searches(specification) for run in one.found(specification.seeds)]
    assert {run.slug for run in trials}.isdisjoint(run.slug for run in every)
    spent = [[word for word in arguments(run) if word.startswith("--budget.seconds")][-1] for run in (*trials, *every)]
    assert spent == ["--budget.seconds=1.5"] * 4 + ["--budget.seconds=5"] * 4
    _end(specification, every[0], 1.0)
    board = Board(specification, [trials[0], every[0]], Comparison(specification.folder))
    board.states()
    assert [board._progress(run, board._read(run, Phase.FINISHED)) for run in board.runs] == [
        "20 (5 / 1.5 s)",
        "20 (5 / 5 s)",
    ]
    results = collect(specification)
    assert sections.facts(results)["Search before"] == "2 trials of 1.5 s each, tpe"
    assert "with 1.5 of its seconds and one seed" in tried.stated(results, specification.search)
    longer = _specification(folder, search={**plan, "seconds": 2})  # nothing of the shorter search is taken over
    assert all(not one.runs for one in searches(longer))


def test_trials_that_diverge_never_win_and_a_cell_of_them_has_nothing_to_compare(folder):
    specification = _specification(folder)
    _search(specification, lambda run: 1.0 if (run.cell, run.trial) == ("one", 1) else None)
    one, two = searches(specification)
    assert (one.best, two.best) == (1, None) and two.is_decided
    assert Tuner(specification, Comparison(specification.folder), [one, two]).without_result() == ["two"]
    assert "two — no trial came to a value" in sections.unfinished(collect(specification))


def test_search_by_another_rule_is_decided_anew_from_the_trials_there_are(folder):
    specification = _specification(folder)
    trials = _search(specification, lambda run: float(run.trial))
    assert [one.best for one in searches(specification)] == [0, 0]
    other = _specification(folder, metrics={"val/fid": "max"})
    assert [one.is_decided for one in searches(other)] == [False, False]
    tuner = Tuner(other, Comparison(other.folder), searches(other))
    ended = {run.slug for run in trials}
    while not tuner.is_done:
        assert all(run.trial is None for run in tuner.more(ended))
    assert [one.best for one in searches(other)] == [2, 2]


def test_more_trials_go_on_from_those_there_are(folder):
    specification = _specification(folder)
    first = _search(specification, lambda run: float(run.trial))
    assert [one.best for one in searches(specification)] == [0, 0]
    more = _specification(folder, search={"trials": 4, "space": {_LR: _RATE}})
    assert [one.is_decided for one in searches(more)] == [False, False]
    ended = {run.slug for run in first}
    tuner = Tuner(more, Comparison(more.folder), searches(more))
    new = [run for _ in range(2) for run in tuner.more(ended)]
    assert [(run.cell, run.trial) for run in new] == [("one", 3), ("two", 3)]


def test_what_a_search_finds_again_is_not_run_again(folder):
    """Two trials, whose better one met the seeds; then a third is asked for, and is worse."""
    keys = {"runs": {"two": {_TIME: 2}}}
    first = _specification(folder, search={"trials": 2, "space": {_LR: _RATE}}, **keys)
    _search(first, lambda run: float(run.trial))
    for run in searches(first)[0].found(first.seeds):
        _end(first, run, 1.0)
    more = _specification(folder, search={"trials": 3, "space": {_LR: _RATE}}, **keys)
    comparison, found = Comparison(more.folder), searches(more)
    tuner = Tuner(more, comparison, found)
    (third,) = tuner.more({run.slug for run in found[0].runs})
    _end(more, third, 9.0)
    driver = Driver(more, known_runs(more, found), comparison, _Refusing(), 2, {"two": None}, tuner)
    *_, last = driver._turns()
    assert len(last) == 5 and {one.phase for one in last.values()} == {Phase.FINISHED} and tuner.is_done


class _Refusing:
    """An executor of which nothing is wanted."""

    cluster = "local"

    def submit(self, job):
        raise AssertionError(f"{job} was run again")


def test_trial_that_is_going_is_waited_for(folder):
    specification = _specification(folder, runs={"two": {_TIME: 2}}, search={"trials": 1, "space": {_LR: _RATE}})
    tuner = Tuner(specification, Comparison(specification.folder), searches(specification))
    (trial,) = tuner.more(set())
    assert tuner.more(set()) == [] and not tuner.is_done
    _end(specification, trial, 3.0)
    assert [run.seed for run in tuner.more({trial.slug})] == [0, 1] and tuner.is_done


# What is reported


@pytest.fixture
def compared(folder):
    specification = _specification(folder)
    _search(specification, lambda run: 100 * _values(run)[_LR])
    for one in searches(specification):
        for run in one.found(specification.seeds):
            _end(specification, run, 1.0 + run.seed, seconds=(0.0, 2.4 + 0.2 * run.seed, 5.2 + run.seed))
    return specification


def test_report_shows_what_was_tried_and_fid_by_seconds(compared, capsys):
    assert main(["report", "spec.yaml"]) == 0
    results = collect(compared)
    table = tried.tables(results)["one"]
    assert table.header == ["trial", "lr", "time", "FID", "state"] and len(table.rows) == 3
    bold = [place for place, row in enumerate(table.rows) if row[0].bold]
    assert bold == [searches(compared)[0].best]
    by_time = sections.by_time(results)
    assert by_time.header == ["FID", "0.5 s", "1.25 s", "2.5 s", "3.75 s", "end (5 s)"]
    # at 2.5 s the second seed has but the value of its start; the first has 1 + 1
    assert by_time.rows[0][1:] == ["—", "—", "—", "2.50 ± 0.50", "1.50 ± 0.50"]
    # steps take what counts over their number, whatever else the machine did meanwhile
    finished = results.of("one")
    expected = [one.training_seconds / one.record["steps"] for one in finished]
    assert [results.step_seconds(one) for one in finished] == expected
    page = (compared.folder / "report.html").read_text()
    assert "What was tried" in page and "Parzen" in page and "no trial had" in page
    text = (compared.folder / "report.md").read_text()
    assert "## By time" in text and "### two" in text and "0.0001 to 0.1, log" in text
    assert "Seconds are those of the wall clock" in text
    rows = list(csv.DictReader((compared.folder / "results.csv").open()))
    assert [row["run"] for row in rows] == ["one", "one", "two", "two"]
    assert float(rows[1]["training_seconds"]) == pytest.approx(6.2)  # logs are in float32
    assert results.others == 0


def test_picture_of_the_documentation_has_a_line_over_the_seconds_for_each_entry(compared):
    drawn = curves(collect(compared))
    lines = drawn.axes[0].lines
    assert [line.get_label() for line in lines] == collect(compared).cells
    assert [line.get_xdata()[-1] for line in lines] == [pytest.approx(5.2)] * len(lines)  # the earliest end


def test_status_names_trials(compared, capsys):
    assert main(["status", "spec.yaml", "--once"]) == 0
    said = capsys.readouterr().out
    assert "trial 2" in said and "seed 1" in said and "10 finished" in said


# Everything, in processes


@pytest.mark.slow
def test_search_runs_from_end_to_end_and_is_not_run_again(folder, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ":".join([str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]))
    search = {"trials": 2, "space": {_LR: _RATE}}
    specification = _specification(folder, runs={"a": {}}, budget=0.5, seeds=[4], search=search, threads=1, parallel=2)
    assert main(["run", "spec.yaml"]) == 0
    (one,) = searches(specification)
    runs = known_runs(specification, [one])
    assert [run.which for run in runs] == ["trial 0", "trial 1", "seed 4"]
    folders = [Comparison(specification.folder).run(run.slug) for run in runs]
    before = [place.finished.stat().st_mtime_ns for place in folders]
    results = collect(specification)
    assert all(result.training_seconds >= 0.5 for result in (*results.runs, *results.trials.values()))
    reached = [result.value("val/fid", which="last", better="min") for result in results.trials.values()]
    assert one.best == reached.index(min(reached))
    assert main(["run", "spec.yaml"]) == 0
    assert [place.finished.stat().st_mtime_ns for place in folders] == before
    assert json.loads(one.path.read_text())["best"] == one.best
