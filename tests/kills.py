"""Kills tiny runs at random moments, resumes them, compares with the run that nobody killed: ``python tests/kills.py``.

Everything that a run leaves behind has to be equal to the bit: parameters, the optimizer's state, random numbers, the
counts of Lightning's loops, what TensorBoard shows (but for times); no half-written file may be left. The trials differ
in what is killed, by which signal, when, and where runs and temporary files lie. A table is printed and kept beside
``--out``; trials that are in it already are not made again.
"""

import argparse
import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny import write_config

from lightning_gantk import checkpoint_files, cli, gan

_STEPS = 120
_SETTINGS = {
    "trainer": {"max_steps": _STEPS, "val_check_interval": 20, "log_every_n_steps": 1, "accelerator": "cpu"},
    "last_checkpoint": {"every_n_steps": 7},
    "sample_grid": {"every_n_steps": 20, "num_samples": 4},
}
_FIT = ["fit", "--config=tiny.yaml", "--trainer.enable_progress_bar=false"]
_TWO_RANKS = ["--trainer.devices=2", "--trainer.strategy=ddp", "--data.init_args.batch_size=4"]
_PLACES = {"same": (None, None), "across": (None, "/dev/shm"), "across, back": ("/dev/shm", None)}  # runs, temporary
_PATIENCE = 300  # seconds


@dataclass(frozen=True)
class Trial:
    """What is killed, how, when and where."""

    what: str
    signal: str
    moment: str
    place: str
    number: int

    @property
    def seed(self) -> str:
        return "-".join(map(str, asdict(self).values()))


def trials(each: int) -> list[Trial]:
    """``each`` of every kind of a single process; half as many of two ranks and of a comparison's driver."""
    moments, signals = ("start", "training", "save", "validation"), ("SIGKILL", "SIGTERM")
    made = [Trial("run", *kind, k) for kind in itertools.product(signals, moments, _PLACES) for k in range(each)]
    some = range(max(1, each // 2))
    ranks = ("rank 0 of 2", "rank 1 of 2")
    made += [Trial(w, s, m, "same", k) for w in ranks for s in signals for m in ("training", "save") for k in some]
    return made + [Trial("driver", s, "training", p, k) for s in signals for p in ("same", "across") for k in some]


class Child:
    """A command in a process of its own, forked from this one, in which everything is imported already."""

    def __init__(self, words: list[str], folder: Path, environment: dict[str, str], watched: str = ""):
        self.log = folder / "said.txt"
        self._moments, told = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._moments)
            self._become(words, folder, environment, watched, told)
        os.close(told)

    def _become(self, words: list[str], folder: Path, environment: dict[str, str], watched: str, told: int) -> None:
        code = 1
        try:
            os.chdir(folder)
            os.environ.update(environment)
            tempfile.tempdir = None
            out = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(out, 1), os.dup2(out, 2)
            torch.set_num_threads(1)
            tell = lambda: os.write(told, b".")  # noqa: E731
            if watched == "save":
                _before(checkpoint_files.CheckpointFiles, "save_checkpoint", tell)
            if watched == "validation":
                _before(gan.GAN, "on_validation_start", tell)
            cli.main(words)
            code = 0
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code)

    def reaches(self, count: int) -> None:
        """Waits until the watched moment has come so many times, or the process has ended."""
        while count and (seen := os.read(self._moments, count)):
            count -= len(seen)

    def kill(self, name: str) -> None:
        os.kill(self.pid, signal.Signals[name])

    def wait(self) -> int:
        deadline = time.monotonic() + _PATIENCE
        while (done := os.waitpid(self.pid, os.WNOHANG))[0] == 0:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.01)
        os.close(self._moments)
        return os.waitstatus_to_exitcode(done[1])


def _before(owner: type, name: str, act: Callable[[], Any]) -> None:
    original = getattr(owner, name)

    def replacement(*args: Any, **kwargs: Any) -> Any:
        act()
        return original(*args, **kwargs)

    setattr(owner, name, replacement)


