"""A training loader whose batch k is a function of k: it goes on for ever and resumes anywhere."""

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor


class EndlessLoader:
    """Batches ``batch(0), batch(1), ...``; an epoch is the next ``length`` of them.

    Lightning's fit loop saves ``state_dict()`` in every checkpoint and restores it; the run then goes on with the very
    next batch. Epochs are there for Lightning alone: nothing starts anew with them.

    Args:
        batch: Gives batch k; the same for the same k.
        length: Batches in an epoch.
    """

    def __init__(self, batch: Callable[[int], Tensor], *, length: int) -> None:
        self._batch, self._length = batch, length
        self._given = 0  # batches handed out, over all epochs
        self._given_in_epoch = 0
        self._resuming = False

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Tensor]:
        if not self._resuming or self._given_in_epoch >= self._length:
            self._given_in_epoch = 0
        self._resuming = False
        while self._given_in_epoch < self._length:
            batch = self._batch(self._given)
            self._given += 1
            self._given_in_epoch += 1
            yield batch

    def end_epoch(self) -> None:
        """Leaves out the rest of the epoch: Lightning may want fewer batches of one."""
        self._given_in_epoch = self._length

    def state_dict(self) -> dict[str, Any]:
        """The place in the data."""
        return {"given": self._given, "given_in_epoch": self._given_in_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Makes the next iteration go on where ``state_dict()`` was taken."""
        self._given, self._given_in_epoch = state_dict["given"], state_dict["given_in_epoch"]
        self._resuming = True
