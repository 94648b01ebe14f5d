"""What contract suites call the same: two equal infinities are, a number and an infinity are not."""

import pytest
import torch

from lightning_gantk.testing.base import Contract


class Own(Contract):
    def make(self):
        return None


def test_equal_infinities_are_equal_and_others_are_not():
    contract, infinite = Own(), torch.tensor([1.0, torch.inf])
    contract.close(infinite, infinite.clone(), 0.0, "released", Contract)
    for other in (torch.tensor([1.0, 2.0]), torch.tensor([1.0, -torch.inf]), torch.tensor([1.0, torch.nan])):
        with pytest.raises(AssertionError, match="released: inf in the place of"):
            contract.close(infinite, other, 1e6, "released", Contract)
