"""What is read from event files: as they grow, and across interruptions."""

import time

import pytest
from torch.utils.tensorboard import SummaryWriter

from lightning_gantk.compare.report.logs import Logs

_START = 1_000_000.0


def _write(folder, points, *, begins=_START, purge_step=None, name="loss"):
    """An event file that begins at a time, with values at steps and times after it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: begins)
        writer = SummaryWriter(folder, purge_step=purge_step)
    for step, value, seconds in points:
        writer.add_scalar(name, value, step, walltime=begins + seconds)
    writer.close()


def test_scalars_are_read_with_steps_and_seconds(tmp_path):
    _write(tmp_path, [(0, 5.0, 1), (10, 4.0, 3)])
    series = Logs(tmp_path).refresh().scalars["loss"]
    assert series.values() == {0: 5.0, 10: 4.0}
    assert series.seconds() == pytest.approx({0: 1, 10: 3})


def test_resumed_run_counts_each_step_once_and_no_time_between(tmp_path):
    _write(tmp_path, [(0, 5.0, 1), (10, 4.0, 3), (20, 99.0, 5)])  # 20 was after the last checkpoint, and is lost
    _write(tmp_path, [(20, 3.0, 2), (30, 2.0, 4)], begins=_START + 500, purge_step=11)
    series = Logs(tmp_path).refresh().scalars["loss"]
    assert series.values() == {0: 5.0, 10: 4.0, 20: 3.0, 30: 2.0}
    assert series.seconds() == pytest.approx({0: 1, 10: 3, 20: 5, 30: 7})


@pytest.mark.parametrize("name", ["val/fid", "train/loss"])
def test_values_are_on_the_clock_of_training(name, tmp_path):
    _write(tmp_path, [(0, 9.0, 1), (10, 5.0, 70), (15, 4.0, 90), (20, 3.0, 120)], name=name)
    _write(tmp_path, [(0, 0.0, 1), (10, 2.0, 70), (20, 4.0, 120)], begins=_START + 1, name="time/training")
    assert Logs(tmp_path).refresh().scalars[name].seconds() == pytest.approx({0: 0, 10: 2, 15: 3, 20: 4})


def test_resumed_run_may_have_lost_all_of_its_clock(tmp_path):
    _write(tmp_path, [(10, 2.0, 70)], name="time/training")
    _write(tmp_path, [(0, 5.0, 2)], begins=_START + 500, purge_step=0)
    assert Logs(tmp_path).refresh().seconds() == pytest.approx(2)


def test_first_of_two_values_of_a_step_counts(tmp_path):
    _write(tmp_path, [(0, 5.0, 1), (0, 6.0, 9)])  # TensorBoard's HPARAMS tab repeats a metric
    assert Logs(tmp_path).refresh().scalars["loss"].points == {0: (5.0, pytest.approx(1))}


def test_reading_goes_on_where_it_stopped(tmp_path):
    logs = Logs(tmp_path / "later")
    assert logs.refresh().scalars == {} and logs.step() == 0
    _write(tmp_path / "later", [(0, 5.0, 1)])
    assert logs.refresh().step() == 0
    _write(tmp_path / "later", [(7, 4.0, 1)], begins=_START + 50, purge_step=1)
    assert logs.refresh().step() == 7
    assert logs.seconds() == pytest.approx(2)
    assert logs.refresh().scalars["loss"].steps == [0, 7]
