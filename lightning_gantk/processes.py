"""The processes that work on one run: how many, which is this, and what they tell each other.

All random numbers of a run are the same in every process: each draws for all of them and keeps its own part
(``own_part``), so that a run on several processes is the run of one with as large a batch. With one process everything
here does nothing. Functions that communicate must be called in every process.
"""

import os
from collections.abc import Iterable

import torch
from torch import Tensor
from torch import distributed as dist


def processes() -> int:
    """How many processes work on the run."""
    return dist.get_world_size() if _connected() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if _connected() else 0


def announced_rank() -> int:
    """Which it will be, as whoever has started it says: Lightning, torchrun or SLURM; 0 where nobody has.

    Of a process that another node's Lightning has started it is known only that it is not the first.
    """
    for name in ("RANK", "SLURM_PROCID"):
        if name in os.environ:
            return int(os.environ[name])
    return max(int(os.environ.get(name, 0)) for name in ("LOCAL_RANK", "NODE_RANK"))


def own_part(samples: Tensor) -> Tensor:
    """Of samples ``(N, ...)`` that all processes have alike, the part that is this one's, ``(N / processes, ...)``.

    They are the contiguous rows that ``gathered`` puts back in place. A number that cannot be divided stays whole:
    then every process has all of them.
    """
    if processes() == 1 or len(samples) % processes():
        return samples
    each = len(samples) // processes()
    return samples[rank() * each : (rank() + 1) * each]


def gathered(samples: Tensor) -> Tensor:
    """The samples ``(N, ...)`` of all processes, which may have different N, in the order of their ranks.

    Without a graph; images stay in the memory layout that they have (channels-last ones reach JAX with no copy).
    """
    if processes() == 1:
        return samples
    if samples.ndim == 4 and samples.is_contiguous(memory_format=torch.channels_last):
        return _gathered(samples.movedim(1, -1)).movedim(-1, 1)
    return _gathered(samples)


def _gathered(samples: Tensor) -> Tensor:
    counts = [torch.zeros((), dtype=torch.long, device=samples.device) for _ in range(processes())]
    dist.all_gather(counts, torch.tensor(len(samples), device=samples.device))
    counts = [int(count) for count in counts]
    most = max(counts)
    filling = samples.new_zeros(most - len(samples), *samples.shape[1:])
    filled = torch.cat([samples.detach(), filling]) if len(filling) else samples.detach().contiguous()
    everything = samples.new_empty(processes() * most, *samples.shape[1:])  # one block, in which the parts are views
    parts = list(everything.split(most))
    dist.all_gather(parts, filled)
    if min(counts) == most:
        return everything
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])


def average(tensors: Iterable[Tensor]) -> None:
    """Replaces each tensor by its mean over the processes, to the same bits in all of them."""
    if processes() == 1:
        return
    tensors = list(tensors)
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])  # one message
    dist.all_reduce(flat)
    flat /= processes()
    for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(mean.view_as(tensor))


def add_up(tensor: Tensor) -> None:
    """Replaces the tensor by its sum over the processes."""
    if processes() > 1:
        dist.all_reduce(tensor)


def take_from_first(tensors: Iterable[Tensor]) -> None:
    """Overwrites the tensors with those of the first process."""
    if processes() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, 0)


def largest(number: float, device: torch.device) -> float:
    """The largest of the numbers that the processes give; ``device`` is one that they can communicate from."""
    if processes() == 1:
        return number
    found = torch.tensor(float(number), device=device)
    dist.all_reduce(found, op=dist.ReduceOp.MAX)
    return float(found)


def _connected() -> bool:
    return dist.is_available() and dist.is_initialized()
