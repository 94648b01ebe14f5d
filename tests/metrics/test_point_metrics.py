"""Sinkhorn divergence, energy distance, mode coverage, MMD, and measures side by side."""

import math

import pytest
import torch
from tiny import Memory, TinyDiscriminator, TinyQuality, tiny_generator, tiny_trainer

from datamodules import PointsDataModule
from datamodules.targets import GaussianRing, TwoMoons
from lightning_gantk import GAN
from lightning_gantk.architectures import MLP
from lightning_gantk.errors import ConfigError, TrainingDiverged
from lightning_gantk.kernels import RBF
from lightning_gantk.metrics import (
    MMD,
    Combined,
    EnergyDistance,
    ModeCoverage,
    NearestReal,
    Sinkhorn,
    SlicedWasserstein,
)
from lightning_gantk.metrics.base import own_share

CHEAP = {"blur": 0.05, "scaling": 0.8}


def _value(metric, real, fake):
    metric.reset(real=True)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    (value,) = metric.compute().values()
    return value.item()


@pytest.mark.parametrize("make", [lambda: Sinkhorn(**CHEAP), EnergyDistance, lambda: MMD(RBF(1.0))])
def test_distances_are_0_for_equal_sets_and_grow(make):
    metric, real = make(), torch.randn(40, 2)
    assert abs(_value(metric, real, real[torch.randperm(40)])) < 1e-7
    near, far = (_value(metric, real, real + shift) for shift in (0.1, 0.5))
    assert 0 < near < far


def test_sinkhorn_of_a_shift_is_half_its_square():
    # Transport between a set and its shifted copy costs |shift|^2 / 2, and so does the divergence at every blur.
    real, shift = torch.randn(30, 2), torch.tensor([0.3, 0.4])
    assert _value(Sinkhorn(blur=0.01, scaling=0.9), real, real + shift) == pytest.approx(0.125, rel=1e-4)


def test_sinkhorn_of_one_point_is_0():
    quality = Sinkhorn()
    quality.update(torch.ones(3, 2), real=True)
    quality.update(torch.ones(2, 2), real=False)
    assert quality.compute()["sinkhorn"] == 0


def test_sinkhorn_is_annealed_as_it_is_told(monkeypatch):
    given = []
    monkeypatch.setattr("geomloss.SamplesLoss", lambda *_, **options: given.append(options) or (lambda x, y: x.sum()))
    quality = Sinkhorn(blur=0.2, scaling=0.7)
    quality.measure(torch.rand(3, 2), torch.rand(3, 2))
    assert (given[0]["blur"], given[0]["scaling"], given[0]["p"]) == (0.2, 0.7, 2)


def test_processes_share_the_number_of_samples(monkeypatch):
    monkeypatch.setattr("lightning_gantk.metrics.base.processes", lambda: 2)
    assert [own_share(10, taken) for taken in (0, 3, 5, 9)] == [5, 2, 0, 0]
    assert own_share(1, 0) == 1


def test_combined_measures_are_built_together():
    inner = TinyQuality()
    Combined([EnergyDistance(), inner]).build((2,))
    assert inner.shape == (2,)
    with pytest.raises(ConfigError):
        Combined([EnergyDistance(), SlicedWasserstein()]).build((2,))


def test_combined_measures_have_reals_where_all_of_them_do():
    inner = TinyQuality()
    inner.update(torch.zeros(2, 2), real=True)
    assert not Combined([EnergyDistance(), inner]).has_real


def test_sinkhorn_sees_details_above_its_blur_alone():
    """0 and 2 against 1 and 5: half of (1 + 9) / 2, and under a wide blur half of (3 - 1)^2."""
    for blur, expected in ((1e-3, 2.5), (100.0, 2.0)):
        quality = Sinkhorn(blur=blur)
        quality.update(torch.tensor([[0.0], [2.0]]), real=True)
        quality.update(torch.tensor([[5.0], [1.0]]), real=False)
        assert float(quality.compute()["sinkhorn"]) == pytest.approx(expected, rel=1e-3)


def test_energy_distance_is_its_definition():
    real, fake = torch.randn(20, 3).double(), torch.randn(30, 3).double() + 1
    means = [torch.cdist(a, b).mean().item() for a, b in ((fake, real), (fake, fake), (real, real))]
    assert _value(EnergyDistance(), real, fake) == pytest.approx(means[0] - means[1] / 2 - means[2] / 2, rel=1e-9)


def test_mmd_is_its_definition():
    real, fake = torch.randn(20, 2).double(), torch.randn(30, 2).double() + 1
    kxy, kxx, kyy = (
        torch.exp(-0.5 * torch.cdist(a, b) ** 2).mean() for a, b in ((fake, real), (fake,) * 2, (real,) * 2)
    )
    assert _value(MMD(RBF(1.0)), real, fake) == pytest.approx(math.sqrt(kxx + kyy - 2 * kxy), rel=1e-9)


def test_mmd_takes_an_architecture_and_a_name():
    metric = MMD(MLP(1), kind="nngp", dtype="float32", name="mmd_nngp")
    metric.build((2,))
    metric.update(torch.randn(10, 2), real=True)
    metric.update(torch.randn(10, 2) + 1, real=False)
    assert set(metric.compute()) == {"mmd_nngp"} and metric.compute()["mmd_nngp"] > 0


def test_images_are_measured_as_vectors():
    real = torch.randn(6, 3, 4, 4)
    assert _value(EnergyDistance(), real, real + 1) == pytest.approx(
        _value(EnergyDistance(), real.flatten(1), real.flatten(1) + 1)
    )


