"""What holds for every feature extractor, whatever network is inside."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from lightning_gantk.errors import ConfigError
from lightning_gantk.metrics import FeatureExtractor


class Moody(FeatureExtractor):
    """A network whose layers behave differently in training, and that counts how often it was loaded."""

    loaded = 0

    @property
    def num_features(self):
        return 6

    def check(self, in_shape):
        if in_shape[0] != 1:
            raise ConfigError("grey only")

    def load(self):
        self.loaded += 1
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.BatchNorm1d(6), nn.Dropout(0.5))


IMAGES = torch.linspace(-1, 1, 48).view(3, 1, 4, 4)


def test_the_network_is_loaded_when_first_needed_and_once():
    extractor = Moody()
    assert extractor.loaded == 0
    extractor.build((1, 4, 4))
    extractor(IMAGES)
    assert extractor.loaded == 1


def test_what_does_not_fit_is_refused_before_loading():
    extractor = Moody()
    with pytest.raises(ConfigError, match="grey only"):
        extractor.build((3, 4, 4))
    assert extractor.loaded == 0


def test_features_stay_the_same_when_a_parent_trains():
    parent = nn.ModuleDict({"features": Moody(), "generator": nn.Linear(1, 1)})
    before = parent["features"](IMAGES)
    parent.train()
    assert torch.equal(parent["features"](IMAGES), before)
    assert all(module.training for module in parent.modules())  # or Lightning would warn in every run


def test_nothing_is_trained_or_saved():
    extractor = Moody()
    images = IMAGES.clone().requires_grad_()
    assert not extractor(images).requires_grad
    assert not list(extractor.parameters()) and not extractor.state_dict()
    extractor.load_state_dict({})


@pytest.mark.parametrize("cast", [nn.Module.bfloat16, nn.Module.double])
def test_features_do_not_depend_on_the_precision_of_the_run(cast):
    extractor = Moody()
    before = extractor(IMAGES)
    cast(nn.ModuleList([extractor]))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(extractor(IMAGES), before)
    assert before.dtype == torch.float32


def test_the_network_is_float32_in_a_64_bit_run():
    torch.set_default_dtype(torch.float64)
    try:
        assert Moody()(IMAGES.double()).dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_copy_gives_the_same_features():
    extractor = Moody()
    before = extractor(IMAGES)
    assert torch.equal(copy.deepcopy(extractor)(IMAGES), before)


@pytest.mark.gpu
def test_the_network_follows_the_images_to_the_device():
    features = Moody()(IMAGES.cuda())
    assert features.is_cuda
    # float32 sums of 16 products of numbers below 1
    torch.testing.assert_close(features.cpu(), Moody()(IMAGES), rtol=0, atol=16 * torch.finfo(torch.float32).eps)


def test_the_package_imports_nothing_slow():
    slow = "{'jax', 'lightning', 'sklearn', 'torch_fidelity', 'torchmetrics'}"
    code = f"import sys, lightning_gantk.metrics; sys.exit(bool({slow} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_an_unknown_name_is_refused_with_the_known_ones():
    from lightning_gantk import metrics

    with pytest.raises(AttributeError, match=r"no attribute 'VGGFeatures'; it has .*FeatureExtractor, .*SampleQuality"):
        _ = metrics.VGGFeatures
