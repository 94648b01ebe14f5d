"""A stored run of particles: replayed to rounding, resumed, and refused where it cannot be."""

import pytest
import torch
import yaml
from refusals import refused
from tiny import TinyData, tiny_fit, tiny_trainer, write_config

from lightning_gantk import GAN
from lightning_gantk.architectures import MLP
from lightning_gantk.callbacks import LastCheckpoint, StoreFlow
from lightning_gantk.discriminators import FiniteDiscriminator, KDEScore, NTKDiscriminator, SingleLevelNTK
from lightning_gantk.errors import ConfigError
from lightning_gantk.flows import DiscriminatorFlow, TimedMLP
from lightning_gantk.generators import CoupledParticles, Particles, ReplayedFlow
from lightning_gantk.generators.stored_flow import FlowStep, StoredFlow
from lightning_gantk.kernels import RBF
from lightning_gantk.losses import IPM, Vanilla
from lightning_gantk.testing import GeneratorContract


def _kernel():
    return NTKDiscriminator(RBF(0.5), IPM(), check_every=0)


def _network():
    torch.manual_seed(3)
    return FiniteDiscriminator(MLP(1), Vanilla(), width=8, time=0.5)


def _gan(discriminator, lr=0.3, generator=None, updates="alternating", fakes=12, **optimizer):
    torch.manual_seed(0)
    return GAN(
        generator or Particles(12, noise=0.5, per_particle=True),
        discriminator,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=lr, **optimizer),
        fake_batch_size=fakes,
        updates=updates,
    )


def _start():
    torch.manual_seed(0)
    return Particles(12, noise=0.5).samples.detach()


@pytest.mark.parametrize("make", [_kernel, _network])
def test_start_of_the_particles_becomes_the_particles(make, tmp_path):
    discriminator = make()
    gan, _ = tiny_fit(tmp_path, StoreFlow(), gan=_gan(discriminator), trainer={"max_steps": 110})
    flow = ReplayedFlow(tmp_path / "flow", make())
    assert flow.steps == len(StoredFlow(tmp_path / "flow")) == 110
    moved = gan.generator.samples.detach()
    assert float((moved - _start()).norm()) > 0.1
    # The same float32 operations but for the last subtraction: an error of a rounding a step, which a contracting
    # flow does not amplify.
    torch.testing.assert_close(flow(_start()), moved, rtol=0, atol=110 * 1.2e-7 * 4)
    near = flow(_start() + 1e-4)
    assert float((near - moved).abs().max()) < 1e-2
    assert torch.equal(ReplayedFlow(tmp_path / "flow", make(), steps=0)(_start()), _start())


def test_a_resumed_run_is_stored_as_a_whole_one(tmp_path):
    callbacks = [StoreFlow(), LastCheckpoint(every_n_steps=1000)]
    _, first = tiny_fit(tmp_path, *callbacks, gan=_gan(_kernel()), trainer={"max_steps": 103})
    options = {"ckpt_path": LastCheckpoint.path(first), "trainer": {"max_steps": 106}}
    gan, _ = tiny_fit(tmp_path, StoreFlow(), gan=_gan(_kernel()), **options)
    assert len(StoredFlow(tmp_path / "flow")) == 106
    replayed = ReplayedFlow(tmp_path / "flow", _kernel())(_start())
    torch.testing.assert_close(replayed, gan.generator.samples.detach(), rtol=0, atol=106 * 1.2e-7 * 4)


@pytest.mark.parametrize("step", [0, 50])
def test_a_run_that_begins_again_drops_what_was_stored(step, tmp_path):
    flow = StoredFlow(tmp_path)
    flow.begin(0, {}, {})
    for number in range(250):
        flow.add(FlowStep(torch.zeros(2, 1), torch.full((3, 1), float(number)), 0.1))
    flow.flush()
    again = StoredFlow(tmp_path)
    again.begin(step, {}, {})
    assert len(StoredFlow(tmp_path)) == step
    again.add(FlowStep(torch.zeros(2, 1), torch.full((3, 1), -1.0), 0.1))
    again.flush()
    assert [float(one.fake[0]) for one in StoredFlow(tmp_path)] == [*map(float, range(step)), -1.0]


@pytest.mark.parametrize("start", ["normal", "uniform"])
def test_latents_are_drawn_as_the_start_of_the_particles_was(start, tmp_path):
    StoredFlow(tmp_path).begin(0, {"out_shape": [2], "start": start, "noise": 0.5}, {})
    torch.manual_seed(0)
    wanted = Particles(50, (2,), start=start, noise=0.5).samples.detach()
    torch.manual_seed(0)
    torch.testing.assert_close(ReplayedFlow(tmp_path, _kernel()).latent(50), wanted)


def test_rates_are_those_of_the_steps_of_a_whole_cloud(tmp_path):
    """The loss is a mean over 12 particles, and the rate decays."""
    torch.manual_seed(0)
    gan = _gan(_kernel(), lr=3.6, generator=Particles(12, noise=0.5))
    gan._make_scheduler = lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    gan, _ = tiny_fit(tmp_path, StoreFlow(), gan=gan, trainer={"max_steps": 10})
    rates = [step.rate for step in StoredFlow(tmp_path / "flow")]
    assert rates == pytest.approx([0.3 * 0.9**k for k in range(10)])
    moved = ReplayedFlow(tmp_path / "flow", _kernel())(_start())
    torch.testing.assert_close(moved, gan.generator.samples.detach(), rtol=0, atol=10 * 1.2e-7 * 4)


