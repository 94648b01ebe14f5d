"""Looks at a module that leave no trace in its training."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from lightning_gantk.training.random_states import isolated


@contextmanager
def undisturbed(module: nn.Module, seed: int = 0) -> Iterator[None]:
    """Whatever the block asks of a module changes neither its buffers (spectral norms, running averages) nor the random
    numbers that come after; within it they are those of ``seed``.
    """
    before = [(buffer, buffer.clone()) for buffer in module.buffers()]
    with isolated(seed):
        try:
            yield
        finally:
            with torch.no_grad():
                for buffer, value in before:
                    buffer.copy_(value)
