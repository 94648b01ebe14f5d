"""Pictures drawn in the place of GeomLoss's, and the paper's experiments on them."""

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import drawn, redrawn
from datamodules.targets import Picture


def test_pictures_are_drawn_once_and_are_densities(tmp_path):
    (tmp_path / "A.png").write_bytes(b"mine")
    written = drawn.write(tmp_path / ".")
    assert [path.name for path in written] == ["B.png", "density_a.png", "density_b.png"]
    assert (tmp_path / "A.png").read_bytes() == b"mine"
    assert drawn.write(tmp_path) == []
    for path in written:
        with Image.open(path) as file:
            dark = 255 - np.asarray(file)
        assert dark.max() == 255 and 0.02 < (dark > 0).mean() < 0.98
    points = Picture(str(tmp_path / "density_a.png"), size=1.0).sample(2000, torch.Generator().manual_seed(0))
    radius = points.norm(dim=1)
    assert 0.5 < float(radius.median()) < 0.7  # a ring of 0.6, thick on the right
    assert float((points[:, 0] > 0).float().mean()) > 0.75


def test_letters_stand_upright(tmp_path):
    drawn.write(tmp_path)
    points = Picture(str(tmp_path / "A.png"), size=1.0).sample(2000, torch.Generator().manual_seed(0))
    top, bottom = (points[points[:, 1] * sign > 0.3] for sign in (1, -1))
    assert float(top[:, 0].abs().mean()) < float(bottom[:, 0].abs().mean())  # an A is wider below


@pytest.mark.slow
def test_particles_leave_the_picture_that_they_start_from(tmp_path, capsys):
    pytest.importorskip("jax")
    real, particles = redrawn.rows("ab", 3, tmp_path)
    assert real.shape == (500, 2) and len(particles) == 3
    start, *ends = particles.values()
    assert all(not torch.equal(start, end) for end in ends)
    assert capsys.readouterr().out.count("ab, ") == 2
    assert len(redrawn.picture({"ab": (real, particles)}).axes) == 3