def test_reals_that_stay_are_stored_once(tmp_path):
    flow, real = StoredFlow(tmp_path), torch.randn(4, 2)
    flow.begin(0, {}, {})
    for k in range(5):
        flow.add(FlowStep(real if k < 3 else real + k, torch.full((2, 2), float(k)), 0.1 * k))
    flow.flush()
    assert len(list(tmp_path.glob("real_*.npy"))) == 3
    found = list(StoredFlow(tmp_path))
    assert [float(step.fake[0, 0]) for step in found] == [0, 1, 2, 3, 4]
    assert [step.rate for step in found] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert torch.equal(found[2].real, real) and torch.equal(found[4].real, real + 4)


@pytest.mark.parametrize(
    ("gan", "message"),
    [
        (lambda: _gan(_kernel(), generator=CoupledParticles(12)), "particles of their own"),
        (lambda: _gan(_kernel(), generator=Particles(12, (2,), classes=2)), "no classes"),
        (lambda: _gan(_kernel(), momentum=0.5), "without momentum"),
        (lambda: _gan(_kernel(), fakes=24), "set model.fake_batch_size to their number, 12; it is 24"),
        (lambda: _gan(_kernel(), fakes=None), "set model.fake_batch_size to their number, 12; it is 8"),  # of the data
        (lambda: _gan(_kernel(), fakes=4), "set model.fake_batch_size to their number, 12; it is 4"),
        (lambda: _gan(_kernel(), maximize=True), "without momentum, weight decay and maximize"),
        (lambda: _gan(_network(), updates="simultaneous"), "updates='alternating'"),
        (lambda: _gan(KDEScore(sigma_min=0.1, sigma_max=1.0)), "scores fakes as they are"),
        (lambda: _gan(SingleLevelNTK(RBF(0.5), time=1.0)), "scores fakes as they are"),
    ],
)
def test_runs_that_cannot_be_replayed_are_refused(gan, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        tiny_fit(tmp_path, StoreFlow(), gan=gan())
    assert not list(tmp_path.iterdir())


def test_another_system_is_refused(tmp_path):
    flow = DiscriminatorFlow(TimedMLP((2,), hidden=(4,), embedding=4), IPM(), (2,), steps=2)
    with pytest.raises(ConfigError, match="particles of their own"):
        tiny_trainer(tmp_path, StoreFlow()).fit(flow, datamodule=TinyData())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--model.fake_batch_size=12"], "it is Adam."),
        (["--model.optimizer=SGD"], "set model.fake_batch_size to their number, 12; it is 8."),
    ],
    ids=["Adam", "batch"],
)
def test_command_line_refuses_before_the_run_has_a_folder(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = write_config(tmp_path / "tiny.yaml")
    particles = ["Particles", "--model.generator.n=12", "--model.generator.out_shape=[1,8,8]"]
    args = ["fit", f"--config={path}", "--model.generator", *particles, "--trainer.callbacks+=StoreFlow", *words]
    assert says in refused(args, capsys)
    assert sorted(tmp_path.iterdir()) == [path]


def test_missing_and_given_starts_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no stored run of particles.*StoreFlow"):
        ReplayedFlow(tmp_path / "nowhere", _kernel())
    flow = StoredFlow(tmp_path)
    flow.begin(0, {"out_shape": [2], "start": "given", "noise": 0.0}, {})
    with pytest.raises(ConfigError, match="would name the run's discriminator: give 'discriminator'"):
        ReplayedFlow(tmp_path)
    with pytest.raises(ConfigError, match="'steps' must lie between 0 and the run's 0, got 3"):
        ReplayedFlow(tmp_path, _kernel(), steps=3)
    with pytest.raises(ConfigError, match="started from given samples"):
        ReplayedFlow(tmp_path, _kernel()).latent(3)


def test_discriminator_comes_from_the_run_s_configuration(tmp_path):
    flow = StoredFlow(tmp_path / "flow")
    flow.begin(0, {"out_shape": [2], "start": "normal", "noise": 1.0}, {})
    given = {"class_path": "lightning_gantk.discriminators.NTKDiscriminator"}
    kernel = {"class_path": "lightning_gantk.kernels.RBF", "init_args": {"gamma": 0.25}}
    given["init_args"] = {"kernel": kernel, "loss": {"class_path": "lightning_gantk.losses.IPM"}}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"model": {"discriminator": given}}))
    (found,) = ReplayedFlow(tmp_path / "flow")._pattern
    assert isinstance(found, NTKDiscriminator) and found.kernel.gamma == 0.25
    config.write_text(yaml.safe_dump({"model": {"discriminator": {"class_path": "subprocess.Popen"}}}))
    with pytest.raises(ConfigError, match=r"subprocess.Popen.*trusted=True"):
        ReplayedFlow(tmp_path / "flow")


class TestReplayedFlow(GeneratorContract):
    trained = False

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path):
        self.folder = tmp_path
        flow = StoredFlow(tmp_path)
        flow.begin(0, {"out_shape": [2], "start": "uniform", "noise": 2.0}, {})
        for _ in range(2):
            flow.add(FlowStep(torch.ones(3, 2), torch.zeros(4, 2), 0.1))
        flow.flush()

    def make(self):
        return ReplayedFlow(self.folder, _kernel())
