"""Two processes take the very steps that one takes with their batches joined: with Lightning's DDP, on the CPU."""

import os
import signal
import socket

import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from tiny import TinyData, TinyQuality, tiny_trainer

from lightning_gantk.architectures import MLP
from lightning_gantk.callbacks import LastCheckpoint, StopOnSignal, StoppedBySignal
from lightning_gantk.discriminators import FiniteDiscriminator, NTKDiscriminator
from lightning_gantk.errors import TrainingDiverged
from lightning_gantk.gan import GAN
from lightning_gantk.generators import MLPGenerator, Particles
from lightning_gantk.losses import IPM, LSGAN, Hinge, Vanilla
from lightning_gantk.metrics.base import PointQuality
from lightning_gantk.processes import average, gathered, largest, own_part, processes, rank, take_from_first

LOSSES = {"ipm": IPM, "lsgan": LSGAN, "vanilla": Vanilla, "hinge": Hinge}
EACH = 4  # samples in a batch of each of two processes
MANY = {"accelerator": "cpu", "devices": 2, "strategy": "ddp"}


class Watcher(Callback):
    """Keeps the generator's gradients and the real samples of each step."""

    def __init__(self):
        self.gradients, self.real = [], []

    def on_train_batch_start(self, trainer, gan, batch, batch_idx):
        self.real.append(batch.clone())

    def on_before_optimizer_step(self, trainer, gan, optimizer):
        self.gradients.append([p.grad.clone() for p in gan.generator.parameters()])


class Means(PointQuality):
    """The distance of the means, over all processes."""

    def measure(self, real, fake):
        return {"fid": (real.mean(0) - fake.mean(0)).norm(), "count": torch.tensor(float(len(fake)))}


class Even(TinyData):
    """Held-out samples that two processes can share without leaving one out."""

    def load(self):
        training, held_out = super().load()
        return training, held_out[:6]


class Send(Callback):
    """A signal to one process, in its second step."""

    def on_train_batch_start(self, trainer, gan, batch, batch_idx):
        if trainer.global_step == 1 and trainer.global_rank == trainer.world_size - 1:
            os.kill(os.getpid(), signal.SIGTERM)


class Spoil(Callback):
    """An infinite score in the second step of the last process."""

    def on_train_start(self, trainer, gan):
        forward = gan.discriminator.forward

        def spoilt(x):
            bad = trainer.global_step == 1 and trainer.global_rank == trainer.world_size - 1
            return forward(x) + (float("inf") if bad else 0.0)

        gan.discriminator.forward = spoilt


