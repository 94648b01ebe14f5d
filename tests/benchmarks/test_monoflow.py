"""The table of losses that reach a Gaussian: short runs that move the right way, or the wrong one."""

import pytest
import torch

from benchmarks import monoflow
from lightning_gantk.analysis import is_monotone


@pytest.mark.parametrize("name", ["logit (reverse KL)", "exp", "vanilla, C = 5", "KL", "chi2", "Hellinger", "JS"])
def test_detached_means_move_as_their_losses_say(name):
    loss = monoflow.LOSSES[name]
    mean, _ = monoflow.run(loss, detached=True, steps=40, samples=200)
    assert bool((mean < 1).all()) == is_monotone(loss)  # from (1, 1) towards 0


def test_target_is_what_reaches_it():
    covariance = torch.tensor([[1.0, 0.8], [0.8, 0.89]])
    assert monoflow.reaches(torch.zeros(2), covariance)
    assert not monoflow.reaches(torch.tensor([0.2, 0.0]), covariance)
    assert not monoflow.reaches(torch.zeros(2), torch.eye(2))
