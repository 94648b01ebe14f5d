"""The bridge on a GPU: who comes after whom, and whose memory is whose.

A kernel that takes long stands before each crossing: without an order the other library would read what was there
before. Everything is done once beforehand: the first use of a kernel loads it, and new memory is asked of the driver,
both of which wait for the device.
"""

import gc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from lightning_gantk import bridge
from lightning_gantk.architectures import DCGAN, MLP
from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.errors import TrainingDiverged
from lightning_gantk.kernels import RBF
from lightning_gantk.losses import IPM, LSGAN, Hinge, Vanilla

pytestmark = pytest.mark.gpu
SIZE = 2**22  # numbers, 16 MB


@pytest.fixture(autouse=True)
def _ready():
    bridge.prepare(torch.device("cuda", torch.cuda.current_device()))
    yield
    torch.cuda.synchronize()


def _busy():
    """Keeps torch's current stream busy for a quarter of a second or more (5e8 cycles at no more than 2 GHz)."""
    torch.cuda._sleep(500_000_000)


@jax.jit
def _sum_at_last(x, work):
    """The sum of x, read after matrix products that take long."""
    work = jax.lax.fori_loop(0, 60, lambda _, w: jnp.tanh(w @ work), work)
    return jnp.sum(x * (1 + 0 * jnp.sum(work)))


@pytest.fixture
def work():
    there = bridge.to_jax(torch.full((6144, 6144), 1e-4, device="cuda"))
    _sum_at_last(bridge.to_jax(torch.zeros(SIZE, device="cuda")), there).block_until_ready()
    return there


@pytest.mark.parametrize("side", [False, True], ids=["default-stream", "side-stream"])
def test_jax_waits_for_what_torch_has_still_to_write(side):
    total = jax.jit(jnp.sum)
    x = torch.zeros(SIZE, device="cuda")
    total(bridge.to_jax(x)).block_until_ready()
    with torch.cuda.stream(torch.cuda.Stream() if side else torch.cuda.current_stream()):
        torch.cuda.current_stream().wait_stream(torch.cuda.default_stream())
        _busy()
        x.fill_(3.0)
        found = total(bridge.to_jax(x))
        assert not torch.cuda.current_stream().query()  # torch was not waited for by the host
    assert float(found) == 3.0 * SIZE


def test_torch_waits_for_what_jax_has_still_to_compute(work):
    x = bridge.to_jax(torch.ones(SIZE, device="cuda"))
    kept = []
    for _ in range(2):
        torch.cuda.synchronize()
        found = _sum_at_last(x, work)
        kept.append(bridge.to_torch(found) * 2)
        waited = found.is_ready()
        assert kept[-1].item() == 2.0 * SIZE
    assert not waited  # the host has not


def test_memory_of_torchs_may_change_once_jax_is_followed(work):
    x = torch.ones(SIZE, device="cuda")
    torch.cuda.synchronize()
    found = _sum_at_last(bridge.to_jax(x), work)
    bridge.follow(found)
    x.fill_(7.0)
    assert not found.is_ready()
    assert float(found) == SIZE


def test_memory_that_torch_has_dropped_is_not_jaxs_before_torch_has_read_it():
    made = jax.jit(lambda value: jnp.full((SIZE,), value))
    for value in (1.0, 2.0):
        made(value).block_until_ready()
    in_time = []
    for _ in range(5):
        tensor = bridge.to_torch(made(1.0))
        place = tensor.data_ptr()
        _busy()
        copy = tensor.clone()
        del tensor
        gc.collect()
        others = [made(2.0) for _ in range(4)]
        jax.block_until_ready(others)
        in_time.append(not torch.cuda.current_stream().query())  # torch has still to read
        if in_time[-1]:
            assert place not in {other.unsafe_buffer_pointer() for other in others}
        assert copy.sum().item() == SIZE
        del others
    assert any(in_time[1:])  # or nothing was tried
    bridge.to_jax(torch.zeros(4, device="cuda"))
    assert not bridge._dropped  # and JAX has it back


def test_address_that_vectors_cannot_be_loaded_from_is_copied():
    points = torch.arange(66.0, device="cuda").reshape(33, 2)
    for first, copies in ((1, 1), (2, 0)):  # 8 and 16 bytes after an aligned address
        before = bridge.copies()
        array = bridge.to_jax(points[first:])
        assert bridge.copies() - before == copies
        np.testing.assert_array_equal(np.asarray(array), points[first:].cpu().numpy())


def test_second_gpu_is_served_or_refused():
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    if len(jax.devices("cuda")) < 2:
        from lightning_gantk.errors import ConfigError

        with pytest.raises(ConfigError, match="Each process takes one GPU"):
            bridge.prepare(torch.device("cuda:1"))
        return
    tensor = torch.arange(8.0, device="cuda:1")
    array = bridge.to_jax(tensor)
    assert array.unsafe_buffer_pointer() == tensor.data_ptr()
    assert torch.equal(bridge.to_torch(array * 2), tensor * 2)


