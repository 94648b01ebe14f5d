"""What Lightning and others say on every normal run: tips, hardware that is absent, advice that does not apply."""

import logging
import warnings
from typing import Any

from lightning_gantk.errors import Advice

_UNHELPFUL = (
    "litlogger",
    "LeafSpec",
    "does not have many workers",
    r"module(s|\(s\))? in eval mode",
    "Checkpoint directory .* exists and is not empty",
    "The number of training batches",
    "callbacks used to create the checkpoint need to be provided",
    "will save all extracted features in buffer",
    "The dirpath has changed from",
    "Unable to serialize instance <function GAN",
)


def quieten() -> None:
    """Silences it for this process; errors and warnings about the run stay."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in _UNHELPFUL:
        warnings.filterwarnings("ignore", message=f"(?s).*{message}")
    warnings.formatwarning = _in_a_line


_whole = warnings.formatwarning


def _in_a_line(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> str:
    """Advice without the place in the code, which says nothing to whom it is for; other warnings as they were."""
    return f"warning: {message}\n" if issubclass(category, Advice) else _whole(message, category, *place, **more)
