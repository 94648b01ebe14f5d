"""Programs of JAX compiled for an NVIDIA GPU that is not there."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
from jax.experimental import topologies
from jax.sharding import AbstractDevice, AbstractMesh, SingleDeviceSharding, use_abstract_mesh

_DESCRIPTION = Path(__file__).parent / "h200.txtpb"
BANDWIDTH = 4.8e12  # bytes a second, as in the description


def compiled(function: Callable, *arguments: Any) -> Any:
    """A function compiled for CUDA.

    Args:
        function: A function of arrays.
        *arguments: Arrays or ``jax.ShapeDtypeStruct``.
    """
    with _gpu() as device:
        sharding = SingleDeviceSharding(device)
        traced = jax.jit(function, in_shardings=sharding).trace(*arguments)
        return traced.lower(lowering_platforms=("cuda",)).compile()


@contextlib.contextmanager
def _gpu() -> Iterator[Any]:
    """The GPU of the description; Pallas asks the mesh for it."""
    description = _DESCRIPTION.read_text()
    jax.devices()  # finds the plugin for CUDA
    topology = topologies.get_topology_desc("1x1x1", platform="cuda", topology="1x1x1", target_config=description)
    device = topology.devices[0]
    named = AbstractDevice(device_kind=device.device_kind, num_cores=None, platform="gpu")
    with use_abstract_mesh(AbstractMesh((1,), ("gpu",), abstract_device=named)):
        yield device
