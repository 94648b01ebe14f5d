"""Inception features, with random weights in torch-fidelity's file format: nothing is downloaded."""

import pytest
import torch
from torch_fidelity import feature_extractor_inceptionv3 as fidelity

from lightning_gantk.errors import ConfigError
from lightning_gantk.metrics import InceptionFeatures


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file like torch-fidelity's, of a network that was never trained."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fidelity, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(fidelity.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        torch.manual_seed(0)
        state = fidelity.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"]).state_dict()
    assert len(state) == 566  # as in pt_inception-2015-12-05
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save(state, path)
    return str(path)


@pytest.mark.slow
def test_features_are_those_of_torch_fidelity(weights):
    pixels = torch.randint(256, (3, 3, 40, 40), dtype=torch.uint8)
    network = fidelity.FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=weights
    )
    extractor = InceptionFeatures(weights)
    features = extractor(pixels.float() / 127.5 - 1)
    assert features.shape == (3, extractor.num_features)
    assert torch.equal(features, network(pixels)[0])
    assert features.std() > 0


@pytest.mark.slow
def test_grey_images_are_repeated_to_three_channels(weights):
    grey = torch.rand(2, 1, 32, 32) * 2 - 1
    extractor = InceptionFeatures(weights)
    assert torch.equal(extractor(grey), extractor(grey.repeat(1, 3, 1, 1)))


@pytest.mark.slow
def test_values_beyond_the_range_are_clipped(weights):
    extractor = InceptionFeatures(weights)
    assert torch.equal(extractor(torch.full((1, 1, 32, 32), 1.5)), extractor(torch.ones(1, 1, 32, 32)))


@pytest.mark.slow
def test_many_images_go_through_in_parts(weights, monkeypatch):
    from lightning_gantk.metrics import inception

    images = torch.rand(5, 1, 32, 32) * 2 - 1
    extractor = InceptionFeatures(weights)
    whole = extractor(images)
    monkeypatch.setattr(inception, "_IMAGES_AT_ONCE", 2)
    # Other batch sizes may sum in another order: a float32 rounding for each of some hundred layers and sums.
    torch.testing.assert_close(extractor(images), whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 32, 32), (3, 32), (2,)])
def test_samples_that_are_no_images_are_refused(shape):
    with pytest.raises(ConfigError, match=r"1 or 3 channels, not samples of shape"):
        InceptionFeatures().build(shape)


def test_a_failed_download_names_the_ways_out(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(fidelity, "URL_INCEPTION_V3", "file:///no/such/place/weights-12345678.pth")
    message = r"download failed .*with a network; .*weights_path; .*LeNetFeatures"
    with pytest.raises(ConfigError, match=message):
        InceptionFeatures().build((3, 32, 32))


def test_a_download_with_the_wrong_checksum_is_refused(tmp_path, monkeypatch):
    (tmp_path / "weights-12345678.pth").write_bytes(b"something else")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    monkeypatch.setattr(fidelity, "URL_INCEPTION_V3", (tmp_path / "weights-12345678.pth").as_uri())
    with pytest.raises(ConfigError, match=r"download failed .*sha256 sum .* 12345678 was expected"):
        InceptionFeatures().build((3, 32, 32))
    assert not list((tmp_path / "cache").rglob("*.pth"))


def test_a_file_of_something_else_is_named(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"weight": torch.zeros(1)}, path)
    with pytest.raises(ConfigError, match=r"weights.pth' cannot be read .*must name torch-fidelity's"):
        InceptionFeatures(str(path)).build((3, 32, 32))


def test_a_file_that_would_run_code_is_refused(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"weight": print}, path)
    with pytest.raises(ConfigError, match="UnpicklingError"):
        InceptionFeatures(str(path)).build((3, 32, 32))
