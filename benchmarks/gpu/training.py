"""Whole steps of ``train.py``: time, idle GPU, waits of the host."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from benchmarks import command, problems
from benchmarks.gpu import device, trace
from benchmarks.gpu.options import Options
from benchmarks.rows import RELU_DCGAN, Row
from lightning_gantk.discriminators import FiniteDiscriminator, NTKDiscriminator
from lightning_gantk.generators import DCGANGenerator
from lightning_gantk.losses import IPM
from lightning_gantk.training.trainer import callbacks_of

REGIMES = {"infinite IPM": "ntk_ipm.yaml", "finite IPM": "finite_ipm.yaml", "infinite LSGAN": "ntk_lsgan.yaml"}


TINY = {"data.init_args.batch_size": 8, "model.generator.init_args.channels": 8}


class StepClock(Callback):
    """Seconds from one step to the next."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any, **options: Any) -> None:
        self.ends.append(time.perf_counter())


def rows(options: Options) -> Iterator[Row]:
    """The digits' steps as a user runs them, and the same by hand under a trace."""
    steps = 4 if options.tiny else 150
    medians: dict[str, float] = {}
    for name, file in REGIMES.items():
        with tempfile.TemporaryDirectory() as folder:
            settings = {
                "trainer.max_steps": steps,
                "trainer.limit_val_batches": 0,
                "model.optimizer.init_args.lr": 1e-5,  # small, for a finite IPM that nothing bounds would fly apart
                "trainer.default_root_dir": folder,
                "trainer.callbacks+": f"{__name__}.StepClock",
                **device.of_trainer(),
                **(TINY if options.tiny else {}),
            }
            cli = command.fit(["quickstart.yaml", "best/ntk_ipm.yaml", f"discriminator/{file}"], settings)
        (clock,) = (callback for callback in callbacks_of(cli.trainer) if isinstance(callback, StepClock))
        between = [after - before for before, after in zip(clock.ends, clock.ends[1:], strict=False)]
        medians[name] = statistics.median(between[len(between) // 3 :])
    base = medians["finite IPM"]
    for name, median in medians.items():
        work = f"whole step of train.py, digits (batch 128), {name}"
        yield Row(work, f"finite IPM, {base * 1e3:.2f} ms", f"{median * 1e3:.2f} ms", f"{base / median:.2f}x", "")
    given = problems.batch(8 if options.tiny else 128, channels=3)
    real, _ = problems.tensors(given)
    for name, discriminator in (
        ("infinite", NTKDiscriminator(RELU_DCGAN, IPM())),
        ("finite, width 32", FiniteDiscriminator(RELU_DCGAN, IPM(), width=32)),
    ):
        generator = DCGANGenerator(out_shape=tuple(real.shape[1:])).to(real.device)
        optimizer = problems.adam(generator)
        found = trace.of(problems.training_step(generator, optimizer, discriminator, real), 1 if options.tiny else 10)
        yield Row(f"whole step by hand, DCGAN {name}, IPM, n=m={len(real)}", "", found.summary, "", device.peaks())
