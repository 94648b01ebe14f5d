"""Distributions of points: moments, places, pictures, and what they refuse."""

import hashlib
import math
import urllib.request

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules import targets
from lightning_gantk.errors import ConfigError

MANY = 40_000


def _draw(target, n=MANY, seed=0):
    return target.sample(n, torch.Generator().manual_seed(seed))


ALL = [
    targets.GaussianMixture([-1.0, 2.0, 3.0], 0.1),
    targets.GaussianRing(),
    targets.GaussianRing(5, dim=1),
    targets.GaussianGrid(),
    targets.RandomMixture(7, 3),
    targets.TwoMoons(),
    targets.Rings(),
]


@pytest.mark.parametrize("target", ALL, ids=repr)
def test_points_are_float32_fixed_by_the_seed_and_leave_the_global_generator_alone(target):
    state = torch.get_rng_state()
    points = _draw(target, 50)
    assert points.shape == (50, target.dim) and points.dtype == torch.float32
    assert torch.equal(points, _draw(target, 50)) and not torch.equal(points, _draw(target, 50, seed=1))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("target", ALL[:5], ids=repr)
def test_mixtures_visit_every_mode_equally_with_its_spread(target):
    points = _draw(target)
    distance, mode = torch.cdist(points, target.modes).min(1)
    counts = torch.bincount(mode, minlength=len(target.modes)).double()
    expected = MANY / len(counts)
    assert (counts - expected).abs().max() < 5 * math.sqrt(expected)  # binomial, 5 standard deviations
    variance = (distance**2).mean() / target.dim  # modes are at least 4 standard deviations apart: nearest is own
    assert variance.sqrt().item() == pytest.approx(target.mode_std, rel=5 / math.sqrt(2 * target.dim * MANY))


def test_eight_gaussians_are_the_known_ones():
    target = targets.GaussianRing()
    assert len(target.modes) == 8 and target.mode_std == 0.5
    torch.testing.assert_close(target.modes.norm(dim=1), torch.full((8,), 5.0))
    assert targets.GaussianRing(3, 2.0, dim=1).modes.flatten().tolist() == [-2, 0, 2]
    assert targets.GaussianRing(1, dim=1).modes.flatten().tolist() == [0]


def test_grid_has_25_modes_around_0():
    modes = targets.GaussianGrid().modes
    assert len(modes) == 25 and modes.unique(dim=0).shape == (25, 2)
    assert modes.mean(0).tolist() == [0, 0] and modes.max() == 4


def test_weights_and_atoms_of_a_mixture():
    target = targets.GaussianMixture([[0.0, 0.0], [1.0, 1.0]], 0.0, [3.0, 1.0])
    points = _draw(target)
    assert points.unique(dim=0).tolist() == [[0, 0], [1, 1]]
    assert points[:, 0].mean().item() == pytest.approx(0.25, abs=5 * math.sqrt(0.25 * 0.75 / MANY))


def test_rings_and_moons_lie_on_their_curves():
    radii = _draw(targets.Rings([1.0, 3.0], noise=0.0)).norm(dim=1)
    near_one = (radii - 1).abs() < 1e-5
    assert (near_one | ((radii - 3).abs() < 1e-5)).all()
    assert near_one.float().mean().item() == pytest.approx(0.25, abs=5 * math.sqrt(0.25 * 0.75 / MANY))
    moons = _draw(targets.TwoMoons(1.0, noise=0.0))
    upper, lower = ((moons - torch.tensor(c)).norm(dim=1) - 1 for c in ([-0.5, -0.25], [0.5, 0.25]))
    assert torch.minimum(upper.abs(), lower.abs()).max() < 1e-5
    assert moons.mean(0).abs().max() < 0.05


@pytest.fixture
def picture(tmp_path):
    """4 wide, 2 high: black top left, grey 127 bottom right, transparent black beside it, white elsewhere."""
    pixels = np.full((2, 4, 4), 255, np.uint8)
    pixels[0, 0, :3] = 0
    pixels[1, 3, :3] = 127
    pixels[1, 2] = 0
    path = tmp_path / "picture.png"
    Image.fromarray(pixels, "RGBA").save(path)
    return path


