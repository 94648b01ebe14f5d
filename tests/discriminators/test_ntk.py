"""The infinitely wide discriminator from torch."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from lightning_gantk import bridge
from lightning_gantk.architectures import DCGAN, MLP, Transformed
from lightning_gantk.discriminators import FiniteDiscriminator, NTKDiscriminator
from lightning_gantk.discriminators.base import fitting_alone
from lightning_gantk.errors import ConfigError, TrainingDiverged
from lightning_gantk.kernels import RBF, Kernel, TransformedKernel
from lightning_gantk.kernels.distance import DistanceKernel, length
from lightning_gantk.losses import IPM, LSGAN, Hinge, Vanilla


def _gram(gamma, x, y):
    """The Gaussian kernel's matrix in numpy, float64."""
    x, y = (z.flatten(1).double().numpy() for z in (x, y))
    return np.exp(-gamma / x.shape[1] * ((x[:, None] - y[None]) ** 2).sum(-1))


def _batch(real=8, fake=6, shape=(3,), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(real, *shape, generator=generator) + 0.5, torch.randn(fake, *shape, generator=generator)


def test_ipm_scores_are_t_times_the_witness_and_the_objective_t_mmd_squared():
    real, fake = _batch()
    discriminator = NTKDiscriminator(RBF(gamma=2.0), IPM(), time=3.0)
    discriminator.fit(real, fake)
    x = torch.randn(5, 3)
    witness = _gram(2.0, x, fake).mean(1) - _gram(2.0, x, real).mean(1)
    np.testing.assert_allclose(discriminator(x).numpy(), 3.0 * witness, rtol=1e-5, atol=3e-6)
    statistics = discriminator.statistics(discriminator(real), discriminator(fake))
    blocks = _gram(2.0, fake, fake).mean() + _gram(2.0, real, real).mean() - 2 * _gram(2.0, fake, real).mean()
    assert statistics["mmd"].item() == pytest.approx(np.sqrt(blocks), rel=1e-5)
    assert statistics["objective"].item() == pytest.approx(3.0 * blocks, rel=1e-5)


@pytest.mark.parametrize("time", [0.3, 50.0])
def test_lsgan_is_the_matrix_exponential_to_the_letter(time):
    real, fake = _batch(real=7, fake=7)
    discriminator = NTKDiscriminator(RBF(gamma=2.0), LSGAN(), time=time, dtype="float64")
    discriminator.fit(real, fake)
    points = torch.cat([fake, real])
    values, vectors = np.linalg.eigh(_gram(2.0, points, points))
    rho = np.concatenate([-np.ones(7), np.ones(7)])
    decay = vectors @ ((1 - np.exp(-4 * time * values / 14)) * (vectors.T @ rho))  # (1 - exp(-4 t K / N)) rho
    found = discriminator(points.double())
    # rtol=1e-9 of the dual solve bounds the RKHS norm of the error, which bounds scores (k(x, x) = 1).
    np.testing.assert_allclose(found.numpy(), decay, atol=1e-7)


@pytest.mark.parametrize("loss", [IPM(), LSGAN(), Vanilla(), Hinge()], ids=repr)
def test_time_zero_scores_zero(loss):
    real, fake = _batch()
    discriminator = NTKDiscriminator(MLP(hidden_layers=1), loss, time=0.0)
    discriminator.fit(real, fake)
    assert (discriminator(fake) == 0).all()


def test_long_hinge_flow_separates_and_stops():
    """A strictly positive definite kernel lets the flow satisfy every margin, after which slopes are 0 for good."""
    real, fake = _batch()
    real = real + 3
    discriminator = NTKDiscriminator(RBF(gamma=20.0), Hinge(), time=100.0)
    discriminator.fit(real, fake)
    assert discriminator(real).min() > 1 - 1e-3
    assert discriminator(fake).max() < -1 + 1e-3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("arithmetic", ["float32", "float64"])
def test_scores_come_back_in_the_dtype_of_the_samples(dtype, arithmetic):
    real, fake = (batch.to(dtype) for batch in _batch())
    discriminator = NTKDiscriminator(MLP(hidden_layers=1), IPM(), dtype=arithmetic)
    discriminator.fit(real, fake)
    x = fake.requires_grad_()
    scores = discriminator(x)
    scores.sum().backward()
    assert scores.dtype == (dtype if dtype.itemsize > 2 else torch.float32)
    assert x.grad.dtype == dtype
    assert jax.numpy.ones(1).dtype == np.float32  # the switch to 64 bits was scoped


def test_gradient_is_that_of_the_scores_by_gradcheck():
    real, fake = (batch.double() for batch in _batch())
    discriminator = NTKDiscriminator(MLP(hidden_layers=2, activation="erf"), LSGAN(), dtype="float64")
    discriminator.fit(real, fake)
    x = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(discriminator, x)


def test_second_derivative_is_refused():
    real, fake = _batch()
    discriminator = NTKDiscriminator(MLP(hidden_layers=1), IPM())
    discriminator.fit(real, fake)
    x = fake.requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    with pytest.raises(NotImplementedError, match="once, not twice"):
        (gradient.norm() + x.sum()).backward()


@pytest.mark.parametrize(
    "architecture",
    [MLP(), MLP(activation="leaky_relu"), pytest.param(MLP(activation="abs"), marks=pytest.mark.slow)],
    ids=repr,
)
def test_gradient_at_a_training_point_is_the_symmetric_derivative(architecture):
    """The kink of k(x, p) at x = p contributes 0; central differences in float64 are the reference."""
    real, fake = (batch.double() for batch in _batch())
    discriminator = NTKDiscriminator(architecture, IPM(), dtype="float64")
    discriminator.fit(real, fake)
    step = 1e-4
    moves = step * torch.eye(3, dtype=torch.float64)
    differences = torch.stack(
        [(discriminator(fake + move) - discriminator(fake - move)) / (2 * step) for move in moves], dim=1
    )
    for dtype, relative in ((torch.float64, 1e-4), (torch.float32, 1e-3)):
        # 1e-4: the central difference of a smooth part of size 1 errs by step^2, and by the kink's own curvature, step.
        discriminator = NTKDiscriminator(architecture, IPM(), dtype=str(dtype).removeprefix("torch."))
        discriminator.fit(real.to(dtype), fake.to(dtype))
        x = fake.to(dtype, copy=True).requires_grad_()
        discriminator(x).sum().backward()
        assert (x.grad - differences).norm() <= relative * differences.norm()


def test_zero_input_gives_finite_scores_and_gradients():
    real, fake = _batch()
    fake[0] = 0
    for architecture in (MLP(b_std=None), MLP(), MLP(activation="erf", b_std=None)):
        discriminator = NTKDiscriminator(architecture, LSGAN())
        discriminator.fit(real, fake)
        x = fake.clone().requires_grad_()
        discriminator(x).sum().backward()
        assert torch.isfinite(x.grad).all()


_compilations: list[float] = []


def _note_compilation(event, duration, **_):
    if event == "/jax/core/compile/backend_compile_duration":
        _compilations.append(duration)


jax.monitoring.register_event_duration_secs_listener(_note_compilation)  # for good: older JAX cannot take it away


def _count_compilations(run):
    """Backend compilations while ``run`` runs."""
    before = len(_compilations)
    run()
    return len(_compilations) - before


@pytest.mark.parametrize("loss", [IPM(), LSGAN(), Vanilla()], ids=repr)
@pytest.mark.parametrize("shape", [(3,), (1, 6, 6)])
def test_steps_after_the_first_compile_nothing_ragged_batch_included(loss, shape):
    architecture = MLP(hidden_layers=1) if len(shape) == 1 else DCGAN(blocks=1)
    discriminator = NTKDiscriminator(architecture, loss)

    def step(real, fake, seed):
        real, fake = _batch(real, fake, shape, seed)
        discriminator.fit(real, fake)
        x = fake.requires_grad_()
        discriminator(x).sum().backward()

    assert _count_compilations(lambda: step(8, 6, 0)) > 0
    assert _count_compilations(lambda: [step(8, 6, 1), step(5, 6, 2), step(8, 3, 3), step(3, 4, 4)]) == 0


@pytest.mark.parametrize(("loss", "time"), [(IPM(), 1.0), (LSGAN(), 1.0), (Vanilla(), 1.0), (Hinge(), 50.0)], ids=repr)
def test_filling_of_a_ragged_batch_changes_nothing(loss, time):
    filled, exact = (NTKDiscriminator(MLP(hidden_layers=1), loss, time=time, dtype="float64") for _ in range(2))
    filled.fit(*_batch(8, 6))
    filled(torch.randn(9, 3))
    real, fake = _batch(5, 3, seed=1)
    x = torch.randn(4, 3, dtype=torch.float64)
    for discriminator in (filled, exact):
        discriminator.fit(real, fake)
    # The ODE solver may choose other steps beside filling: its tolerance, 1e-9 per step, times a few steps.
    torch.testing.assert_close(filled(x), exact(x), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("shape", [(5,), (1, 8, 8), (3, 8, 8)])
def test_training_step_copies_nothing_across_the_bridge(shape):
    discriminator = NTKDiscriminator(MLP(hidden_layers=1), LSGAN())
    before = bridge.copies()
    for seed in range(2):
        real, fake = _batch(8, 8, shape, seed)
        if len(shape) == 3:
            real, fake = (batch.contiguous(memory_format=torch.channels_last) for batch in (real, fake))
        discriminator.fit(real, fake)
        x = fake.requires_grad_()
        discriminator(x).sum().backward()
        discriminator(real)
    assert bridge.copies() == before


def test_fakes_that_were_fitted_cross_once_and_changed_ones_again(monkeypatch):
    crossed = []
    to_jax = bridge.to_jax
    monkeypatch.setattr(bridge, "to_jax", lambda tensor: crossed.append(tensor) or to_jax(tensor))
    real, fake = _batch()
    discriminator = NTKDiscriminator(RBF(gamma=2.0), IPM())
    discriminator.fit(real, fake.detach())
    fitted = discriminator(fake.requires_grad_()).detach()
    assert len(crossed) == 2
    with torch.no_grad():
        fake += 1
    moved = discriminator(fake).detach()
    assert len(crossed) == 3
    # Another program, without the gradient: some units in the last place of sums of size 1.
    torch.testing.assert_close(moved, discriminator(fake.detach().clone()), rtol=1e-6, atol=1e-7)
    assert not torch.allclose(moved, fitted)


@pytest.mark.parametrize("change", [lambda fake: fake.data.add_(1), lambda fake: fake.numpy().__iadd__(1)])
def test_fakes_that_were_changed_behind_torchs_back_have_scores_of_their_own(change):
    """No version counter of torch's tells of such a write."""
    real, fake = _batch()
    discriminator = NTKDiscriminator(RBF(gamma=2.0), IPM())
    discriminator.fit(real, fake)
    change(fake)
    expected = discriminator(fake.clone())
    # Sums in another order: some units in the last place.
    torch.testing.assert_close(discriminator(fake.requires_grad_()).detach(), expected, rtol=1e-6, atol=1e-7)


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """The path of a GPU, where streams keep the order: on the CPU DLPack itself waits."""
    monkeypatch.setattr(bridge, "by_streams", lambda device: True)
    monkeypatch.setattr(bridge, "_on_cpu", lambda array: False)
    monkeypatch.setattr(bridge, "follow", lambda array: array.__dlpack__())


@pytest.mark.parametrize("loss", [IPM(), LSGAN()], ids=repr)
def test_host_asks_for_no_value_in_a_step_on_a_gpu(loss, as_on_a_gpu, monkeypatch):
    real, fake = _batch()
    discriminator, plain = (NTKDiscriminator(RBF(gamma=2.0), loss) for _ in range(2))
    asked = []

    def watched(owner, name):
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *arguments: asked.append(name) or original(*arguments))

    for name in ("block_until_ready", "__bool__", "__float__", "__array__"):
        watched(type(jax.numpy.zeros(1)), name)
    for owner, name in ((torch.Tensor, "item"), (torch.Tensor, "__bool__"), (torch, "equal")):
        watched(owner, name)
    discriminator.fit(real, fake)
    scores = discriminator(fake.requires_grad_())
    scores.sum().backward()
    assert asked == []
    monkeypatch.undo()
    plain.fit(real, fake.detach())
    x = fake.detach().requires_grad_()
    expected = plain(x)
    expected.sum().backward()
    assert torch.equal(scores, expected) and torch.equal(fake.grad, x.grad)
    discriminator.check()


def test_fakes_changed_behind_torchs_back_on_a_gpu_have_no_scores(as_on_a_gpu):
    real, fake = _batch()
    discriminator = NTKDiscriminator(RBF(gamma=2.0), IPM())
    discriminator.fit(real, fake)
    x = fake.requires_grad_()
    with torch.no_grad():
        x += 1  # in its sight: scored as samples like any
    torch.testing.assert_close(discriminator(x), discriminator(x.clone()), rtol=0, atol=0)
    discriminator.fit(real, x.detach())
    x.data += 1
    assert discriminator(x).isnan().all()
    with pytest.raises(TrainingDiverged, match="written to before they were scored"):
        discriminator.check()


def test_solver_without_end_gives_no_numbers_on_a_gpu(as_on_a_gpu):
    real, fake = _batch()
    discriminator = NTKDiscriminator(RBF(gamma=2.0), LSGAN())
    discriminator.fit(real * float("nan"), fake)
    assert discriminator(fake).isnan().all()
    with pytest.raises(TrainingDiverged, match="was not solved to rtol"):
        discriminator.check()


def test_discriminator_that_was_pickled_or_copied_is_the_same():
    real, fake = _batch()
    for discriminator in (
        NTKDiscriminator(MLP(hidden_layers=1), LSGAN()),
        NTKDiscriminator(RBF(gamma=2.0), Vanilla(), dtype="float64", inertia=0.1),
    ):
        discriminator.fit(real, fake)
        for other in (pickle.loads(pickle.dumps(discriminator)), copy.deepcopy(discriminator)):
            other.fit(real, fake)
            assert torch.equal(other(real), discriminator(real))


def test_second_thread_that_fits_at_once_is_refused():
    real, fake = _batch()
    discriminator = NTKDiscriminator(MLP(hidden_layers=1), IPM())
    with fitting_alone(discriminator), pytest.raises(RuntimeError, match="Two threads fit one NTKDiscriminator"):
        discriminator.fit(real, fake)
    discriminator.fit(real, fake)


def test_any_callable_is_a_kernel():
    real, fake = _batch()
    linear = NTKDiscriminator(lambda x, y: x @ y.T, IPM())
    linear.fit(real, fake)
    x = torch.randn(4, 3)
    torch.testing.assert_close(linear(x), x @ (fake.mean(0) - real.mean(0)), rtol=1e-5, atol=1e-5)


class Rooted(Kernel):
    """A Gaussian kernel of a distance that is a root: NaN is JAX's derivative where samples coincide."""

    def __init__(self, root):
        self.root = root

    def __call__(self, x, y):
        return jnp.exp(-(self.root(jnp.sum((x[:, None] - y[None]) ** 2, -1)) ** 2))


class RootedOfDistance(DistanceKernel):
    def of_distance(self, v, q_x, q_y, dimensions):
        return jnp.exp(-jnp.sqrt(v))


@pytest.mark.parametrize(
    "kernel", [Rooted(jnp.sqrt), RootedOfDistance(), TransformedKernel(Rooted(jnp.sqrt))], ids=repr
)
def test_kernel_without_a_derivative_where_samples_coincide_is_refused(kernel):
    discriminator = NTKDiscriminator(kernel, IPM())
    for _ in range(2):  # the second time too
        with pytest.raises(ConfigError, match=r"derivative of .*Rooted.* coincide.*kernels.distance.length\(v\)"):
            discriminator.fit(*_batch())
    with pytest.raises(ConfigError, match="derivative of"):
        discriminator.gram(_batch()[0])


def test_kernel_whose_root_is_guarded_is_taken():
    real, fake = _batch()
    discriminator = NTKDiscriminator(Rooted(length), IPM())
    discriminator.fit(real, fake)
    x = fake.requires_grad_()
    discriminator(x).sum().backward()
    assert x.grad.isfinite().all()


def test_kernel_is_tried_once_for_a_shape_of_samples():
    calls = []

    def kernel(x, y):
        calls.append(x.shape)
        return x @ y.T

    discriminator = NTKDiscriminator(kernel, IPM())
    discriminator.fit(*_batch())
    first = len(calls)
    discriminator.fit(*_batch(seed=1))
    assert len(calls) == first > 0
    discriminator.fit(*_batch(1, 1, shape=(2,)))  # of a batch of one, too
    assert calls[-1][1:] == (2,)


def test_samples_that_are_no_numbers_are_not_laid_to_the_kernel():
    real, fake = _batch()
    discriminator = NTKDiscriminator(lambda x, y: jnp.exp(x @ y.T), IPM())
    discriminator.fit(real, fake * float("nan"))
    assert discriminator(fake).isnan().all()


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (lambda x, y: y @ x.T, r"Gram matrix \(N, M\).*of 2 and 3 samples it gives float32 \(3, 2\)"),
        (lambda x, y: jnp.sum(x) * jnp.sum(y), r"it gives float32 \(\)"),
        (lambda x, y: (x @ y.T > 0).astype(int), r"it gives int32 \(2, 3\)"),
        (lambda x, y: torch.ones(len(x), len(y)), "no array of JAX but a Tensor"),
        (lambda x, y: torch.exp(x @ y.T), "fails on JAX arrays .* TypeError: .*written in jax.numpy, without torch"),
        (lambda x, y: np.exp(x @ y.T), "fails on JAX arrays .* TracerArrayConversionError: .*without torch and numpy"),
        (lambda x: x, "fails on JAX arrays .* positional argument"),
        (lambda x, y: jnp.log(0 * x @ y.T), "of a sample with itself is -inf: it must be finite"),
    ],
)
def test_kernel_that_gives_no_gram_matrix_is_refused(kernel, message):
    with pytest.raises(ConfigError, match=message):
        NTKDiscriminator(kernel, IPM()).fit(*_batch())


