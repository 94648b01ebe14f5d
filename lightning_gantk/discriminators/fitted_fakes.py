"""The fakes of the last fit, and whether samples that are scored are those: their pairs are worked out once then."""

from typing import Any

import torch
from torch import Tensor

from lightning_gantk import bridge
from lightning_gantk.errors import TrainingDiverged
from lightning_gantk.processes import own_part, processes, rank


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
            own = own_part(known)
            same = own.shape == x.shape and torch.equal(own, x.detach().to(known.dtype))
            return rank() * len(x) if same else None
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
    """The values in memory of their own: on a CPU copied by one thread, for torch's others, once at work, would go on
    spinning on the cores that JAX needs next.
    """
    if tensor.device.type != "cpu" or tensor.numel() < 2:
        return tensor.clone()
    as_bytes = tensor.contiguous().view(torch.uint8)  # numpy has no bfloat16
    return torch.from_numpy(as_bytes.numpy().copy()).view(tensor.dtype)
