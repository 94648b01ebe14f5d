"""Torch's insides: the one file that uses names which torch keeps to itself."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


def norm_bound(tensors: Iterable[Tensor]) -> Tensor:
    """The sum of the norms of tensors, a scalar; NaN or infinite where one of them has such a value.

    The public ``get_total_norm`` sorts tensors by device and dtype first, which takes longer than all norms of a 2-D
    step.
    """
    detached = [tensor.detach() for tensor in tensors]
    norms = torch._foreach_norm(detached)  # pyright: ignore[reportPrivateImportUsage]  # the purpose of this file
    return torch.stack(norms).sum()


def state_without(module: nn.Module, name: str) -> dict[str, Any]:
    """What a module holds, as a pickle would have it, without one of the modules in it."""
    return {**module.__dict__, "_modules": {key: child for key, child in module._modules.items() if key != name}}