@pytest.mark.parametrize("make", [lambda: NTKDiscriminator(RBF(), IPM()), lambda: FiniteDiscriminator(MLP(1), IPM())])
@pytest.mark.parametrize(
    "batch", [np.ones((3, 2)), [[1.0, 2.0]], torch.ones(3, 2).long()], ids=["array", "list", "int"]
)
def test_batches_that_are_no_tensors_of_numbers_are_refused(make, batch):
    with pytest.raises(ConfigError, match=r"'real' must be a torch tensor of floating.*torch.as_tensor\(samples\)"):
        make().fit(batch, batch)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: NTKDiscriminator(RBF, IPM()), r"such as RBF\(gamma=0.5\), got the class RBF: make one of it, RBF\("),
        (lambda: NTKDiscriminator(MLP, IPM()), "got the class MLP: make one of it"),
        (lambda: NTKDiscriminator(architecture=MLP, loss=IPM()), "got the class MLP: make one of it"),
        (lambda: NTKDiscriminator(RBF(), IPM), "got the class IPM: make one of it"),
        (lambda: FiniteDiscriminator(MLP, IPM()), "got the class MLP: make one of it"),
        (lambda: TransformedKernel(RBF), "TransformedKernel takes a kernel.*got the class RBF"),
        (lambda: Transformed(RBF()), r"Transformed takes an architecture, TransformedKernel a kernel; got RBF\("),
        (lambda: NTKDiscriminator(MLP(), IPM(), time="1"), "at least 0, got time='1'"),
        (lambda: NTKDiscriminator(MLP(), IPM(), rtol="1"), "'rtol' must lie between 0 and 1, got '1'"),
        (lambda: NTKDiscriminator(MLP(), IPM(), forget="1"), "'forget' must be above 0 .*, got '1'"),
        (lambda: NTKDiscriminator(MLP(), IPM(), flow="heavy"), "'flow' must be a GradientFlow .*got 'heavy'"),
        (lambda: NTKDiscriminator(MLP(), IPM(), initial=MLP()), "'initial' must be an InitialFunction"),
        (lambda: FiniteDiscriminator(MLP(), IPM(), initial=MLP()), "'initial' must be an InitialFunction"),
        (lambda: NTKDiscriminator(MLP(), IPM(), time=-1.0), "at least 0, got time=-1"),
        (lambda: NTKDiscriminator(MLP(), IPM(), time=float("nan")), "at least 0, got time=nan"),
        (lambda: NTKDiscriminator(MLP(), IPM(), time=None), "needs a training time"),
        (lambda: NTKDiscriminator(MLP(), IPM(), dtype="float16"), "'float32' or 'float64', got 'float16'"),
        (lambda: NTKDiscriminator(MLP(), IPM(), rtol=2.0), "'rtol' must lie between 0 and 1"),
        (lambda: NTKDiscriminator(MLP(), "ipm"), "'loss' must be an AdversarialLoss"),
        (lambda: NTKDiscriminator("mlp", IPM()), "'kernel' must be an architecture or a kernel"),
        (
            lambda: NTKDiscriminator(loss=IPM()),
            "either an architecture or a kernel.*got kernel=None, architecture=None",
        ),
        (lambda: NTKDiscriminator(MLP(), IPM(), architecture=MLP()), "either an architecture or a kernel.*give one"),
        (lambda: NTKDiscriminator(loss=IPM(), architecture=RBF(0.5)), "'architecture' must be.*is given as 'kernel'"),
        (lambda: NTKDiscriminator(MLP()), "'loss' must be an AdversarialLoss"),
        (lambda: NTKDiscriminator(MLP(), IPM())(torch.randn(2, 3)), "no scores before fit"),
        (lambda: NTKDiscriminator(DCGAN(), IPM()).fit(*_batch()), "DCGAN takes images"),
        (lambda: NTKDiscriminator(MLP(), IPM()).fit(torch.randn(3, 2), torch.randn(3, 4)), "one shape"),
        (lambda: NTKDiscriminator(MLP(), IPM()).fit(torch.randn(0, 2), torch.randn(3, 2)), "at least one sample"),
        (lambda: RBF(gamma=0.0), "'gamma' of RBF must be positive"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


def test_scores_of_another_shape_are_refused():
    discriminator = NTKDiscriminator(MLP(), IPM())
    discriminator.fit(*_batch())
    with pytest.raises(ConfigError, match=r"Expected samples of shape \(N, 3,\), got \(2, 4\)"):
        discriminator(torch.randn(2, 4))


def test_unsolved_flow_is_reported_not_returned():
    real, fake = _batch()
    discriminator = NTKDiscriminator(MLP(hidden_layers=1), Vanilla())
    with pytest.raises(TrainingDiverged, match="was not solved to rtol"):
        discriminator.fit(real * float("nan"), fake)
