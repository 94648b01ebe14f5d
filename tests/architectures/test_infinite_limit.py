"""A wide finite discriminator, trained by small gradient steps for time t, scores like the infinite one at t."""

import numpy as np
import pytest
import torch

from lightning_gantk.architectures import DCGAN, MLP
from lightning_gantk.discriminators import FiniteDiscriminator, NTKDiscriminator
from lightning_gantk.losses import IPM, LSGAN, Vanilla

CASES = {
    "mlp": (MLP(hidden_layers=2), (3,)),
    "dcgan": (DCGAN(blocks=2, b_std=0.5), (1, 8, 8)),
}


@pytest.mark.slow
@pytest.mark.parametrize("loss", [IPM(), LSGAN(), Vanilla()], ids=repr)
@pytest.mark.parametrize("case", CASES)
def test_finite_discriminator_tends_to_the_infinite_one(case, loss):
    architecture, shape = CASES[case]
    draws, time = 12, 0.5
    narrow = 64 if case == "mlp" else 12
    generator = torch.Generator().manual_seed(0)
    real, fake, x = (torch.randn(6, *shape, generator=generator) + shift for shift in (1.0, -1.0, 0.3))
    infinite = NTKDiscriminator(architecture, loss, time=time, dtype="float64")
    infinite.fit(real, fake)
    expected = infinite(x).numpy()

    def error(width):
        """Root mean square over draws of the relative error of the scores."""
        errors = []
        for seed in range(draws):
            torch.manual_seed(seed)
            finite = FiniteDiscriminator(architecture, loss, width=width, time=time, steps=20)
            finite.fit(real, fake)
            errors.append(np.linalg.norm(finite(x).numpy() - expected) / np.linalg.norm(expected))
        return np.sqrt(np.mean(np.square(errors)))

    # 16 times the width makes the error 4 times smaller; half of that leaves room for the Monte-Carlo error of two root
    # mean squares over D draws, 1/sqrt(2 D) = 20 % each, and for the 20 steps that stand for the flow.
    found = error(narrow), error(16 * narrow)
    print(f"{case} {loss!r}: {found[0]:.3f} at width {narrow}, {found[1]:.3f} at width {16 * narrow}")
    assert found[1] < found[0] / 2