def _fork(trial: Trial, folder: Path, words: list[str], environment: dict[str, str], watched: str = "") -> list[Child]:
    if "rank" not in trial.what:
        return [Child(words, folder, environment, watched)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
    return [
        Child(
            [*words, *_TWO_RANKS], folder, {**environment, **meeting, "NODE_RANK": "0", "LOCAL_RANK": str(k)}, watched
        )
        for k in range(2)
    ]


def _run(trial: Trial, folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Starts, kills, resumes; gives what there is to say of it."""
    dice = random.Random(trial.seed)
    children = _fork(trial, folder, _FIT, environment, trial.moment)
    victim = children[1 if trial.what == "rank 1 of 2" else 0]
    last = folder / "runs" / "tiny" / "version_0" / "checkpoints" / "last.ckpt"
    if trial.moment == "start":
        time.sleep(dice.uniform(0.0, 0.6))
    elif trial.moment == "training":
        _until(last.exists)
        time.sleep(dice.uniform(0.0, 0.25))
    else:
        children[0].reaches(dice.randint(1, 18 if trial.moment == "save" else 6))
        time.sleep(dice.uniform(0.0, 0.02))
    victim.kill(trial.signal)
    killed = time.monotonic()
    codes = [child.wait() for child in children]
    took = time.monotonic() - killed
    left = [path.name for path in (folder / "runs").rglob("*.part")] if (folder / "runs").exists() else []
    step = checkpoint_files.read(last)["global_step"] if last.exists() else None
    again = [] if step is None else [f"--ckpt_path={last}"]
    ends = [child.wait() for child in _fork(trial, folder, _FIT + again, environment)]
    return {"codes": codes, "stopped_after": round(took, 1), "step": step, "halves": len(left), "resumed": ends}


def _drive(trial: Trial, folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    dice = random.Random(trial.seed)
    specification = {"configs": "tiny.yaml", "seeds": [0, 1], "parallel": 2, "threads": 1, "folder": "runs"}
    (folder / "pair.yaml").write_text(yaml.safe_dump(specification))
    command = [sys.executable, "-m", "lightning_gantk.compare", "run", "pair.yaml"]
    paths = os.pathsep.join(map(str, Path(__file__).parents[:2]))
    options = {"cwd": folder, "env": {**os.environ, **environment, "PYTHONPATH": paths}, "stderr": subprocess.STDOUT}
    with (folder / "said.txt").open("ab") as out:
        driver = subprocess.Popen(command, stdout=out, **options)
        _until(lambda: driver.poll() is not None or any((folder / "runs").rglob("last.ckpt")))
        time.sleep(dice.uniform(0.0, 1.0))
        driver.send_signal(signal.Signals[trial.signal])
        killed = time.monotonic()
        code = driver.wait(_PATIENCE)
        took = time.monotonic() - killed
        steps = [checkpoint_files.read(path)["global_step"] for path in (folder / "runs").rglob("last.ckpt")]
        end = subprocess.run(command, stdout=out, timeout=_PATIENCE, **options).returncode
    return {
        "codes": [code],
        "stopped_after": round(took, 1),
        "step": max(steps, default=None),
        "halves": 0,
        "resumed": [end],
    }


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.002)


def _outcome(training: Path) -> dict[str, Any]:
    """All that a finished run has left that is to be the same."""
    saved = checkpoint_files.read(training / "checkpoints" / "last.ckpt")
    logs = EventAccumulator(str(training), size_guidance={"scalars": 0, "images": 0}).Reload()
    tags = logs.Tags()
    scalars = {tag: [(event.step, event.value) for event in logs.Scalars(tag)] for tag in tags["scalars"]}
    kept = ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "loops", "exact_resume")
    return {
        # Of the loops that of `fit` alone: a new run has validated before it trains, in a loop of its own.
        "saved": {**{key: saved[key] for key in kept}, "loops": saved["loops"]["fit_loop"]},
        "scalars": {tag: points for tag, points in scalars.items() if not tag.startswith("time/")},
        "images": {tag: [event.step for event in logs.Images(tag)] for tag in tags["images"]},
        "best": sorted(path.name for path in (training / "checkpoints").glob("best*")),
        "halves": [path.name for path in training.rglob("*.part")],
    }


def _without(outcome: dict[str, Any], step: int | None) -> dict[str, Any]:
    """An outcome without the curves' points of the step that the run went on from.

    Lightning logs them after the checkpoint is saved, so that a process killed in the instant between has not.
    """
    if step is None:
        return outcome
    curves = {tag: [one for one in points if one[0] != step - 1] for tag, points in outcome["scalars"].items()}
    return {**outcome, "scalars": curves}


def difference(one: Any, other: Any, where: str = "") -> str:
    """The first place in which two outcomes differ; empty where they are equal to the bit."""
    if isinstance(one, torch.Tensor):
        return "" if torch.equal(one, other) else where
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return f"{where}: {sorted(map(str, one.keys() ^ other.keys()))}"
        return next((found for key in one if (found := difference(one[key], other[key], f"{where}/{key}"))), "")
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return next((found for k, (a, b) in pairs if (found := difference(a, b, f"{where}/{k}"))), "")
    return "" if one == other else where


class Bench:
    """The trials of one sitting, and the runs that nobody killed."""

    def __init__(self) -> None:
        self._whole: dict[tuple[str, int], dict[str, Any]] = {}

    def make(self, trial: Trial) -> dict[str, Any]:
        """Makes one trial: what was seen, and "difference", empty where the resumed run is the whole one."""
        at, temporary = _PLACES[trial.place]
        folder = Path(tempfile.mkdtemp(prefix="kills-", dir=at))
        scratch = Path(tempfile.mkdtemp(prefix="kills-", dir=temporary))
        try:
            _prepare(folder)
            act = _drive if trial.what == "driver" else _run
            seen = act(trial, folder, {"TMPDIR": str(scratch)})
            seen["leaked"] = len([one for one in scratch.rglob("*") if one.is_file() and "ckpt" in one.name])
            seen["difference"] = self._compare(trial, folder, seen["step"])
            if seen["difference"]:
                seen["said"] = (folder / "said.txt").read_text()[-3000:]
            return asdict(trial) | seen
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(scratch, ignore_errors=True)

    def _compare(self, trial: Trial, folder: Path, step: int | None) -> str:
        pattern = "runs/runs/*-s*-*/version_0" if trial.what == "driver" else "runs/tiny/version_*"
        runs = sorted(folder.glob(pattern))
        if trial.what != "driver":
            runs = runs[-1:]  # one killed before its first checkpoint was started anew, in a folder of its own
        kind = "two" if "rank" in trial.what else "one"
        for training in runs:
            config = yaml.safe_load((training / "config.yaml").read_text())
            found, whole = _outcome(training), self.whole(kind, config["seed_everything"])
            if unlike := difference(_without(found, step), _without(whole, step)):
                return unlike
            if any(len(points) != len(dict(points)) for points in found["scalars"].values()):
                return "a point twice"
        return "" if runs else "no run"

    def whole(self, kind: str, seed: int) -> dict[str, Any]:
        """The outcome of the run that nobody killed, on "one" process or "two"."""
        if (kind, seed) not in self._whole:
            with tempfile.TemporaryDirectory(prefix="kills-") as name:
                folder = Path(name)
                _prepare(folder)
                trial = Trial("rank 0 of 2" if kind == "two" else "run", "", "", "", 0)
                words = [
                    "fit",
                    "--config=tiny.yaml",
                    f"--seed_everything={seed}",
                    "--trainer.enable_progress_bar=false",
                ]
                codes = [child.wait() for child in _fork(trial, folder, words, {})]
                assert set(codes) == {0}, (folder / "said.txt").read_text()
                self._whole[kind, seed] = _outcome(folder / "runs" / "tiny" / "version_0")
        return self._whole[kind, seed]


def _prepare(folder: Path) -> None:
    generator = {
        "class_path": "lightning_gantk.generators.DCGANGenerator",
        "init_args": {"out_shape": [1, 8, 8], "latent_dim": 8, "channels": 64},
    }
    parts = {"discriminator": {"class_path": "tiny.TinyDiscriminator"}, "quality": {"class_path": "tiny.TinyQuality"}}
    write_config(folder / "tiny.yaml", model={"generator": generator, "ema_decay": 0.9, **parts}, **_SETTINGS)


def table(made: list[dict[str, Any]]) -> str:
    """The trials by kind, in Markdown."""
    lines = ["| killed | by | moment | runs and temporary files | trials | resumed bit for bit | from steps |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    names = {"same": "one disk", "across": "disk, memory", "across, back": "memory, disk"}
    keys = ("what", "signal", "moment", "place")
    for kind, group in itertools.groupby(made, key=lambda one: tuple(one[key] for key in keys)):
        some = list(group)
        good = sum(not one["difference"] for one in some)
        steps = ", ".join("anew" if one["step"] is None else str(one["step"]) for one in some)
        what, by, moment, place = kind
        lines.append(f"| {what} | {by} | {moment} | {names[place]} | {len(some)} | {good} | {steps} |")
    good = sum(not one["difference"] for one in made)
    lines.append(f"| **all** | | | | **{len(made)}** | **{good}** | |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=2, help="Trials of every kind.")
    parser.add_argument("--only", default="", help="Kinds whose description contains this, such as 'driver'.")
    parser.add_argument("--out", type=Path, default=Path("kills.json"), help="Where the trials are kept.")
    options = parser.parse_args()
    made = json.loads(options.out.read_text()) if options.out.exists() else []
    done = {tuple(one[key] for key in ("what", "signal", "moment", "place", "number")) for one in made}
    bench, wanted = Bench(), [one for one in trials(options.each) if options.only in one.seed]
    for trial in wanted:
        if tuple(asdict(trial).values()) in done:
            continue
        made.append(bench.make(trial))
        options.out.write_text(json.dumps(made, indent=1))
        print(trial.seed, made[-1]["step"], made[-1]["codes"], made[-1]["difference"] or "equal", flush=True)
    order = {tuple(asdict(one).values()): k for k, one in enumerate(trials(options.each))}
    made.sort(key=lambda one: order.get(tuple(one[key] for key in Trial.__dataclass_fields__), -1))
    print(table(made))
    return int(any(one["difference"] for one in made))


if __name__ == "__main__":
    raise SystemExit(main())
