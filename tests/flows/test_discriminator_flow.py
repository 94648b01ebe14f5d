"""Discriminator Flow: its Euler steps by hand, where f is trained, a short run, the command line."""

import inspect
import math
import re

import pytest
import torch
from tiny import TinyData, TinyQuality, tiny_fit, write_config
from torch import nn

from lightning_gantk.callbacks import LastCheckpoint
from lightning_gantk.cli import main
from lightning_gantk.errors import ConfigError
from lightning_gantk.flows import DiscriminatorFlow, FlowGenerator, FourierTime, TimedDCGAN, TimedMLP
from lightning_gantk.losses import IPM, Vanilla
from lightning_gantk.testing import GeneratorContract
from lightning_gantk.testing.several import in_processes


class Slope(nn.Module):
    """``f(x, t) = t w.x + |x|^2 / 2``, in one parameter."""

    def __init__(self, w=2.0, curvature=0.0):
        super().__init__()
        self.w, self.curvature = nn.Parameter(torch.tensor(w)), curvature

    def forward(self, x, time):
        return time * self.w * x.sum(1) + self.curvature * x.square().sum(1) / 2


def _flow(network=None, loss=None, **options):
    torch.manual_seed(0)
    return DiscriminatorFlow(network or TimedMLP((2,), (16,), embedding=4), loss or Vanilla(), (2,), **options)


def test_euler_steps_by_hand():
    flow = FlowGenerator(Slope(), IPM(), (2,), steps=4, eta=8.0)
    # IPM lowers f: 4 steps of 8/4 along -2 t at t = 0, 1/4, 1/2, 3/4
    latent = torch.randn(5, 2)
    torch.testing.assert_close(flow(latent), latent - 2 * 2 * (0 + 0.25 + 0.5 + 0.75))
    assert torch.equal(FlowGenerator(Slope(), IPM(), (2,), steps=4, eta=8.0, stop=0)(latent), latent)
    early = FlowGenerator(Slope(), IPM(), (2,), steps=4, eta=8.0, stop=2)(latent)
    torch.testing.assert_close(early, latent - 2 * 2 * 0.25)
    bowl = FlowGenerator(Slope(0.0, 1.0), IPM(), (2,), steps=10, eta=2.0)
    torch.testing.assert_close(bowl(latent), latent * 0.8**10)


def test_noise_of_the_flow_has_its_size():
    torch.manual_seed(0)
    moved = FlowGenerator(Slope(0.0), IPM(), (2,), steps=7, noise=3.0)(torch.zeros(5000, 2))
    assert float(moved.var()) == pytest.approx(3, rel=5 * math.sqrt(2 / 10000))  # five standard errors


def test_start_has_mean_and_deviation():
    flow = FlowGenerator(Slope(), IPM(), (2,), start_mean=1.0, start_std=3.0)
    latent = flow.latent(5000, generator=torch.Generator().manual_seed(0))
    assert float(latent.mean()) == pytest.approx(1, abs=5 * 3 / 100)
    assert float(latent.std()) == pytest.approx(3, rel=5 / math.sqrt(20000))


def test_particles_are_kept_at_steps_of_their_own():
    flow = _flow(Slope(), IPM(), steps=4, eta=8.0, start_std=0.0)
    torch.manual_seed(1)
    fake, time = flow.particles(400)
    assert set(time.tolist()) == {0.0, 0.25, 0.5, 0.75}
    gone = {0.0: 0.0, 0.25: 0.0, 0.5: -1.0, 0.75: -3.0}
    expected = torch.tensor([gone[t] for t in time.tolist()])[:, None].expand(-1, 2)
    torch.testing.assert_close(fake, expected)