def test_modes_are_counted_by_hand():
    metric = ModeCoverage([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]], 1.0)
    fake = torch.tensor([[0.0, 2.9], [10.0, -3.1], [0.1, 0.0], [0.0, 9.0], [5.0, 5.0]])
    metric.update(fake, real=True)
    metric.update(fake, real=False)
    assert {name: value.item() for name, value in metric.compute().items()} == {"modes_covered": 2, "in_modes": 0.6}
    # 5 samples over 3 modes: an even spread is 1.67, of which 0.7 is 1.17: a mode with one sample does not count
    strict = ModeCoverage([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]], 1.0, least_share=0.7)
    strict.update(fake, real=True)
    strict.update(fake, real=False)
    assert strict.compute()["modes_covered"] == 1


def test_modes_come_from_the_data():
    metric = ModeCoverage()
    with pytest.raises(ConfigError, match="'modes' and 'mode_std'"):
        metric.attach(PointsDataModule(TwoMoons()))
    data = PointsDataModule(GaussianRing(), num_samples=4000)
    data.setup()
    metric.attach(data)
    for real in (True, False):
        metric.update(data.train_dataset, real=real)
    found = metric.compute()
    share = 1 - math.exp(-4.5)
    assert found["modes_covered"] == 8
    assert found["in_modes"].item() == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / 4000))


def test_real_samples_are_kept_and_generated_ones_forgotten():
    metric = EnergyDistance(num_samples=5)
    assert not metric.has_real
    metric.update(torch.zeros(3, 2), real=True)
    metric.update(torch.zeros(3, 2), real=True)  # two of them are taken
    metric.update(torch.ones(2, 2), real=False)
    assert metric.has_real and metric.compute()["energy_distance"].item() == pytest.approx(math.sqrt(2))
    metric.reset()
    assert metric.has_real
    with pytest.raises(RuntimeError, match="real and generated"):
        metric.compute()
    metric.update(torch.zeros(2, 2), real=False)
    assert metric.compute()["energy_distance"] == 0
    metric.reset(real=True)
    assert not metric.has_real


def test_later_changes_of_a_batch_do_not_count():
    metric, batch = EnergyDistance(), torch.zeros(2, 2)
    metric.update(batch, real=True)
    metric.update(batch, real=False)
    batch.fill_(7)
    metric.update(torch.zeros(1, 2), real=False)
    assert metric.compute()["energy_distance"] == 0


@pytest.mark.parametrize("real", [True, False])
def test_nan_stops(real):
    with pytest.raises(TrainingDiverged, match="real" if real else "generated"):
        EnergyDistance().update(torch.full((2, 2), float("nan")), real=real)


def test_combined_measures_stand_side_by_side():
    both = Combined([EnergyDistance(), TinyQuality()])
    assert not both.has_real
    both.update(torch.randn(5, 2), real=True)
    both.update(torch.randn(5, 2), real=False)
    assert both.has_real and set(both.compute()) == {"energy_distance", "fid", "kid"}
    twice = Combined([EnergyDistance(), EnergyDistance()])
    for real in (True, False):
        twice.update(torch.randn(5, 2), real=real)
    with pytest.raises(ConfigError, match="'energy_distance'"):
        twice.compute()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sinkhorn(blur=0.0), "'blur' must be positive"),
        (lambda: Sinkhorn(scaling=1.0), "'scaling' must lie between 0 and 1"),
        (lambda: EnergyDistance(num_samples=0), "'num_samples'"),
        (lambda: ModeCoverage([[0.0]], 0.0), "'mode_std' must be positive"),
        (lambda: ModeCoverage([0.0], 1.0), "list of points"),
        (lambda: ModeCoverage(least_share=2.0), "'least_share'"),
        (lambda: Combined([]), "at least one"),
    ],
)
def test_metrics_refuse_what_cannot_be(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_validation_logs_every_value_and_its_floor(tmp_path):
    quality = Combined([Sinkhorn(**CHEAP), EnergyDistance(), ModeCoverage()])
    gan = GAN(tiny_generator(), TinyDiscriminator(), quality=quality)
    data = PointsDataModule(GaussianRing(), num_samples=40)
    memory = Memory()
    tiny_trainer(tmp_path, max_steps=4, logger=memory).fit(gan, datamodule=data)
    for name in ("sinkhorn", "energy_distance", "modes_covered", "in_modes"):
        assert set(memory.of(f"val/{name}")) == set(memory.of(f"val/{name}_floor")) == {2, 4}
    assert not any("quality" in name for name in gan.state_dict())


def test_nearest_reals_by_angle():
    real = torch.eye(4)
    metric = NearestReal()
    metric.update(real, real=True)
    for fake, missing, found, distance in (
        (3 * real, 0.0, 4, 0.0),  # lengths do not matter
        (torch.tensor([[1.0, 0.1, 0, 0]]).repeat(6, 1), math.log(4), 1, 1 - 1 / math.sqrt(1.01)),
        (torch.cat([real[:2], real[:2]]), math.log(2), 2, 0.0),
    ):
        metric.reset()
        metric.update(fake, real=False)
        values = metric.compute()
        assert float(values["missing_entropy"]) == pytest.approx(missing, abs=1e-12)
        assert float(values["reals_found"]) == found
        assert float(values["nearest_cosine_distance"]) == pytest.approx(distance, abs=1e-7)  # 0.1 in float32
