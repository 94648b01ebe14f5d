"""Two processes in one, to see in a second what two real ones would do: threads that take turns.

One thread runs at a time, until it sends a message; then the next goes on. Each has random numbers of its own. What
``torch.distributed`` offers beyond the messages of ``lightning_gantk.processes`` and torchmetrics is refused. A message
that somebody waits for and nobody sends, where real processes would hang, is an error.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from unittest import mock

import torch
from torch import Tensor
from torch import distributed as dist

Result = TypeVar("Result")


class _Meeting:
    """The processes, whose turn it is, and what they have said."""

    def __init__(self, count: int):
        self.count, self.turn = count, 0
        self.changed = threading.Condition()
        self.said: list[dict[int, tuple[str, Any]]] = []  # by round and rank
        self.running = set(range(count))
        self.state = dict.fromkeys(range(count), torch.get_rng_state())
        self.failed: BaseException | None = None
        self.own = threading.local()

    def rank(self, *_: Any, **__: Any) -> int:
        return self.own.rank

    def world_size(self, *_: Any, **__: Any) -> int:
        return self.count

    def exchange(self, kind: str, value: Any) -> list[Any]:
        """Says something to all, and hears what the others say in the same round."""
        rank, number = self.own.rank, self.own.round
        self.own.round += 1
        if len(self.said) == number:
            self.said.append({})
        heard = self.said[number]
        heard[rank] = (kind, value)
        self.pass_on(rank)
        self.wait(rank)
        if missing := set(range(self.count)) - heard.keys():
            raise RuntimeError(
                f"Process {rank} waits in {kind} for process {min(missing)}, which has ended without it."
            )
        if len(kinds := {kind for kind, _ in heard.values()}) > 1:
            raise RuntimeError(f"The processes send different messages at the same time: {', '.join(sorted(kinds))}.")
        return [heard[other][1] for other in range(self.count)]

    def pass_on(self, rank: int) -> None:
        with self.changed:
            self.state[rank] = torch.get_rng_state()
            others = [(rank + i) % self.count for i in range(1, self.count + 1)]
            self.turn = next((other for other in others if other in self.running), -1)
            self.changed.notify_all()

    def wait(self, rank: int) -> None:
        with self.changed:
            self.changed.wait_for(lambda: self.turn == rank or self.failed)
            if self.failed is not None:
                raise RuntimeError("Another process has failed.") from self.failed
            torch.set_rng_state(self.state[rank])

    def run(self, rank: int, work: Callable[[int], Result], results: dict[int, Result]) -> None:
        self.own.rank, self.own.round = rank, 0
        try:
            self.wait(rank)
            results[rank] = work(rank)
        except BaseException as error:
            self.failed = self.failed or error
        self.running.discard(rank)
        self.pass_on(rank)

    def all_reduce(self, tensor: Tensor, op: Any = dist.ReduceOp.SUM, *_: Any, **__: Any) -> None:
        parts = torch.stack(self.exchange("all_reduce", tensor.detach().clone()))
        reductions = {dist.ReduceOp.SUM: lambda: parts.sum(0), dist.ReduceOp.MAX: lambda: parts.amax(0)}
        reductions |= {dist.ReduceOp.MIN: lambda: parts.amin(0), dist.ReduceOp.AVG: lambda: parts.mean(0)}
        with torch.no_grad():
            tensor.copy_(next(reduce for known, reduce in reductions.items() if op == known)())

    def all_gather(self, into: list[Tensor], tensor: Tensor, *_: Any, **__: Any) -> None:
        for place, part in zip(into, self.exchange("all_gather", tensor.detach().clone()), strict=True):
            with torch.no_grad():
                place.copy_(part)

    def broadcast(self, tensor: Tensor, src: int = 0, *_: Any, **__: Any) -> None:
        value = self.exchange("broadcast", tensor.detach().clone())[src]
        with torch.no_grad():
            tensor.copy_(value)

    def barrier(self, *_: Any, **__: Any) -> None:
        self.exchange("barrier", None)


def in_processes(work: Callable[[int], Result], count: int = 2) -> list[Result]:
    """What ``work(rank)`` gives in each of some processes, which all start from the random numbers of now.

    Raises:
        RuntimeError: If they send each other messages that do not match, where real processes would hang.
    """
    meeting, results = _Meeting(count), {}
    with _distributed(meeting), torch.random.fork_rng(devices=[]):
        threads = [threading.Thread(target=meeting.run, args=(rank, work, results)) for rank in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if meeting.failed is not None:
        raise meeting.failed
    return [results[rank] for rank in range(count)]


@contextmanager
def _distributed(meeting: _Meeting) -> Iterator[None]:
    """torch.distributed, as the meeting does it."""

    def refuse(*_: Any, **__: Any) -> None:
        raise NotImplementedError("This message of torch.distributed is not known to lightning_gantk.testing.several.")

    known = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "get_rank": meeting.rank,
        "get_world_size": meeting.world_size,
        "all_reduce": meeting.all_reduce,
        "all_gather": meeting.all_gather,
        "broadcast": meeting.broadcast,
        "barrier": meeting.barrier,
    }
    others = ("all_gather_object", "all_to_all", "broadcast_object_list", "gather", "reduce", "scatter", "send", "recv")
    with mock.patch.multiple(dist, **known, **dict.fromkeys(others, refuse)):
        yield
