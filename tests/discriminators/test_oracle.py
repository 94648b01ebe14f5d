"""The infinite discriminator against neural-tangents called directly: full Gram matrices, float64, its own solvers."""

import numpy as np
import pytest
from oracle import stored
from oracle.problems import FAMILIES

from lightning_gantk.discriminators import NTKDiscriminator

RELATIVE = {"float64": 1e-5, "float32": 1e-3}  # asked of the project; float64 is limited by the oracle's own ODE solver


def _nhwc(x):
    return x.permute(0, 2, 3, 1).numpy() if x.ndim == 4 else x.numpy()


def _slow_or_not(name):
    """An ODE over images compiles for long, and numbers of reals and fakes that differ are the harder case."""
    slow = "images-vanilla" in name or name.endswith("-6-6")
    return pytest.param(name, marks=pytest.mark.slow) if slow else name


@pytest.mark.parametrize("name", list(map(_slow_or_not, FAMILIES["flows"])))
def test_scores_and_gradients_agree_with_neural_tangents(name):
    problem, wanted = FAMILIES["flows"][name], stored("flows", name)
    real, fake, x = problem.inputs()
    for dtype, relative in RELATIVE.items():
        discriminator = NTKDiscriminator(problem.architecture, problem.loss, time=problem.time, dtype=dtype)
        discriminator.fit(real, fake)
        test = x.clone().requires_grad_()
        scores = discriminator(test)
        scores.sum().backward()
        pairs = (scores.detach().numpy(), wanted["scores"]), (_nhwc(test.grad), wanted["gradient"])
        for found, answer in pairs:
            assert np.linalg.norm(found - answer) <= relative * np.linalg.norm(answer)
