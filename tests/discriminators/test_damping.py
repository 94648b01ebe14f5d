"""A particle against a kept discriminator with the gradient penalty R_1: the damping of the full nonlinear model.

The discriminator is linear in features of the Gaussian kernel exp(-|x - y|^2 / 2), so that gradient steps on its
weights are those of the kernel itself.
"""

import math

import pytest
import torch
from torch import nn

from lightning_gantk.discriminators import FiniteDiscriminator
from lightning_gantk.losses import IPM

_TERMS = 12  # x^k / sqrt(k!): what is left out is below 0.2^12 / 12! = 1e-17


class Features(nn.Module):
    """``f(x) = sum_k w_k exp(-x^2 / 2) x^k / sqrt(k!)``, with f = 0 at the start."""

    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(_TERMS, dtype=torch.float64))
        self.sizes = torch.tensor([math.sqrt(math.factorial(k)) for k in range(_TERMS)], dtype=torch.float64)

    def forward(self, x):
        powers = torch.cat([torch.ones_like(x), x.expand(-1, _TERMS - 1)], 1).cumprod(1)
        return torch.exp(-(x**2) / 2).squeeze(1) * (powers / self.sizes @ self.weights)


def _places(penalty, step, times):
    """Of a particle that starts 0.1 from the one real sample, both players moving at once."""
    discriminator = FiniteDiscriminator(
        Features(), IPM(), time=step, gradient_penalty=penalty / 2, penalty_center=0.0, penalty_at="real"
    )
    real, x = torch.zeros(1, 1, dtype=torch.float64), torch.full((1, 1), 0.1, dtype=torch.float64)
    found = []
    discriminator.build((1,))
    for k in range(1, round(max(times) / step) + 1):
        point = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(discriminator(point).sum(), point)
        discriminator.fit(real, x)
        x = x - step * slope
        if any(abs(k * step - time) < step / 2 for time in times):
            found.append(float(x))
    return found


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        (2.0, (0.039851, 0.003539, 3.0e-5)),  # critical
        pytest.param(1.0, (0.014566, -0.007126, -0.000266), marks=pytest.mark.slow),
        pytest.param(8.0, (0.077079, 0.047621, 0.019949), marks=pytest.mark.slow),
        (0.0, (-0.0417, 0.0274, -0.0741)),  # grows
    ],
)
def test_gradient_penalty_damps(penalty, expected):
    # six digits are stated, or four
    tolerance = 6e-5 if penalty == 0 else 6e-7
    assert _places(penalty, 0.01, (2, 5, 10)) == pytest.approx(expected, abs=tolerance)