def test_a_picture_is_dense_where_it_is_dark(picture):
    points = _draw(targets.Picture(str(picture), size=4.0))  # a pixel is 2 wide
    top_left = (points[:, 0] < -2) & (points[:, 1] > 0)
    bottom_right = (points[:, 0] > 2) & (points[:, 1] < 0)
    assert (top_left | bottom_right).all()
    share = 128 / (128 + 255)
    assert bottom_right.float().mean().item() == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / MANY))
    assert points[:, 0].abs().max() <= 4 and points[:, 1].abs().max() <= 2
    inside = points[top_left]
    # Uniform within the pixel, whose variance is 1/3 and whose fourth moment 1/5: five standard errors of each.
    assert inside.mean(0).tolist() == pytest.approx([-3, 1], abs=5 * math.sqrt(1 / 3 / len(inside)))
    assert inside.var(0).tolist() == pytest.approx([1 / 3, 1 / 3], abs=5 * math.sqrt((1 / 5 - 1 / 9) / len(inside)))


def test_a_picture_is_checked_against_its_sum(picture):
    right = hashlib.sha256(picture.read_bytes()).hexdigest()
    _draw(targets.Picture(str(picture), sha256=right.upper()), 3)
    with pytest.raises(ConfigError, match=f"SHA-256 sum {right}.*0000"):
        _draw(targets.Picture(str(picture), sha256="0000"), 3)


def test_a_picture_is_fetched_once(picture, tmp_path, monkeypatch):
    content, asked = picture.read_bytes(), []
    fetch = urllib.request.urlopen

    def answer(url, timeout):
        asked.append(url)
        found = fetch(picture.as_uri())
        found.url = url
        return found

    monkeypatch.setattr("urllib.request.urlopen", answer)
    target = targets.Picture(str(tmp_path / "new" / "a.png"), url="https://example.org/a.png")
    target.prepare()
    target.prepare()
    assert asked == ["https://example.org/a.png"]
    assert (tmp_path / "new" / "a.png").read_bytes() == content
    assert len(_draw(target, 5)) == 5


def test_a_picture_that_cannot_be_had_says_so(tmp_path, monkeypatch):
    def fail(url, timeout):
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", fail)
    with pytest.raises(ConfigError, match=r"download of https://example\.org/a\.png failed.*no network"):
        targets.Picture(str(tmp_path / "a.png"), url="https://example.org/a.png").prepare()
    (tmp_path / "text.png").write_text("no picture")
    Image.new("L", (3, 3), 255).save(tmp_path / "white.png")
    for name, message in (("a", "cannot be read"), ("text", "cannot be read"), ("white", "white all over")):
        with pytest.raises(ConfigError, match=message):
            _draw(targets.Picture(str(tmp_path / f"{name}.png")), 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: targets.GaussianMixture([]), "at least one"),
        (lambda: targets.GaussianMixture([[0.0], [0.0, 1.0]]), "one dimension"),
        (lambda: targets.GaussianMixture([0.0], weights=[1.0, 2.0]), "'weights' must hold 1"),
        (lambda: targets.GaussianRing(0), "'modes' must be a whole number"),
        (lambda: targets.GaussianRing(dim=3), "'dim' must be 1 or 2"),
        (lambda: targets.GaussianRing(std=-1.0), "'std' must be"),
        (lambda: targets.GaussianGrid(spacing=0.0), "'spacing' must be positive"),
        (lambda: targets.RandomMixture(0), "'dim' must be"),
        (lambda: targets.Rings([]), "at least one circle"),
        (lambda: targets.TwoMoons(noise=float("nan")), "'noise' must be"),
        (lambda: targets.Picture("a.png", url="http://example.org"), "https://"),
    ],
)
def test_targets_refuse_what_cannot_be(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_modes_in_turn_are_one_of_each():
    ring = targets.GaussianRing(5, 2.0, 0.0, in_turn=True)
    points = ring.sample(10, torch.Generator().manual_seed(0))
    assert torch.equal(points, torch.cat([ring.modes, ring.modes]))
    with pytest.raises(ConfigError, match=r"'in_turn'.*set 'weights' to null"):
        targets.GaussianMixture([0.0, 1.0], weights=[1.0, 2.0], in_turn=True)