@pytest.mark.parametrize("at", ["real", "fake", "both"])
def test_gradient_penalty_is_added_to_the_loss(at, monkeypatch):
    """f = t w.x + |x|^2 / 2 has the gradient t w + x, w in both coordinates."""
    real, fake, time = torch.randn(6, 2), torch.randn(6, 2), torch.linspace(0, 1, 6)
    losses = []
    for weight in (0.0, 3.0):
        flow = _flow(Slope(2.0, 1.0), IPM(), gradient_penalty=weight, penalty_center=0.5, penalty_at=at)
        monkeypatch.setattr(flow, "log", lambda *args, **options: None)
        monkeypatch.setattr(flow, "particles", lambda n: (fake, time))
        losses.append(flow.training_step(real, 0))
    network = flow.sampler.network
    expected = network(real, time).mean() - network(fake, time).mean()  # each at the time of its own
    torch.testing.assert_close(losses[0], expected)
    places = {"real": real, "fake": fake, "both": torch.cat([real, fake])}[at]
    lengths = (places + 2 * time.repeat(len(places) // 6)[:, None]).norm(dim=1)
    torch.testing.assert_close(losses[1] - losses[0], 3 * ((lengths - 0.5) ** 2).mean())


def test_samples_that_have_arrived_are_left_out():
    seen = []

    class Counted(Slope):
        def forward(self, x, time):
            seen.append(len(x))
            return super().forward(x, time)

    flow = FlowGenerator(Counted(1.0, 0.5), IPM(), (2,), steps=5, eta=2.0)
    latent, steps = torch.randn(6, 2), torch.tensor([2, 0, 5, 1, 3, 2])
    found = flow.flow_each(latent, steps)
    assert seen == [5, 4, 2, 1, 1]
    alone = [flow.flow(one[None], int(count))[0] for one, count in zip(latent, steps, strict=True)]
    torch.testing.assert_close(found, torch.stack(alone))


def test_processes_take_parts_of_what_one_would_take():
    flow = _flow(steps=5)

    def work(rank):
        torch.manual_seed(1)
        return flow.particles(6)

    parts = zip(*in_processes(work), strict=True)
    torch.manual_seed(1)
    for found, whole in zip(parts, flow.particles(12), strict=True):
        torch.testing.assert_close(torch.cat(found), whole)


def test_processes_have_noise_of_their_own_and_go_on_alike():
    flow = FlowGenerator(Slope(0.0), IPM(), (2,), steps=7, noise=3.0)

    def work(rank):
        torch.manual_seed(1)
        return flow.flow_each(torch.zeros(4000, 2), torch.full((4000,), 3 + rank)), torch.rand(3)

    (one, after), (other, after_other) = in_processes(work)
    assert torch.equal(after, after_other)
    share = float((one * other).mean() / (one.std() * other.std()))
    assert abs(share) < 5 / math.sqrt(8000)  # five standard errors of a correlation of 0


def test_hyperparameters_are_all_that_are_no_objects():
    objects = {"network", "loss", "optimizer", "scheduler", "quality"}
    assert {*_flow().hparams} == {*inspect.signature(DiscriminatorFlow).parameters} - objects


def test_a_short_run_moves_the_samples_to_the_data(tmp_path):
    class Far(TinyData):
        def load(self):
            samples = torch.randn(200, 2, generator=torch.Generator().manual_seed(1)) * 0.3 + 2
            return samples[50:], samples[:50]

    flow = _flow(steps=12, eta=12.0, quality=TinyQuality(), optimizer=lambda p: torch.optim.Adam(p, lr=5e-3))
    tiny_fit(tmp_path, gan=flow, data=Far(batch_size=64), trainer={"max_steps": 200, "val_check_interval": 100})
    samples = flow.sample(flow.generator.latent(200))
    assert float((samples.mean(0) - 2).norm()) < 0.4 * math.sqrt(8)  # they start at 0


def test_a_resumed_run_goes_on_bit_for_bit(tmp_path):
    def run(folder, steps, **options):
        flow = _flow(steps=3, gradient_penalty=0.1, penalty_at="both", quality=TinyQuality())
        return flow, tiny_fit(folder, LastCheckpoint(), gan=flow, trainer={"max_steps": steps}, **options)[1]

    whole, _ = run(tmp_path / "whole", 6)
    _, first = run(tmp_path / "first", 3)
    resumed, _ = run(tmp_path / "second", 6, ckpt_path=LastCheckpoint.path(first))
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_command_line_trains_and_samples(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = {"class_path": "lightning_gantk.flows.TimedMLP", "init_args": {"hidden": [4], "embedding": 2}}
    quality = {"class_path": "tiny.TinyQuality"}
    model = {"network": network, "loss": "lightning_gantk.losses.Vanilla", "steps": 3, "quality": quality}
    data = {"class_path": "tiny.TinyData", "init_args": {"shape": [2]}}
    path = write_config(tmp_path / "flow.yaml", system="DiscriminatorFlow", model=model, data=data)
    command = main(["fit", f"--config={path}"])
    assert isinstance(command.model, DiscriminatorFlow)
    assert command.trainer.global_step == 6
    (checkpoint,) = (tmp_path / "runs").rglob("last.ckpt")
    words = [f"--config={path}", f"--ckpt_path={checkpoint}", "--save_predictions.num_samples=5"]
    again = main(["predict", *words, "--model.stop=1"])
    assert isinstance(again.model, DiscriminatorFlow)
    assert again.model.sampler.stop == 1  # of what is done with samples: the checkpoint's own does not come first
    assert list((tmp_path / "runs").rglob("samples.npz"))


def test_unknown_system_is_refused(tmp_path, capsys):
    path = write_config(tmp_path / "flow.yaml", system="Diffusion")
    with pytest.raises(SystemExit):
        main(["fit", f"--config={path}"])
    assert "'system' must be one of GAN, DiscriminatorFlow, got 'Diffusion'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: _flow(steps=0), "'steps' of the flow must be a whole number of at least 1"),
        (lambda: _flow(stop=57), "'stop' must lie between 0 and the flow's 56 steps"),
        (lambda: _flow(eta=-1.0), "'eta' of the flow must be a number of at least 0"),
        (lambda: _flow(gradient_penalty=-1.0), "'gradient_penalty' must be a number of at least 0"),
        (lambda: _flow(penalty_at="above"), "one of between, real, fake, both, got 'above'"),
        (lambda: FlowGenerator(0.5, IPM(), (2,)), "'network' must be a torch module"),
        (lambda: TimedMLP(hidden=()), "'hidden' must list positive"),
        (lambda: TimedMLP(embedding=3), "'embedding' must be an even number"),
        (lambda: TimedMLP(frequency=0.0), "'frequency' must be positive"),
        (lambda: TimedDCGAN(channels=0), "'channels' must be a whole number of at least 1, got 0"),
        (lambda: TimedDCGAN((1, 28, 28)), "multiples of 8, which 3 blocks halve; got (1, 28, 28)"),
        (lambda: TimedDCGAN((2,)), "'in_shape' must be (C, H, W)"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        make()


def test_features_of_time_are_sines_and_cosines():
    time = FourierTime(4)
    time.frequencies.copy_(torch.tensor([1.0, 0.5]))
    expected = torch.tensor([[0.0, 0, 1, 1], [1, math.sqrt(0.5), 0, math.sqrt(0.5)]])
    torch.testing.assert_close(time(torch.tensor([0.0, 0.25])), expected, rtol=0, atol=1e-6)  # float32


@pytest.mark.parametrize("network", [TimedMLP((1, 8, 8), (8,), embedding=4), TimedDCGAN((1, 8, 8), 2, blocks=2)])
def test_networks_score_each_sample_at_its_own_time(network):
    x, time = torch.randn(5, 1, 8, 8), torch.linspace(0, 1, 5)
    together = network(x, time)
    alone = torch.cat([network(one[None], t[None]) for one, t in zip(x, time, strict=True)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)  # float32, other places of a batch
    assert not torch.allclose(together, network(x, time.flip(0)), atol=1e-4)


class TestFlowGenerator(GeneratorContract):
    bounded, trained = False, False

    def make(self):
        return FlowGenerator(TimedMLP((3, 2, 2), (4,), embedding=2), Vanilla(), (3, 2, 2), steps=3, eta=1.0)