def _discriminator(regime, loss):
    architecture = MLP(hidden_layers=1)
    if regime == "ntk":
        return NTKDiscriminator(architecture, loss)
    if regime == "finite":
        return FiniteDiscriminator(architecture, loss, width=8, steps=2, time=0.5, antisymmetric=False)
    adam = {"time": None, "optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9)}
    if regime == "penalty":
        return FiniteDiscriminator(architecture, loss, width=8, gradient_penalty=1.0, **adam)
    # No penalty, for which real samples meet fakes in another order here; and not from f_0 = 0: one step from there,
    # scores are the small difference of two networks, which keeps their rounding.
    return FiniteDiscriminator(architecture, loss, width=8, reset=True, antisymmetric=False, **adam)


def _fit(folder, regime="finite", loss="ipm", *callbacks, ckpt_path=None, quality=None, **options):
    """The same run on one process, or, called in each of two, on two."""
    seed_everything(0)
    optimizer = lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.5)  # noqa: E731
    generator = MLPGenerator((2,), 3, (4,))
    gan = GAN(generator, _discriminator(regime, LOSSES[loss]()), optimizer=optimizer, quality=quality, ema_decay=0.5)
    watcher = Watcher()
    trainer = tiny_trainer(folder, watcher, *callbacks, **{"limit_val_batches": int(quality is not None), **options})
    trainer.fit(gan, datamodule=Even(batch_size=2 * EACH // trainer.world_size), ckpt_path=ckpt_path)
    return {
        "gradients": watcher.gradients,
        "real": watcher.real,
        "state": {name: value for name, value in gan.state_dict().items() if isinstance(value, torch.Tensor)},
        "logged": {name: float(value) for name, value in trainer.callback_metrics.items() if "time" not in name},
        "random": torch.rand(2),
    }


CASES = [
    *((regime, loss, {}) for regime in ("ntk", "finite") for loss in LOSSES),
    ("penalty", "ipm", {}),
    ("reset", "lsgan", {}),
    ("finite", "hinge", {"accumulate_grad_batches": 2, "max_steps": 2}),
    ("ntk", "lsgan", {"accumulate_grad_batches": 2, "max_steps": 2}),
]


def _runs(folder, **options):
    """What is compared, of one process or of this one of two."""
    found = [_fit(folder, regime, loss, **more, **options) for regime, loss, more in CASES]
    found.append(_fit(folder, quality=Means(), **options))
    return found


def _work(number, folder, port):
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": 2, "NODE_RANK": 0, "LOCAL_RANK": number}
    os.environ |= {name: str(value) for name, value in meeting.items()}
    torch.set_num_threads(1)
    found = {"runs": _runs(folder, **MANY)}
    _check_messages(number)
    last = folder / "checkpoints" / "last.ckpt"
    # One process left it after two steps; now two go on, and leave another to one.
    found["resumed"] = _fit(folder, "penalty", ckpt_path=folder / "one" / "checkpoints" / "last.ckpt", **MANY)
    _fit(folder, "penalty", "ipm", LastCheckpoint(), **MANY, max_steps=2)
    if number == 0:
        last.rename(folder / "two.ckpt")
    with pytest.raises(StoppedBySignal, match="SIGTERM after generator step 2"):
        _fit(folder, "finite", "ipm", Send(), StopOnSignal(), **MANY)
    found["stopped"] = torch.load(last, weights_only=True)["global_step"]
    with pytest.raises(TrainingDiverged, match="Training diverged in generator step 2"):
        _fit(folder, "finite", "ipm", Spoil(), **MANY)
    found["diverged"] = torch.load(folder / "checkpoints" / "diverged.ckpt", weights_only=True)["global_step"]
    torch.save(found, folder / f"{number}.pt")


def _check_messages(number):
    assert (rank(), processes()) == (number, 2)
    everything = torch.arange(12.0).view(6, 2)
    assert torch.equal(gathered(own_part(everything)), everything)
    assert torch.equal(own_part(everything[:5]), everything[:5])
    assert torch.equal(gathered(everything[: 1 + number]), everything[[0, 0, 1]])  # of different lengths
    images = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0)).contiguous(
        memory_format=torch.channels_last
    )
    again = gathered(own_part(images))
    assert torch.equal(again, images)
    assert again.is_contiguous(memory_format=torch.channels_last)
    assert largest(number, torch.device("cpu")) == 1
    tensors = [torch.full((2, 2), float(number)), torch.tensor(2.0 * number)]
    average(tensors)
    assert tensors[0].tolist() == [[0.5, 0.5], [0.5, 0.5]] and tensors[1] == 1
    take_from_first(first := [torch.tensor(number)])
    assert first[0] == 0
    particles = Particles(8, (2,), per_particle=True)
    particles(own_part(particles.latent(8))).sum(1).mean().backward()
    average([particles.samples.grad])
    assert torch.equal(particles.samples.grad, torch.ones(8, 2))


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_with_both_batches(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    expected = _runs(tmp_path)
    whole = _fit(tmp_path, "penalty")
    _fit(tmp_path / "one", "penalty", "ipm", LastCheckpoint(), max_steps=2)
    torch.multiprocessing.spawn(_work, args=(tmp_path, port), nprocs=2)
    found = [torch.load(tmp_path / f"{number}.pt") for number in range(2)]
    names = [*(f"{regime} {loss} {options}" for regime, loss, options in CASES), "metrics"]
    for name, one, *two in zip(names, expected, *(process["runs"] for process in found), strict=True):
        _compare(name, one, two)
    rest = {**whole, "gradients": whole["gradients"][2:], "real": whole["real"][2:]}
    _compare("resumed on two", rest, [process["resumed"] for process in found])
    on_one = _fit(tmp_path, "penalty", ckpt_path=tmp_path / "two.ckpt")
    for result, wanted in zip(on_one["gradients"], whole["gradients"][2:], strict=True):
        _assert_close("resumed on one", result, wanted)
    assert [(process["stopped"], process["diverged"]) for process in found] == 2 * [(2, 1)]


def _compare(name, one, two):
    first, second = two
    assert first["state"].keys() == one["state"].keys()
    for key, value in first["state"].items():
        assert torch.equal(value, second["state"][key]), (name, key)  # to the bit
    assert torch.equal(first["random"], second["random"]), name
    assert len(first["gradients"]) == len(second["gradients"]) == len(one["gradients"])
    for gradients, wanted in zip(first["gradients"], one["gradients"], strict=True):
        _assert_close(name, gradients, wanted)
    for mine, others, wanted in zip(first["real"], second["real"], one["real"], strict=True):
        assert torch.equal(torch.cat([mine, others]).sort(0).values, wanted.sort(0).values), name
    assert first["logged"] == second["logged"]
    assert first["logged"] == pytest.approx(one["logged"], rel=1e-4, abs=1e-6), name


def _assert_close(name, found, wanted):
    # Rounding of float32 (6e-8), some hundred operations deep, relative to the whole gradient; solvers stop at 2e-6.
    flat, expected = (torch.cat([tensor.flatten() for tensor in tensors]) for tensors in (found, wanted))
    assert (flat - expected).norm() <= 2e-5 * expected.norm(), name


def test_one_process_leaves_everything_as_it_is():
    samples = torch.randn(4, 2)
    assert gathered(samples) is own_part(samples) is samples
    assert (processes(), rank(), largest(3, torch.device("cpu"))) == (1, 0, 3)
    before = samples.clone()
    average([samples])
    take_from_first([samples])
    assert torch.equal(samples, before)


def test_validation_of_one_and_of_two_processes_uses_the_same_latents():
    from lightning_gantk.training.evaluation import Evaluation

    generator = MLPGenerator((2,), 16, (4,))
    measured = {}
    for place in ((0, 1), (0, 2), (1, 2)):
        quality = TinyQuality()
        evaluation = Evaluation(quality)
        evaluation.start(*place)
        evaluation.update(torch.zeros(8 // place[1], 2), generator)
        measured[place] = torch.cat(quality.fake)
    assert torch.equal(torch.cat([measured[0, 2], measured[1, 2]]), measured[0, 1])


def test_validation_of_two_processes_draws_apart_in_forward_passes():
    from lightning_gantk.training.evaluation import Evaluation

    class Noise(MLPGenerator):
        def forward(self, latent):
            return torch.randn(len(latent), 2)

    drawn = []
    for place in range(2):
        quality = TinyQuality()
        evaluation = Evaluation(quality)
        evaluation.start(place, 2)
        for _ in range(2):
            evaluation.update(torch.zeros(3, 2), Noise((2,), 16, (4,)))
        drawn += quality.fake
    samples = torch.cat(drawn)
    assert len(samples.unique(dim=0)) == len(samples) == 12
