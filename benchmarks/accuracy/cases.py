"""What is drawn: a kernel with several losses and times, and batches for each of every awkward kind."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lightning_gantk.architectures import DCGAN, MLP, ResNet
from lightning_gantk.kernels import RBF, EnergyDistance, InverseMultiquadric, Kernel, Laplace
from lightning_gantk.losses import IPM, LSGAN, AdversarialLoss, Hinge, Vanilla

Dtype = Literal["float32", "float64"]
ORDINARY = ("ordinary", "coincident", "duplicated")
KINDS = (*ORDINARY, "near", "zero", "tiny", "huge", "outlier", "scales", "sparse", "offset", "line")
CASES = 160  # of one kernel: it compiles once
# Losses, and how many batches at each time. To compile the solvers of Vanilla costs most: every other kernel has it.
_PLANS = (
    ((IPM(), (40,)), (LSGAN(), (36, 36)), (Hinge(), (12, 12, 12, 12))),
    ((IPM(), (32,)), (LSGAN(), (28, 28)), (Hinge(), (10, 10, 10, 10)), (Vanilla(), (32,))),
)


@dataclass(frozen=True)
class Setting:
    """A discriminator, the shape of its samples, and how many of each it is compiled for.

    Attributes:
        at_fakes: Whether it is asked at its own fakes, as in training, where it works pairs out once for both sides.
        numbers: Of its batches.
    """

    kernel: Kernel
    loss: AdversarialLoss
    time: float
    dtype: Dtype
    shape: tuple[int, ...]
    most: int
    at_fakes: bool
    numbers: range

    def __str__(self) -> str:
        what = f"{self.kernel!r}, {self.loss!r}, t={self.time:.3g}, {self.dtype}"
        return f"{what}, samples {self.shape}, {'at its fakes' if self.at_fakes else 'elsewhere too'}"


@dataclass(frozen=True)
class Batch:
    """Samples, ``(M, ...)`` and ``(N, ...)``, test points ``(K, ...)`` and one direction for each of those."""

    kind: str
    real: np.ndarray
    fake: np.ndarray
    test: np.ndarray
    direction: np.ndarray


def settings(seed: int, index: int) -> Iterator[Setting]:
    """Those of kernel number ``index`` of a seed, ``CASES`` batches together."""
    pick = random.Random(f"{seed} kernel {index}")
    kernel, images = _kernel(pick)
    shape = pick.choice([(1, 4, 4), (2, 4, 4), (1, 6, 6)]) if images else (pick.choice([1, 2, 3, 8, 17, 40]),)
    dtypes: tuple[Dtype, Dtype] = "float32", "float64"
    dtype, at_fakes, number = pick.choice(dtypes), pick.random() < 0.5, 0
    for loss, counts in _PLANS[index % 2]:
        for count in counts:
            time = 10 ** pick.uniform(-2, 2 if isinstance(loss, Vanilla) else 4)  # the oracle has to get there too
            numbers = range(number, number := number + count)
            yield Setting(kernel, loss, time, dtype, shape, 4 if images else 8, at_fakes, numbers)


def batch(given: Setting, seed: int, index: int, number: int) -> Batch:
    """Batch ``number`` of kernel ``index``, in the setting's dtype; the first of a setting is as large as any."""
    stream = np.random.default_rng([seed, index, number])
    kind = KINDS[int(stream.integers(len(KINDS)))]
    counts = stream.integers(1, given.most, 2, endpoint=True) if number != given.numbers[0] else [given.most] * 2
    real, fake = (stream.standard_normal((count, *given.shape)) for count in counts)
    real = real + 0.5
    if kind == "line":  # all on one ray and its other side, to the last bit: kernels without biases are singular
        ray = _coarse(stream.standard_normal(given.shape), 256)
        real, fake = (_coarse(stream.standard_normal((len(s), *(1,) * len(given.shape))), 16) for s in (real, fake))
        real, fake = real * ray, fake * ray
    elif kind == "coincident":
        fake[0] = real[-1]
    elif kind == "duplicated":
        fake[-1], real[-1] = fake[0], real[0]
    elif kind == "near":
        # Half of all pairs differ in the last digits alone.
        real[-1] = fake[0] * (1 + 10 ** stream.uniform(-7, -3) * stream.standard_normal(given.shape))
        fake[-1] = fake[0] + 10 ** stream.uniform(-7, -3) * stream.standard_normal(given.shape)
    elif kind == "zero":
        which = stream.integers(3)
        if which != 0:
            fake[0] = 0
        if which != 1:
            real[0] = 0
    elif kind in ("tiny", "huge"):
        factor = 10 ** (stream.uniform(-12, -2) if kind == "tiny" else stream.uniform(1, 8))
        real, fake = real * factor, fake * factor
    elif kind == "outlier":
        (fake if stream.integers(2) else real)[0] *= 10 ** stream.uniform(1, 6)
    elif kind == "scales":  # each sample has a length of its own
        real, fake = (s * 10 ** stream.uniform(-3, 3, (len(s), *(1,) * len(given.shape))) for s in (real, fake))
    elif kind == "sparse":  # most of a sample is a background of zeros
        real, fake = (s * (stream.random(s.shape) < 0.25) for s in (real, fake))
    elif kind == "offset":
        shift = 10 ** stream.uniform(0.5, 4)
        real, fake = real + shift, fake + shift
    scale = np.abs(real).mean()
    fresh = real[:1] + scale * stream.standard_normal((1, *given.shape))
    test = fake[:3] if given.at_fakes else np.concatenate([fake[:2], fresh])
    direction = stream.standard_normal(test.shape)
    arrays = (array.astype(given.dtype) for array in (real, fake, test, direction))
    return Batch(kind, *arrays)


def _coarse(values: np.ndarray, parts: int) -> np.ndarray:
    """Away from 0, to the next such part of 1."""
    return np.where(values < 0, np.floor(parts * values), np.ceil(parts * values)) / parts


def _kernel(pick: random.Random) -> tuple[Kernel, bool]:
    """A kernel, and whether it needs pictures."""
    name = pick.choices(["mlp", "resnet", "dcgan", "rbf", "laplace", "imq", "energy"], (50, 12, 8, 10, 7, 7, 6))[0]
    if name == "rbf":
        return RBF(10 ** pick.uniform(-1, 1)), False
    if name == "laplace":
        return Laplace(10 ** pick.uniform(-1, 1)), False
    if name == "imq":
        return InverseMultiquadric(10 ** pick.uniform(-1, 1), pick.choice([0.5, 1.0])), False
    if name == "energy":
        return EnergyDistance(), False
    activation = pick.choice(["relu", "relu", "leaky_relu", "erf", "sin", "gelu", "abs"])
    common = {
        "activation": {"name": activation, "b": pick.choice([1.0, 3.0])}
        if activation in ("erf", "sin")
        else activation,
        "W_std": pick.choice([1.0, 1.4]),
        "b_std": pick.choice([None, 0.3, 1.0]),
        "layer_norm": pick.random() < 0.3,
    }
    if name == "resnet":
        return ResNet(pick.randint(1, 2), pick.randint(1, 2), **common).kernel(), False
    if name == "dcgan":
        return DCGAN(pick.randint(1, 2), **common).kernel(), True
    return MLP(pick.randint(1, 3), **common).kernel(), False
