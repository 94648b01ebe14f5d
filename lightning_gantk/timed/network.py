"""What a timed network is to the parts that are made of one."""

from typing import Any, Protocol


class TimedNetwork(Protocol):
    """Any torch module of samples ``(N, ...)`` and numbers ``(N,)``."""

    def forward(self, x: Any, time: Any, /) -> Any:
        """Scores ``(N,)``, or samples ``(N, ...)`` where it denoises."""