def _batch(shape, device, count=24):
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(count, *shape, generator=generator) + 0.5, torch.randn(count, *shape, generator=generator)
    if len(shape) == 3:
        real, fake = (batch.contiguous(memory_format=torch.channels_last) for batch in (real, fake))
    return real.to(device), fake.to(device)


def _step(discriminator, real, fake):
    discriminator.fit(real, fake.detach())
    x = fake.detach().requires_grad_()
    scores = discriminator(x)
    scores.sum().backward()
    return scores.detach(), x.grad


@pytest.mark.parametrize("loss", [IPM(), LSGAN(), Vanilla(), Hinge()], ids=repr)
@pytest.mark.parametrize(
    ("kernel", "shape"),
    [(RBF(gamma=2.0), (3,)), (MLP(hidden_layers=2), (40,)), (DCGAN(blocks=2), (3, 16, 16))],
    ids=["RBF", "MLP", "DCGAN"],
)
def test_scores_and_gradients_are_those_of_the_cpu_in_float64(kernel, shape, loss):
    wide = [batch.double() for batch in _batch(shape, "cpu")]
    truth, slope = _step(NTKDiscriminator(kernel, loss, dtype="float64"), *wide)
    discriminator = NTKDiscriminator(kernel, loss)
    before = bridge.copies()
    scores, gradient = _step(discriminator, *_batch(shape, "cuda"))
    assert bridge.copies() == before
    discriminator.check()
    # What the discriminator itself warns of in float32: 1e-4 of scores, 1e-2 of gradients; here a tenth of that.
    assert (scores.cpu() - truth).abs().max() < 1e-5 * max(1.0, truth.abs().max())
    assert (gradient.cpu() - slope).norm() < 1e-3 * slope.norm()


@pytest.mark.parametrize("loss", [IPM(), LSGAN()], ids=repr)
def test_host_waits_for_nothing_in_a_step(loss, monkeypatch):
    discriminator = NTKDiscriminator(MLP(hidden_layers=2), loss)
    real, fake = _batch((40,), "cuda")
    first = [result.clone() for result in _step(discriminator, real, fake)]
    torch.cuda.synchronize()

    def refuse(*_):
        raise AssertionError("the host waits for JAX")

    kind = type(jnp.zeros(1))
    for name in ("block_until_ready", "__bool__", "__float__", "__array__"):
        monkeypatch.setattr(kind, name, refuse)
    torch.cuda.set_sync_debug_mode("error")
    try:
        with jax.transfer_guard_device_to_host("disallow"):
            again = _step(discriminator, real, fake)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    monkeypatch.undo()
    for one, other in zip(first, again, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


def test_fakes_are_known_by_their_memory_and_checked_by_their_values():
    real, fake = _batch((3,), "cuda")
    discriminator = NTKDiscriminator(RBF(gamma=2.0), IPM())
    discriminator.fit(real, fake)
    x = fake.requires_grad_()
    assert discriminator._fitted.place_of(x, discriminator._trained) is not None
    assert discriminator._fitted.place_of(x.clone(), discriminator._trained) is None
    # Sums in another order: some units in the last place.
    torch.testing.assert_close(discriminator(x), discriminator(x.clone()), rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        x += 1  # in torch's sight
    torch.testing.assert_close(discriminator(x), discriminator(x.clone()), rtol=1e-5, atol=1e-6)
    discriminator.check()
    discriminator.fit(real, x.detach())
    x.data += 1  # behind its back
    assert discriminator(x).isnan().all()
    with pytest.raises(TrainingDiverged, match="written to before they were scored"):
        discriminator.check()


def test_solver_that_came_to_no_end_gives_no_numbers_and_says_so():
    real, fake = _batch((3,), "cuda")
    discriminator = NTKDiscriminator(RBF(gamma=2.0), LSGAN())
    discriminator.fit(real * float("nan"), fake)
    assert discriminator(fake).isnan().all()
    with pytest.raises(TrainingDiverged, match="was not solved to rtol"):
        discriminator.check()


def test_ragged_batch_is_filled_up_on_the_gpu_too():
    filled, exact = (NTKDiscriminator(RBF(gamma=2.0), LSGAN()) for _ in range(2))
    filled.fit(*_batch((3,), "cuda"))
    batch = _batch((3,), "cuda", count=17)
    for one, other in zip(_step(filled, *batch), _step(exact, *batch), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_batch_may_be_overwritten_as_soon_as_fit_returns():
    real, fake = _batch((40,), "cuda", count=1024)
    expected = NTKDiscriminator(MLP(hidden_layers=2), IPM())
    expected.fit(real.clone(), fake.clone())
    x = torch.randn(5, 40, device="cuda")
    truth = expected(x)
    discriminator = NTKDiscriminator(MLP(hidden_layers=2), IPM())
    discriminator.fit(real, fake)
    for _ in range(5):
        one, other = real.clone(), fake.clone()
        _busy()
        discriminator.fit(one, other)
        one.fill_(9.0)
        other.fill_(9.0)
        torch.testing.assert_close(discriminator(x), truth, rtol=1e-5, atol=1e-6)
