"""The bridge: one memory, two libraries; every copy is counted."""

import gc
import importlib.util
import types
import weakref

import jax
import numpy as np
import pytest
import torch

from lightning_gantk import bridge
from lightning_gantk.errors import ConfigError


@pytest.fixture
def copies():
    """How many copies were made since the test began."""
    before = bridge.copies()
    return lambda: bridge.copies() - before


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.randn(5, 3),
        lambda: torch.randn(5, 1, 8, 6),
        lambda: torch.randn(5, 3, 8, 6).contiguous(memory_format=torch.channels_last),
        lambda: torch.randn(5, 3, requires_grad=True) * 2,
    ],
    ids=["vectors", "grey", "channels-last", "with-graph"],
)
def test_tensor_crosses_with_no_copy(make, copies):
    tensor = make()
    array = bridge.to_jax(tensor)
    assert array.unsafe_buffer_pointer() == tensor.data_ptr()
    assert copies() == 0
    layout = (0, 2, 3, 1) if tensor.ndim == 4 else (0, 1)
    np.testing.assert_array_equal(np.asarray(array), tensor.detach().permute(layout).numpy())


def test_array_crosses_back_with_no_copy_and_layout(copies):
    array = jax.numpy.arange(5.0 * 8 * 6 * 3).reshape(5, 8, 6, 3)
    tensor = bridge.to_torch(array)
    assert tensor.shape == (5, 3, 8, 6)
    assert tensor.data_ptr() == array.unsafe_buffer_pointer()
    assert copies() == 0
    np.testing.assert_array_equal(tensor.permute(0, 2, 3, 1).numpy(), np.asarray(array))


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.randn(5, 3, 8, 6),  # channels first: JAX wants them last
        lambda: torch.randn(5, 6)[:, ::2],
        lambda: torch.randn(65)[1:].reshape(8, 8),  # 4 bytes off the alignment
        lambda: torch.randn(3).expand(5, 3),
    ],
    ids=["channels-first", "strided", "misaligned", "expanded"],
)
def test_unavoidable_copy_is_right_and_counted(make, copies):
    tensor = make()
    array = bridge.to_jax(tensor)
    assert copies() == 1
    layout = (0, 2, 3, 1) if tensor.ndim == 4 else (0, 1)
    np.testing.assert_array_equal(np.asarray(array), tensor.permute(layout).numpy())


def test_float64_crosses_under_scoped_x64_only(copies):
    tensor = torch.randn(4, 3, dtype=torch.float64)
    with jax.enable_x64(True):
        array = bridge.to_jax(tensor)
        assert array.dtype == np.float64
        assert copies() == 0
        assert bridge.to_torch(array * 2).dtype == torch.float64
    assert bridge.to_jax(tensor).dtype == np.float32
    assert copies() == 1


def test_cast_and_fill_copy_only_when_they_must(copies):
    tensor = torch.randn(3, 2)
    assert bridge.cast(tensor, torch.float32) is tensor
    assert bridge.fill(tensor, 3) is tensor
    assert copies() == 0
    filled = bridge.fill(tensor, 5)
    assert copies() == 1
    assert torch.equal(filled, tensor[[0, 1, 2, 0, 0]])


def test_device_that_jax_cannot_share_is_refused():
    with pytest.raises(ConfigError, match=r"not on 'mps': set trainer\.accelerator to cpu"):
        bridge.prepare(torch.device("mps"))


def test_gpu_without_jax_cuda_is_refused(monkeypatch):
    def no_gpu(platform):
        raise RuntimeError("Unknown backend cuda")

    monkeypatch.setattr(jax, "devices", no_gpu)
    with pytest.raises(ConfigError, match=r"finds no GPU .*lightning-gantk\[cuda\]"):
        bridge.prepare(torch.device("cuda:0"))


def test_gpu_that_jax_did_not_take_is_refused(monkeypatch):
    monkeypatch.setattr(jax, "devices", lambda platform: [types.SimpleNamespace(local_hardware_id=0)])
    bridge.prepare(torch.device("cuda:0"))
    with pytest.raises(ConfigError, match=r"has started in this process on GPU 0 .* are on cuda:1\. Each process"):
        bridge.prepare(torch.device("cuda:1"))


@pytest.mark.parametrize(("torchs", "jaxs"), [("13.0", "12"), ("12.8", "13")])
def test_two_versions_of_cuda_are_refused(torchs, jaxs, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", torchs)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True if name.endswith(f"cuda{jaxs}") else None)
    extra = {"13.0": "cuda", "12.8": "cuda12"}[torchs]
    with pytest.raises(ConfigError, match=rf"plugin for CUDA {jaxs}: .* 'lightning-gantk\[{extra}\]"):
        bridge.prepare(torch.device("cuda:0"))


def test_seconds_of_compilation_are_counted():
    bridge.prepare(torch.device("cpu"))
    before = bridge.compile_seconds()
    jax.jit(lambda x: x * 7 + 1)(2.0)
    assert bridge.compile_seconds() > before


@pytest.mark.slow
def test_memory_that_torch_drops_is_kept_until_its_stream_has_come_there(monkeypatch):
    """What the bridge does on a GPU, with events that are done when the test says so."""
    done = set()

    class Event:
        def record(self, stream):
            self.stream = stream

        def query(self):
            return self.stream in done

    monkeypatch.setattr(torch.cuda, "Event", Event)
    array = jax.numpy.arange(6.0)
    tensor = torch.from_dlpack(array)
    weakref.finalize(tensor.untyped_storage(), bridge._on_drop, "stream", array)
    held = weakref.ref(array)
    part = tensor[2:].view(2, 2)
    del array, tensor
    gc.collect()
    assert not bridge._dropped  # a view still reads it
    del part
    gc.collect()
    bridge.to_jax(torch.zeros(4))
    assert held() is not None and len(bridge._dropped) == 1
    done.add("stream")
    bridge.to_jax(torch.zeros(4))
    assert held() is None and not bridge._dropped
