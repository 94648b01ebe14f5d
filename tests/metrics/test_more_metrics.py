"""Precision, recall, density, coverage; and metrics of torchmetrics."""

import pytest
import torch
from torch import nn
from torch_fidelity.metric_prc import prc_features_to_metric
from torchmetrics import Metric
from torchmetrics.image import StructuralSimilarityIndexMeasure
from torchmetrics.image.inception import InceptionScore
from torchmetrics.text import BLEUScore

from lightning_gantk.errors import ConfigError
from lightning_gantk.metrics import Manifolds, TorchMetric


def _given(metric, real, fake):
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return metric.compute()


def _points(n, seed):
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_precision_and_recall_are_those_of_torch_fidelity():
    real, fake = _points(1100, 0), 0.7 * _points(900, 1) + 0.3  # more than are compared at once
    found = _given(Manifolds(neighbours=4), real, fake)
    theirs = prc_features_to_metric(fake.float(), real.float(), prc_neighborhood=4, prc_batch_size=500, verbose=False)
    # Counts of samples; one near the edge of a ball in float32 may fall on either side.
    for name in ("precision", "recall"):
        assert float(found[name]) == pytest.approx(theirs[name], abs=2 / 900)
        assert 0.1 < found[name] < 1


def test_density_and_coverage_by_hand():
    real = torch.tensor([[0.0], [1.0], [10.0]])
    fake = torch.tensor([[0.5], [0.75], [3.0]])
    found = _given(Manifolds(neighbours=1), real, fake)
    # Radii of the real ones are 1, 1 and 9: 0.5 and 0.75 lie in the first two balls, 3.0 in the last, that ends at 1.0.
    # Those of the generated are 0.25, 0.25 and 2.25: of the real ones 1.0 alone lies in a ball.
    assert {name: float(value) for name, value in found.items()} == pytest.approx(
        {"precision": 1.0, "recall": 1 / 3, "density": 5 / 3, "coverage": 1.0}
    )


def test_density_is_over_the_number_of_neighbours():
    """Radii to the second neighbours are 2, 1, 1 and 2: each ball holds three of the points themselves."""
    points = torch.arange(4.0)[:, None]
    assert float(_given(Manifolds(neighbours=2), points, points)["density"]) == pytest.approx(3 / 2)


def test_manifolds_tell_of_too_few_samples():
    with pytest.raises(ConfigError, match=r"5 need more samples.*5 real and 9 generated"):
        _given(Manifolds(), _points(5, 0), _points(9, 1))


class Halves(nn.Module):
    """Logits that are sure of the brighter half of an image."""

    def forward(self, images):
        parts = images.double().div(255).flatten(2).mean(1).unflatten(1, (2, -1)).mean(2)
        return 10 * (parts - parts.mean(1, keepdim=True))


def _images(n, bright):
    images = -torch.ones(n, 1, 2, 2)
    images[torch.arange(n), 0, bright] = 1.0
    return images


def test_inception_score_is_fed_generated_images_alone():
    both, one = _images(20, torch.arange(20) % 2), _images(20, torch.zeros(20, dtype=torch.long))
    varied, same = (
        _given(TorchMetric(InceptionScore(Halves(), splits=1), name="score"), one, fake) for fake in (both, one)
    )
    assert set(varied) == {"score", "score_std"}
    assert float(varied["score"]) == pytest.approx(2, abs=1e-3)  # two classes, each sample sure of its own
    assert float(same["score"]) == pytest.approx(1, abs=1e-3)


def test_pairs_of_generated_images_are_compared():
    metric = TorchMetric(StructuralSimilarityIndexMeasure(data_range=2.0, kernel_size=3), name="alike")
    noise = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    varied = _given(metric, noise, noise)
    metric.reset()
    metric.update(noise[:1].expand(8, -1, -1, -1), real=False)
    assert float(varied["alike"]) < 0.3
    assert float(metric.compute()["alike"]) == pytest.approx(1, abs=1e-5)


class _Forgetful(Metric):
    """Tells reals from fakes, and resets both."""

    def update(self, images, real):
        pass

    def compute(self):
        pass


class _Line(nn.Module):
    """Scores of two classes by a matrix product, which autocast would round."""

    num_features = 2

    def forward(self, images):
        flat = images.flatten(1).float() / 255
        return flat @ torch.linspace(-1, 1, 2 * flat.shape[1]).view(-1, 2)


def test_precision_of_training_does_not_reach_the_networks_of_metrics():
    images = 2 * torch.rand(40, 3, 16, 16, generator=torch.Generator().manual_seed(0)) - 1
    values = []
    for enabled in (False, True):
        metric = TorchMetric(InceptionScore(_Line(), splits=2))
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            metric.update(images, real=False)
        values.append(next(iter(metric.compute().values())))
    assert values[0] == values[1]


def test_metric_that_is_none_of_images_is_refused():
    with pytest.raises(ConfigError, match="must be a metric of torchmetrics"):
        TorchMetric(nn.Identity())
    with pytest.raises(ConfigError, match="cannot forget fakes and keep reals"):
        TorchMetric(_Forgetful())
    images = TorchMetric(BLEUScore())
    with pytest.raises(ConfigError, match=r"takes images \(N, C, H, W\)"):
        images.update(torch.zeros(3, 2), real=False)


def test_images_are_rounded_and_cut_to_what_a_metric_takes():
    whole = TorchMetric(InceptionScore(Halves()))
    assert whole.images == "bytes"
    values = [2 * 0.9 / 255 - 1, 2.0, -3.0]
    assert [int(whole._as_taken(torch.full((1, 1, 2, 2), value))[0, 0, 0, 0]) for value in values] == [1, 255, 0]
    assert TorchMetric(StructuralSimilarityIndexMeasure(data_range=2.0)).images == "signed"


class _Drawn(Metric):
    """Some number that it draws."""

    def update(self, images):
        pass

    def compute(self):
        return torch.rand(())


def test_what_a_metric_draws_is_the_same_each_time_and_moves_no_generator():
    metric = TorchMetric(_Drawn())
    metric.update(torch.rand(8, 1, 4, 4), real=False)
    values = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        (value,) = metric.compute().values()
        values.append(value)
        after = torch.rand(())
        torch.manual_seed(seed)
        assert torch.rand(()) == after
    assert values[0] == values[1]
