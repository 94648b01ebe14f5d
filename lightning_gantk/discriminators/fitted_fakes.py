"""The fakes of the last fit, and whether samples that are scored are those: their pairs are worked out once then."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_gantk import bridge
from lightning_gantk.errors import TrainingDiverged
from lightning_gantk.processes import own_part, processes, rank

_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # as wide as a number of so many bytes


class FittedFakes:
    """What a fit was made with: the values, or for one process on a GPU the tensor itself."""

    def __init__(self) -> None:
        self._outcome: Any = None  # of the fit
        self._fakes: Tensor | None = None
        self._version: int | None = None
        self._same: list[Any] = []  # whether those that were scored as these fakes are: booleans of JAX, still to come

    def remember(self, fake: Tensor, outcome: Any) -> None:
        """Keeps the fakes ``(N, ...)`` of a fit, and what came of it."""
        known, self._same, self._outcome, self._version = fake.detach(), [], outcome, None
        if bridge.by_streams(fake.device) and processes() == 1:
            self._fakes = known
            if not fake.is_inference():
                self._version = fake._version
        else:
            self._fakes = _copied(known)

    def place_of(self, x: Tensor, outcome: Any) -> int | None:
        """Where samples stand among the very fakes of the fit with this outcome, as in a training step.

        They are all of them, or with several processes the part of this one; None is for others.

        Values are compared, which one pass over the samples does: whoever writes through ``.data``, numpy or JAX leaves
        no trace in torch's version counters. On a GPU the host would wait for the answer. There it is the same memory
        and version, and the values are compared where they are: see ``suspect``.
        """
        known = self._fakes
        if known is None or self._outcome is not outcome:
            return None
        if len(known) != processes() * len(x) or known.device != x.device:
            return None
        if processes() > 1 or not bridge.by_streams(x.device):
            return rank() * len(x) if _equal(own_part(known), x.detach().to(known.dtype)) else None
        same_memory = x.data_ptr() == known.data_ptr() and x.stride() == known.stride() and x.dtype == known.dtype
        return 0 if same_memory and self._version is not None and x._version == self._version else None

    def suspect(self, same: Any) -> None:
        """Takes a boolean that JAX has yet to work out: whether samples that were scored as these fakes are those."""
        self._same.append(same)

    def check(self) -> None:
        """Waits for the booleans.

        Raises:
            TrainingDiverged: If one is false.
        """
        if not all(self._same):
            raise TrainingDiverged(
                "The fakes that the discriminator was fitted to were written to before they were scored, past torch's "
                "version counters (through .data, DLPack or another library): write through torch, or to a clone."
            )


def _copied(tensor: Tensor) -> Tensor:
    if tensor.device.type != "cpu":
        return tensor.clone()
    return torch.from_numpy(_bits(tensor).copy(order="K")).view(tensor.dtype)


def _equal(first: Tensor, second: Tensor) -> bool:
    """Of two tensors of one dtype, on one device."""
    if first.device.type != "cpu":
        return torch.equal(first, second)
    return np.array_equal(_bits(first), _bits(second))


def _bits(tensor: Tensor) -> np.ndarray:
    """The numbers of a tensor on the CPU as integers in the same memory: numpy has not all of torch's dtypes.

    numpy works in this thread alone. torch's other threads, once at work, would go on spinning on the cores that JAX
    needs next.
    """
    return tensor.view(_BITS[tensor.element_size()]).numpy()
