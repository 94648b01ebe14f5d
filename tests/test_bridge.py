"""The bridge: one memory, two libraries; every copy is counted."""

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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_tensor_crosses_with_no_copy(copies):
    bridge.prepare(torch.device("cuda:0"))
    tensor = torch.randn(5, 3, 8, 6, device="cuda").contiguous(memory_format=torch.channels_last)
    array = bridge.to_jax(tensor)
    back = bridge.to_torch(array * 2)
    assert array.unsafe_buffer_pointer() == tensor.data_ptr()
    assert copies() == 0
    assert torch.equal(back, tensor * 2)
