"""The smallest discriminator, data and metrics that keep their contracts: runs of a few steps take milliseconds."""

from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers.logger import Logger
from torch import Tensor, nn
from torch.utils.data import Dataset

from datamodules import DataModule
from lightning_gantk import GAN
from lightning_gantk.discriminators.base import Discriminator
from lightning_gantk.generators import MLPGenerator
from lightning_gantk.losses import IPM, AdversarialLoss
from lightning_gantk.metrics import Quality


class TinyDiscriminator(Discriminator):
    """A linear critic that drifts towards the difference of means, with noise from torch's global generator."""

    def __init__(self, loss: AdversarialLoss | None = None, time: float = 1.0):
        super().__init__(loss=loss or IPM(), time=time)
        self.register_buffer("weight", torch.zeros(0))

    def build(self, in_shape: tuple[int, ...]) -> None:
        if self.weight.numel() == 0:
            self.weight = torch.zeros(torch.Size(in_shape).numel())

    def fit(self, real: Tensor, fake: Tensor) -> None:
        difference = (fake.mean(0) - real.mean(0)).flatten()
        self.weight = 0.5 * self.weight + self.time * difference + 0.1 * torch.randn_like(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight


class Recording(TinyDiscriminator):
    """Remembers what it was given."""

    def __init__(self, loss: AdversarialLoss | None = None):
        super().__init__(loss)
        self.own = nn.Parameter(torch.ones(2), requires_grad=False)

    def build(self, in_shape: tuple[int, ...]) -> None:
        super().build(in_shape)
        self.fitted, self.scored = [], []

    def fit(self, real: Tensor, fake: Tensor) -> None:
        super().fit(real, fake)
        self.fitted.append((real, fake))

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            self.scored.append(x)
        return super().forward(x)


class TinyQuality(Quality):
    """Squared distances of means, under the names of better metrics."""

    def __init__(self) -> None:
        super().__init__()
        self.real: list[Tensor] = []
        self.fake: list[Tensor] = []
        self.shape: tuple[int, ...] | None = None

    def build(self, in_shape: tuple[int, ...]) -> None:
        self.shape = in_shape

    @property
    def has_real(self) -> bool:
        return bool(self.real)

    def update(self, samples: Tensor, *, real: bool) -> None:
        assert not samples.requires_grad
        (self.real if real else self.fake).append(samples)

    def compute(self) -> dict[str, Tensor]:
        distance = ((torch.cat(self.real).mean(0) - torch.cat(self.fake).mean(0)) ** 2).sum()
        return {"fid": distance.double(), "kid": distance + torch.rand(())}  # KID draws random subsets

    def reset(self, *, real: bool = False) -> None:
        self.fake = []
        if real:
            self.real = []


class TinyData(DataModule):
    """``size`` random samples, and 7 that are held out."""

    def __init__(self, shape: tuple[int, ...] = (2,), size: int = 42, batch_size: int = 8) -> None:
        super().__init__(batch_size=batch_size)
        self.shape, self.size = tuple(shape), size

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return self.shape

    def load(self) -> tuple[Dataset[Tensor], Dataset[Tensor]]:
        samples = torch.randn(self.size + 7, *self.shape, generator=torch.Generator().manual_seed(1)).clamp(-1, 1)
        return samples[7:], samples[:7]


class Memory(Logger):
    """Keeps what is logged, by step and name."""

    name, version = "memory", 0

    def __init__(self) -> None:
        super().__init__()
        self.logged: dict[tuple[int, str], float] = {}

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        pass

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.logged |= {(step, name): value for name, value in metrics.items()}

    def of(self, name: str) -> dict[int, float]:
        """The values of one name, by step."""
        return {step: value for (step, key), value in self.logged.items() if key == name}


def tiny_trainer(folder: Path, *callbacks: Callback, **options: Any) -> Trainer:
    """On the CPU, silent, validating and logging by steps."""
    return Trainer(
        default_root_dir=folder,
        callbacks=list(callbacks),
        enable_checkpointing=any(isinstance(one, Checkpoint) for one in callbacks),
        **{
            "max_steps": 3,
            "max_epochs": -1,
            "accelerator": "cpu",
            "logger": Memory(),
            "log_every_n_steps": 1,
            "check_val_every_n_epoch": None,
            "val_check_interval": 2,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "num_sanity_val_steps": 0,
            "use_distributed_sampler": False,
            **options,
        },
    )


def tiny_generator(**options: Any) -> MLPGenerator:
    return MLPGenerator((2,), 3, (4,), **options)


def tiny_fit(
    folder: Path,
    *callbacks: Callback,
    seed: int = 0,
    gan: GAN | None = None,
    data: TinyData | None = None,
    discriminator: Discriminator | None = None,
    ckpt_path: Path | None = None,
    trainer: dict[str, Any] | None = None,
    **options: Any,
) -> tuple[GAN, Trainer]:
    """Trains a GAN with ``options``, unless one is given, for as many steps as ``trainer`` says."""
    seed_everything(seed)
    gan = gan or GAN(tiny_generator(), discriminator or TinyDiscriminator(), **options)
    made = tiny_trainer(folder, *callbacks, **(trainer or {}))
    made.fit(gan, datamodule=data or TinyData(), ckpt_path=ckpt_path)
    return gan, made


def write_config(path: Path, **changes: Any) -> Path:
    """A configuration for the command line that trains for 6 steps; ``changes`` replace whole sections."""
    config = {
        "trainer": {
            "max_steps": 6,
            "val_check_interval": 3,
            "log_every_n_steps": 1,
            "enable_progress_bar": False,
            "accelerator": "cpu",
            "default_root_dir": str(path.parent / "runs"),
        },
        "model": {
            "generator": {
                "class_path": "lightning_gantk.generators.DCGANGenerator",
                "init_args": {"out_shape": [1, 8, 8], "latent_dim": 3, "channels": 2},
            },
            "discriminator": {"class_path": "tiny.TinyDiscriminator"},
            "quality": {"class_path": "tiny.TinyQuality"},
        },
        "data": {"class_path": "tiny.TinyData", "init_args": {"shape": [1, 8, 8]}},
        **changes,
    }
    path.write_text(yaml.safe_dump(config))
    return path
