"""FID and KID against their formulas, and the bookkeeping around them."""

import copy
import warnings

import numpy as np
import pytest
import scipy.linalg
import torch
from jsonargparse import ArgumentParser
from torch import nn

from lightning_gantk.errors import ConfigError
from lightning_gantk.metrics import FeatureExtractor, LeNetFeatures, SampleQuality

FEATURES = 8


class Pixels(FeatureExtractor):
    """The features are the pixels, so a test knows them."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    @property
    def num_features(self):
        return FEATURES

    def check(self, in_shape):
        pass

    def load(self):
        return nn.Flatten()

    def forward(self, images):
        self.calls += 1
        return super().forward(images)


def images(samples, *, seed, shift=0.0):
    """Correlated pixels of a few tenths, so that neither means nor covariances are alike."""
    random = np.random.default_rng(seed)
    mixing = np.eye(FEATURES) + random.normal(size=(FEATURES, FEATURES)) / 4
    return torch.from_numpy(0.2 * random.normal(size=(samples, FEATURES)) @ mixing + shift).float().view(-1, 1, 2, 4)


REAL, FAKE = images(200, seed=0), images(150, seed=1, shift=0.1)


def quality(**options):
    return SampleQuality(Pixels(), **options)


def measured(real, fake, **options):
    metric = quality(**options)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return {name: value.item() for name, value in metric.compute().items()}


def fid(real, fake):
    x, y = real.flatten(1).double().numpy(), fake.flatten(1).double().numpy()
    covariances = np.cov(x.T), np.cov(y.T)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    return np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(covariances[0] + covariances[1] - 2 * root)


def kid(real, fake):
    x, y = real.flatten(1).double().numpy(), fake.flatten(1).double().numpy()

    def kernel(a, b):
        return (1 + a @ b.T / FEATURES) ** 3

    def off_diagonal_mean(gram):
        return (gram.sum() - np.trace(gram)) / (len(gram) * (len(gram) - 1))

    return off_diagonal_mean(kernel(x, x)) + off_diagonal_mean(kernel(y, y)) - 2 * kernel(x, y).mean()


def test_fid_is_the_frechet_distance():
    # Both routes round sums of 200 float64 products, and a root of matrices with condition number below 100:
    # 200 * 100 * 2e-16 = 4e-12.
    assert measured(REAL, FAKE)["fid"] == pytest.approx(fid(REAL, FAKE), rel=4e-12)


def test_kid_is_the_unbiased_mmd_of_the_cubic_kernel():
    # The three means are near 1 and cancel: an error of some float64 roundings is absolute. One subset of everything.
    assert measured(REAL[:150], FAKE)["kid"] == pytest.approx(kid(REAL[:150], FAKE), rel=0, abs=1e-14)


def test_kid_of_subsets_averages_to_the_kid_of_all():
    # The mean over 400 subsets differs from the whole by 5 standard errors at most, which KID's own spread gives.
    metric = quality(kid_subset_size=50, kid_subsets=400)
    metric.update(REAL, real=True)
    metric.update(FAKE, real=False)
    value = metric.compute()["kid"].item()
    spread = metric._metrics["kid"].compute()[1].item()
    assert abs(value - kid(REAL, FAKE)) < 5 * spread / 400**0.5


def test_the_distance_of_a_set_to_itself_is_zero():
    # Rounding of the traces alone: FEATURES * eps * trace, doubled by the root.
    trace = np.trace(np.cov(REAL.flatten(1).double().numpy().T))
    assert abs(measured(REAL, REAL)["fid"]) < 100 * FEATURES * np.finfo(float).eps * trace


def test_features_are_computed_once_for_both():
    metric = quality()
    metric.update(REAL, real=True)
    assert metric.features.calls == 1


def test_num_samples_limits_both_kinds():
    metric = quality(num_samples=100)
    for batch in REAL.split(64):
        metric.update(batch, real=True)
    for batch in FAKE.split(64):
        metric.update(batch, real=False)
    assert {name: value.item() for name, value in metric.compute().items()} == pytest.approx(
        measured(REAL[:100], FAKE[:100]), rel=1e-12
    )


def test_a_second_validation_measures_as_many_again():
    metric, values = quality(num_samples=100), []
    metric.update(REAL, real=True)
    for _ in range(2):
        metric.update(FAKE, real=False)
        values.append(float(metric.compute()["fid"]))
        metric.reset()
    assert values[0] == values[1] == pytest.approx(measured(REAL[:100], FAKE[:100])["fid"], rel=1e-12)
    with pytest.raises(RuntimeError, match="0 generated"):
        metric.compute()


def test_a_subset_that_is_everything_is_taken_once():
    metric = quality(kid_subset_size=150)
    metric.update(REAL[:150], real=True)
    metric.update(FAKE, real=False)
    metric.compute()
    assert metric._metrics["kid"].subsets == 1


def test_compute_leaves_the_global_random_numbers_alone_and_repeats():
    options = {"kid_subset_size": 50}
    torch.manual_seed(0)
    first = measured(REAL, FAKE, **options)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert measured(REAL, FAKE, **options) == first
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("cast", [nn.Module.bfloat16, lambda module: module.to(dtype=torch.bfloat16)])
def test_a_cast_of_the_model_leaves_the_sums_in_float64(cast):
    metric = quality()
    metric.update(REAL, real=True)
    cast(nn.ModuleList([metric]))
    metric.update(FAKE, real=False)
    assert {name: value.item() for name, value in metric.compute().items()} == measured(REAL, FAKE)


def test_a_copy_goes_its_own_way():
    metric = quality()
    metric.update(REAL, real=True)
    other = copy.deepcopy(metric)
    other.update(FAKE, real=False)
    assert other.compute()["fid"].item() == measured(REAL, FAKE)["fid"]
    with pytest.raises(RuntimeError, match="200 real, 0 generated"):
        metric.compute()


def test_too_few_images_for_a_covariance_warn_once():
    metric = quality()
    metric.update(REAL[:FEATURES], real=True)
    metric.update(FAKE, real=False)
    with pytest.warns(UserWarning, match="FID from 8 images with 8 features: below 9 images"):
        metric.compute()
    metric.reset()
    metric.update(FAKE, real=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metric.compute()


@pytest.mark.parametrize("option", ["num_samples", "kid_subset_size", "kid_subsets"])
def test_numbers_out_of_range_are_refused(option):
    with pytest.raises(ConfigError, match=f"{option!r} must be a whole number of at least ., got 0"):
        quality(**{option: 0})


def test_yaml_chooses_the_extractor_by_class_path():
    parser = ArgumentParser()
    parser.add_argument("--quality", type=SampleQuality)
    features = {"class_path": "lightning_gantk.metrics.LeNetFeatures"}
    chosen = {"class_path": "lightning_gantk.metrics.SampleQuality", "init_args": {"features": features}}
    instantiate = getattr(parser, "instantiate", None) or parser.instantiate_classes  # renamed in jsonargparse 4.49
    made = instantiate(parser.parse_object({"quality": chosen})).quality
    assert isinstance(made, SampleQuality) and isinstance(made.features, LeNetFeatures)


def _share(rank, folder):
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    metric = quality(num_samples=140)
    for _ in range(2):  # the second round keeps the real images of the first
        if not metric.has_real:
            for batch in REAL[rank::2].split(40):
                metric.update(batch, real=True)
        for batch in FAKE[rank::2].split(40):
            metric.update(batch, real=False)
        result = metric.compute()
        metric.reset()
    torch.save(result, f"{folder}/{rank}.pt")
    torch.distributed.barrier()  # neither leaves while the other may still be talking to it
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_measure_what_one_does(tmp_path):
    torch.multiprocessing.spawn(_share, args=(tmp_path,), nprocs=2)
    expected = measured(REAL[:140], FAKE[:140])
    for rank in range(2):
        result = torch.load(tmp_path / f"{rank}.pt")
        assert {name: value.item() for name, value in result.items()} == pytest.approx(expected, rel=1e-10)


@pytest.mark.gpu
def test_the_sums_follow_the_images_to_the_device():
    result = quality()
    result.update(REAL.cuda(), real=True)
    result.update(FAKE.cuda(), real=False)
    computed = result.compute()
    assert computed["fid"].is_cuda
    assert computed["fid"].item() == pytest.approx(fid(REAL, FAKE), rel=4e-12)
    assert computed["kid"].item() == pytest.approx(measured(REAL, FAKE)["kid"], rel=0, abs=1e-13)
