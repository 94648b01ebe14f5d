"""Mixed precision, accumulated gradients and a compiled generator, in both regimes."""

import shutil

import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from tiny import TinyData, tiny_trainer

from lightning_gantk.architectures import MLP
from lightning_gantk.callbacks import LastCheckpoint, SampleGrid
from lightning_gantk.discriminators import FiniteDiscriminator, InitialFunction, NTKDiscriminator
from lightning_gantk.gan import GAN
from lightning_gantk.generators import DCGANGenerator, MLPGenerator
from lightning_gantk.losses import LSGAN

REGIMES = ("ntk", "finite")


class Watcher(Callback):
    """What reaches the discriminator, and the generator's gradients at each step."""

    def __init__(self):
        self.fitted, self.scored, self.gradients = [], [], []

    def setup(self, trainer, gan, stage):
        fit, forward = gan.discriminator.fit, gan.discriminator.forward

        def watched_fit(real, fake):
            fit(real, fake)
            self.fitted.append((real.dtype, fake.dtype, len(real)))

        def watched_forward(x):
            self.scored.append((x.dtype, (scores := forward(x)).dtype))
            return scores

        gan.discriminator.fit, gan.discriminator.forward = watched_fit, watched_forward

    def on_before_optimizer_step(self, trainer, gan, optimizer):
        self.gradients.append(torch.cat([p.grad.flatten().clone() for p in gan.generator.parameters()]))


def _discriminator(regime, **options):
    architecture = MLP(hidden_layers=1)
    if regime == "ntk":
        return NTKDiscriminator(architecture, LSGAN(), **options)
    # A network that changes by little: the same one meets both batches of an accumulated step.
    return FiniteDiscriminator(architecture, LSGAN(), width=16, time=0.1, antisymmetric=False, **options)


def _fit(folder, regime, *callbacks, seed=0, images=False, data=None, initial=False, **options):
    seed_everything(seed)
    generator = DCGANGenerator((3, 8, 8), 4, 4) if images else MLPGenerator((2,), 3, (8,))
    gan_options = {key: options.pop(key) for key in ("compile_generator",) if key in options}
    f_0 = {"initial": InitialFunction(MLP(hidden_layers=1), width=32)} if initial else {}
    gan = GAN(generator, _discriminator(regime, **f_0), **gan_options, optimizer=lambda p: torch.optim.SGD(p, lr=0.1))
    watcher = Watcher()
    trainer = tiny_trainer(folder, watcher, *callbacks, **{"limit_val_batches": 0, "max_steps": 1, **options})
    trainer.fit(gan, datamodule=data or TinyData((3, 8, 8) if images else (2,), batch_size=8))
    return gan, watcher, trainer


@pytest.mark.parametrize("regime", REGIMES)
def test_mixed_precision_leaves_the_batch_and_the_scores_of_the_kernel_in_float32(regime, tmp_path):
    gan, watcher, _ = _fit(tmp_path, regime, images=True, precision="bf16-mixed", max_steps=2)
    assert watcher.fitted == 2 * [(torch.float32, torch.float32, 8)]
    taken, given = watcher.scored[0]
    assert taken == torch.float32
    assert given == (torch.float32 if regime == "ntk" else torch.bfloat16)
    assert all(parameter.dtype == torch.float32 for parameter in gan.parameters())
    assert all(parameter.isfinite().all() for parameter in gan.parameters())


@pytest.mark.parametrize("regime", REGIMES)
def test_mixed_precision_gives_the_gradient_but_for_rounding(regime, tmp_path):
    (_, full, _), (_, mixed, _) = (_fit(tmp_path, regime, precision=kind) for kind in ("32-true", "bf16-mixed"))
    (one,), (other,) = full.gradients, mixed.gradients
    assert not torch.equal(one, other)
    assert (one - other).norm() < 0.1 * one.norm()  # bfloat16 keeps 8 bits, through some ten operations


def test_mixed_precision_leaves_the_initial_function_in_float32(tmp_path):
    initial = InitialFunction(MLP(hidden_layers=1), width=32)
    x = torch.randn(5, 2)
    with torch.autocast("cpu", torch.bfloat16):
        within = initial(x)
    assert torch.equal(within, initial(x))
    _, watcher, _ = _fit(tmp_path, "ntk", initial=True, precision="bf16-mixed")
    assert watcher.scored[0] == (torch.float32, torch.float32)


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
def test_samples_can_be_drawn_from_latents_in_float32(precision, tmp_path):
    grid = SampleGrid(every_n_steps=1, num_samples=4)
    gan, _, _ = _fit(tmp_path, "finite", grid, images=True, precision=precision)
    assert grid.latest is not None
    assert gan.sample(torch.randn(3, 4)).isfinite().all()


@pytest.mark.parametrize("regime", REGIMES)
def test_accumulation_averages_the_gradients_of_batches_with_a_fit_each(regime, tmp_path):
    _, both, trainer = _fit(tmp_path, regime, accumulate_grad_batches=2)
    assert trainer.global_step == 1
    assert [size for *_, size in both.fitted] == [8, 8]
    _, whole, steps = _fit(tmp_path, regime, accumulate_grad_batches=1, max_steps=2)
    assert steps.global_step == 2
    assert len(whole.gradients) == 2 and len(both.gradients) == 1
    # The first batch is the same in both runs; what the second adds is found with the generator left in place.
    _, still, _ = _fit(tmp_path, regime, Still(), max_steps=2)
    expected = (still.gradients[0] + still.gradients[1]) / 2
    torch.testing.assert_close(both.gradients[0], expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(still.gradients[0], whole.gradients[0], rtol=0, atol=0)


class Still(Callback):
    """An optimizer that takes no step."""

    def on_train_start(self, trainer, gan):
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = 0.0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on the CPU")
def test_compiled_generator_makes_the_same_steps_and_checkpoints(tmp_path):
    plain, _, _ = _fit(tmp_path / "plain", "ntk", LastCheckpoint(), max_steps=2)
    compiled, _, _ = _fit(tmp_path / "compiled", "ntk", LastCheckpoint(), max_steps=2, compile_generator=True)
    assert compiled.generator._compiled_call_impl is not None and plain.generator._compiled_call_impl is None
    one, other = (
        torch.load(tmp_path / kind / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for kind in ("plain", "compiled")
    )
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-4, atol=1e-5, msg=name)
    again = GAN(MLPGenerator((2,), 3, (8,)), _discriminator("ntk"))
    again.load_state_dict(other)
