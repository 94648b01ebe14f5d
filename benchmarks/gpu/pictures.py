"""A CNN on 64 x 64 digits, each regime for the same time: FID by seconds."""

import tempfile
import time
from collections.abc import Iterator
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from benchmarks import command
from benchmarks.gpu import device
from benchmarks.gpu.options import Options
from benchmarks.gpu.training import TINY
from benchmarks.rows import Row
from lightning_gantk.training.trainer import callbacks_of

REGIMES = {
    "infinite IPM": ["discriminator/ntk_ipm.yaml"],
    "finite LSGAN, width 32": ["discriminator/finite_lsgan.yaml"],
}


class FIDClock(Callback):
    """Seconds of training, steps and FID at each validation; the time of validations is not counted."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, int, float]] = []
        self._spent = 0.0
        self._since: float | None = None  # there is a validation before the first step

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._since = time.perf_counter()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._since is not None:
            self._spent += time.perf_counter() - self._since

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.seen.append((self._spent, trainer.global_step, float(trainer.callback_metrics["val/fid"])))
        self._since = time.perf_counter()


def rows(options: Options) -> Iterator[Row]:
    """FID on LeNet features (real against real is printed beside)."""
    size = 32 if options.tiny else 64
    every = 2 if options.tiny else 250
    for name, files in REGIMES.items():
        with tempfile.TemporaryDirectory() as folder:
            settings: dict[str, Any] = {
                "model.generator.init_args.out_shape": f"[1, {size}, {size}]",
                "data.init_args.image_size": size,
                "trainer.val_check_interval": every,
                "trainer.default_root_dir": folder,
                "trainer.callbacks+": f"{__name__}.FIDClock",
                "model.scheduler": "null",
                "model.optimizer.init_args.lr": 3e-3,
                **device.of_trainer(),
                **(TINY | {"trainer.max_steps": 2} if options.tiny else _limit(options.seconds)),
            }
            cli = command.fit(["quickstart.yaml", "best/ntk_ipm.yaml", *files], settings)
        (clock,) = (callback for callback in callbacks_of(cli.trainer) if isinstance(callback, FIDClock))
        course = _thinned(clock.seen)
        text = ", ".join(f"{fid:.1f} after {seconds:.0f} s ({steps} steps)" for seconds, steps, fid in course)
        floor = float(cli.trainer.callback_metrics["val/fid_floor"])
        yield Row(f"LeNet FID of digits, {size} x {size}, DCGAN, batch 128, {name}", "", text, "", f"floor {floor:.2f}")


def _limit(seconds: float) -> dict[str, Any]:
    days, rest = divmod(int(seconds), 86_400)
    hours, minutes, seconds = rest // 3600, rest // 60 % 60, rest % 60
    return {"trainer.max_steps": 10**6, "trainer.max_time": f"{days:02}:{hours:02}:{minutes:02}:{seconds:02}"}


def _thinned(seen: list[tuple[float, int, float]], most: int = 8) -> list[tuple[float, int, float]]:
    """At most so many of the points, the last among them."""
    step = max(1, -(-len(seen) // most))
    return seen[::-1][::step][::-1]
