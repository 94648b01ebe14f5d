"""Networks whose weights come with the package, and files of these."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from lightning_gantk.errors import ConfigError

Network = TypeVar("Network", bound=nn.Module)


def loaded(network: Network, path: Path, *, module: str) -> Network:
    """The network with weights from a file of safetensors.

    Args:
        network: With any weights.
        path: The file.
        module: That makes such a file as a command.

    Raises:
        ConfigError: If the file cannot be read, or is another network's.
    """
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"the weights {str(path)!r} cannot be read ({reason}): make them with python -m {module} --output PATH, or"
            " leave weights_path out."
        ) from error
    return network


def check_output(path: str) -> None:
    """Looks, before a network is trained, whether its weights can be written.

    Raises:
        ConfigError: If there is no folder for the file.
    """
    if Path(path).is_dir() or not Path(path).parent.is_dir():
        raise ConfigError(f"--output must be a file in a folder that is there, got {path!r}.")


def write(network: nn.Module, path: str, told: Mapping[str, Any]) -> None:
    """Writes weights for ``loaded``.

    Args:
        network: The network.
        path: The file.
        told: How it was made, for whoever asks the file.
    """
    metadata = {name: str(value) for name, value in {**told, "torch": torch.__version__}.items()}
    # Not save_file, which lets the owner alone read what it writes.
    Path(path).write_bytes(save(network.state_dict(), metadata))


@contextmanager
def one_thread() -> Iterator[None]:
    """For sums in the same order however many cores there are; at the size of these networks more gain little."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
