"""Memory that a run holds, at validations: ``train.py fit ... --trainer.callbacks+=benchmarks.resident.Resident``."""

from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer


class Resident(Callback):
    """Prints the resident memory of the process after each validation, in MiB. Linux alone says it."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        status = Path("/proc/self/status").read_text()
        kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        print(f"resident memory at step {trainer.global_step}: {kib / 1024:.0f} MiB", flush=True)
