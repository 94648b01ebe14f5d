"""Monitors: what they measure, when, and that training does not notice."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny import Memory, TinyData, TinyDiscriminator, tiny_generator, tiny_trainer

from lightning_gantk.architectures import MLP
from lightning_gantk.callbacks import KernelSpectrum, Monitor, NearestReal, SampleDiversity, nearest_real
from lightning_gantk.callbacks.diversity import vendi
from lightning_gantk.callbacks.monitor import fixed_samples, held_out_samples, training_samples
from lightning_gantk.callbacks.nearest_real import nearest
from lightning_gantk.discriminators import FiniteDiscriminator, NTKDiscriminator
from lightning_gantk.errors import ConfigError
from lightning_gantk.gan import GAN
from lightning_gantk.generators import DCGANGenerator, Particles
from lightning_gantk.kernels import RBF
from lightning_gantk.losses import IPM


def _fit(folder, *callbacks, gan=None, data=None, seed=0, **options):
    seed_everything(seed)
    gan = gan or GAN(tiny_generator(), TinyDiscriminator())
    trainer = tiny_trainer(folder, *callbacks, **{"limit_val_batches": 0, "max_steps": 6, **options})
    trainer.fit(gan, datamodule=data or TinyData())
    return gan, trainer


class Counting(Monitor):
    def measure(self, trainer, gan, real):
        torch.rand(3)
        return {"monitor/samples": len(real)}


def test_monitors_measure_after_the_first_step_and_at_the_interval(tmp_path):
    monitor = Counting(every_n_steps=3)
    _, trainer = _fit(tmp_path, monitor, accumulate_grad_batches=2)
    assert trainer.logger.of("monitor/samples") == {1: 8, 3: 8, 6: 8}
    assert monitor.latest == {"monitor/samples": 8}


def test_monitors_leave_training_as_it_is(tmp_path):
    def gan():
        seed_everything(0)
        return GAN(tiny_generator(), NTKDiscriminator(MLP(hidden_layers=1), IPM()))

    plain, _ = _fit(tmp_path, gan=gan())
    watched, _ = _fit(
        tmp_path,
        *(kind(every_n_steps=2) for kind in (KernelSpectrum, NearestReal, SampleDiversity, Counting)),
        gan=gan(),
    )
    for one, other in zip(plain.parameters(), watched.parameters(), strict=True):
        assert torch.equal(one, other)


def test_spectrum_is_that_of_the_kernel_on_reals_and_fakes(tmp_path):
    discriminator = NTKDiscriminator(MLP(hidden_layers=1), IPM(), dtype="float64")
    monitor = KernelSpectrum(every_n_steps=6, num_points=10)
    _, trainer = _fit(tmp_path, monitor, gan=GAN(tiny_generator(), discriminator))
    assert list(trainer.logger.of("kernel/condition_number")) == [1, 6]
    rank, share = monitor.latest["kernel/effective_rank"], monitor.latest["kernel/largest_share"]
    assert 1 < rank < 10 and 0.1 < share < 1 and monitor.latest["kernel/condition_number"] > 1 / (1 - share)


def test_gram_is_the_kernels_of_any_samples(tmp_path):
    points = torch.randn(5, 3, dtype=torch.float64)
    discriminator = NTKDiscriminator(MLP(hidden_layers=1), IPM(), dtype="float64")
    gram = discriminator.gram(points)
    assert gram.dtype == torch.float64
    discriminator.fit(points[:1], points[1:2])  # f = t (k(., fake) - k(., real))
    torch.testing.assert_close(discriminator(points), gram[:, 1] - gram[:, 0], rtol=1e-9, atol=1e-9)


def test_spectrum_of_a_finite_discriminator_is_nothing(tmp_path):
    monitor = KernelSpectrum()
    _fit(tmp_path, monitor, gan=GAN(tiny_generator(), FiniteDiscriminator(MLP(hidden_layers=1), IPM(), width=4)))
    assert monitor.latest == {}


def test_spectrum_of_samples_with_classes_is_nothing(tmp_path):
    generator = DCGANGenerator((3, 8, 8), 3, 2, classes=2)
    gan, monitor = GAN(generator, NTKDiscriminator(MLP(hidden_layers=1), IPM())), KernelSpectrum()
    assert monitor.measure(None, gan, torch.randn(4, 3, 8, 8)) == {}


def test_spectrum_is_drawn_in_tensorboard(tmp_path):
    logger = TensorBoardLogger(tmp_path, "run", default_hp_metric=False)
    discriminator = NTKDiscriminator(MLP(hidden_layers=1), IPM())
    gan, monitors = GAN(DCGANGenerator((3, 8, 8), 3, 2), discriminator), (KernelSpectrum(), NearestReal(num_samples=9))
    _fit(tmp_path, *monitors, gan=gan, data=TinyData((3, 8, 8)), logger=logger, max_steps=1)
    logger.finalize("done")
    events = EventAccumulator(logger.log_dir).Reload()
    assert events.Tags()["histograms"] == ["kernel/log10_eigenvalues"]
    assert {*events.Tags()["images"]} == {"kernel/spectrum", "memorisation/pairs"}


def test_nearest_finds_what_a_search_of_all_pairs_finds():
    samples, others = torch.randn(7, 2, 3), torch.randn(20, 2, 3)
    others[11] = samples[4]
    distances, found = nearest(samples, others.split(6))
    every = (samples[:, None] - others[None]).flatten(2).double().norm(dim=2)
    torch.testing.assert_close(distances, every.min(1).values)
    assert distances[4] == 0
    assert torch.equal(found, others[every.argmin(1)])


@pytest.mark.parametrize("copied", ["train_dataset", "val_dataset"])
def test_memorisation_tells_copies_of_training_samples_from_new_ones(copied, tmp_path):
    data = TinyData(size=40)
    data.setup()
    given = getattr(data, copied)[:7]
    gan = GAN(
        Particles(7, (2,), start=given), TinyDiscriminator(time=0.0), optimizer=lambda p: torch.optim.SGD(p, lr=0.0)
    )
    monitor = NearestReal(num_samples=7)
    _fit(tmp_path, monitor, gan=gan, data=data)
    ratio = 0 if copied == "train_dataset" else 1
    assert monitor.latest["memorisation/ratio"] == pytest.approx(ratio, abs=1e-6)
    assert monitor.latest["memorisation/held_out_to_train"] > 0


def test_memorisation_can_compare_with_a_part_of_the_data(tmp_path):
    _, trainer = _fit(tmp_path, NearestReal(num_train=5))
    assert sum(map(len, training_samples(trainer, 5))) == 5
    assert torch.equal(*(torch.cat([*training_samples(trainer, 5)]) for _ in range(2)))
    assert len(held_out_samples(trainer, 3)) == 3
    assert len(held_out_samples(trainer, 100)) == 7


def test_vendi_counts_clusters():
    centres = torch.tensor([0.0, 10.0, 20.0, 30.0]).repeat(5)
    distances = (centres[:, None] - centres[None]).abs().double()
    assert vendi(distances, 1.0) == pytest.approx(4, rel=1e-6)  # exp(-50) apart
    assert vendi(distances, 1e9) == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize(("make", "count"), [(lambda: Particles(5, (2,)), 5), (tiny_generator, 7)])
def test_diversity_compares_as_many_of_either(make, count, tmp_path):
    monitor = SampleDiversity(num_samples=50)  # and 7 are held out
    _fit(tmp_path, monitor, gan=GAN(make(), TinyDiscriminator()))
    assert monitor._count == count


def test_diversity_of_one_point_is_none(tmp_path):
    start = torch.zeros(6, 2)
    gan = GAN(
        Particles(6, (2,), start=start), TinyDiscriminator(time=0.0), optimizer=lambda p: torch.optim.SGD(p, lr=0.0)
    )
    monitor = SampleDiversity(num_samples=6)
    _fit(tmp_path, monitor, gan=gan)
    assert monitor.latest["diversity/pairwise_distance"] == 0
    assert monitor.latest["diversity/vendi"] == pytest.approx(1, rel=1e-6)
    held_out = TinyData().load()[1][:6].double()
    distances = torch.cdist(held_out, held_out, compute_mode="donot_use_mm_for_euclid_dist")
    half = float(distances[~torch.eye(6, dtype=torch.bool)].median()) / 2
    shares = torch.linalg.eigvalsh(torch.exp(-((distances / half) ** 2) / 2) / 6)
    effective = float(torch.exp(-(shares * shares.log()).sum()))
    assert monitor.latest["diversity/vendi_held_out"] == pytest.approx(effective, rel=1e-6)
    assert monitor.latest["diversity/pairwise_distance_held_out"] > 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: KernelSpectrum(every_n_steps=0),
            "'every_n_steps' of KernelSpectrum must be a whole number of at least 1, got 0",
        ),
        (lambda: KernelSpectrum(num_points=0), "'num_points' of KernelSpectrum"),
        (lambda: NearestReal(num_train=0), "'num_train' of NearestReal"),
        (lambda: SampleDiversity(num_samples=0), "'num_samples' of SampleDiversity"),
    ],
)
def test_monitors_refuse_numbers_out_of_range(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_monitors_of_samples_need_a_data_module(tmp_path):
    trainer = tiny_trainer(tmp_path, NearestReal(), max_steps=1, limit_val_batches=0)
    with pytest.raises(ConfigError, match="needs a data module with 'train_dataset'"):
        trainer.fit(
            GAN(tiny_generator(), TinyDiscriminator()), torch.utils.data.DataLoader(torch.zeros(8, 2), batch_size=4)
        )


def test_monitors_log_finite_numbers(tmp_path):
    memory = Memory()
    _fit(tmp_path, NearestReal(), SampleDiversity(), logger=memory, max_steps=1)
    assert all(math.isfinite(value) for (_, name), value in memory.logged.items() if "/" in name)


@pytest.mark.parametrize("particles", [None, 4])
def test_diversity_is_that_of_its_definition(particles, tmp_path):
    """Pairs are of different samples; held-out ones are as many as the fakes, and say how wide the kernel is."""
    gan = GAN(tiny_generator() if particles is None else Particles(particles, (2,)), TinyDiscriminator())
    monitor, count, seen = SampleDiversity(num_samples=50), particles or 7, {}

    class Look(Callback):
        def on_train_batch_end(self, trainer, pl_module, *_):
            seen.update(fake=fixed_samples(pl_module, count), real=held_out_samples(trainer, 50)[:count])

    _fit(tmp_path, monitor, Look(), gan=gan, max_steps=1)

    def figures(samples, width=None):
        distances = np.linalg.norm(samples[:, None] - samples, axis=2)
        others = distances[~np.eye(len(samples), dtype=bool)]
        width = width or float(torch.tensor(others).median()) / 2
        shares = np.linalg.eigvalsh(np.exp(-((distances / width) ** 2) / 2) / len(samples)).clip(1e-300)
        return others.mean(), np.exp(-(shares * np.log(shares)).sum()), width

    *held_out, width = figures(seen["real"].double().numpy())
    *fakes, _ = figures(seen["fake"].double().numpy(), width)
    names = "pairwise_distance_held_out", "vendi_held_out", "pairwise_distance", "vendi"
    assert [monitor.latest[f"diversity/{name}"] for name in names] == pytest.approx(held_out + fakes, rel=1e-6)


def test_nearest_pairs_come_first_with_their_training_samples_below(monkeypatch):
    shown = []
    monkeypatch.setattr(nearest_real, "show", lambda trainer, name, grid, step: shown.append(grid))
    monkeypatch.setattr(nearest_real, "enlarged", lambda grid: grid)
    monkeypatch.setattr(nearest_real, "_SHOWN", 2)
    fake = torch.stack([torch.full((1, 4, 4), value) for value in (0.9, -0.5, 0.1)])
    NearestReal._show(SimpleNamespace(global_step=1), fake, torch.tensor([3.0, 1.0, 2.0]), -fake)
    (grid,) = shown
    wanted = torch.tensor([[-0.5, 0.1], [0.5, -0.1]])
    torch.testing.assert_close(grid[0, 3::6, 3::6], (wanted + 1) / 2)  # pictures of 4 pixels in frames of 2


def test_spectrum_is_that_of_reals_and_fakes(tmp_path):
    monitor, seen = KernelSpectrum(num_points=9), {}

    class Look(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, *_):
            seen["points"] = torch.cat([batch[:5], fixed_samples(pl_module, 4)]).double()

    gan = GAN(tiny_generator(), NTKDiscriminator(RBF(2.0), IPM(), dtype="float64"))
    _fit(tmp_path, monitor, Look(), gan=gan, max_steps=1)
    values = np.linalg.eigvalsh(np.exp(-(torch.cdist(seen["points"], seen["points"]) ** 2).numpy()))
    shares, condition = values / values.sum(), values[-1] / values[0]
    wanted = condition, shares.max(), math.exp(-(shares * np.log(shares)).sum())
    names = "condition_number", "largest_share", "effective_rank"
    # Eigenvalues have the rounding of the largest: over the least, of its condition number
    error = 9 * np.finfo(float).eps * condition + 1e-9
    assert [monitor.latest[f"kernel/{name}"] for name in names] == pytest.approx(wanted, rel=error)


def test_eigenvalues_that_are_rounding_count_as_that_of_the_largest():
    start = Particles(6, (2,), start=torch.zeros(6, 2))
    gan = GAN(start, NTKDiscriminator(RBF(1.0), IPM(), dtype="float64"), optimizer=lambda p: torch.optim.SGD(p, lr=0.0))
    found = KernelSpectrum(num_points=6).measure(SimpleNamespace(loggers=[]), gan, torch.zeros(3, 2))
    assert found["kernel/condition_number"] == pytest.approx(1 / (6 * 2.0**-52), rel=1e-12)
