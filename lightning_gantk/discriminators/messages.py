"""Arrays of JAX between processes, by torch.distributed: gloo on CPUs, NCCL on GPUs, with no way over the host."""

import jax
from torch import Tensor

from lightning_gantk import bridge
from lightning_gantk.kernels.dynamics.messages import Messages
from lightning_gantk.processes import add_up, processes, rank, take_from_first


class ProcessMessages(Messages):
    """Messages between the processes of a run."""

    def __init__(self) -> None:
        self.which, self.processes = rank(), processes()

    def of_first(self, array: jax.Array) -> jax.Array:
        tensor = _own(array)
        take_from_first([tensor])
        return bridge.to_jax(tensor)

    def total(self, array: jax.Array) -> jax.Array:
        tensor = _own(array)
        add_up(tensor)
        return bridge.to_jax(tensor)


def _own(array: jax.Array) -> Tensor:
    """The array as a tensor that may be overwritten."""
    return bridge.to_torch(array).clone()
