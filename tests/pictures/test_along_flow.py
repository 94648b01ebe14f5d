"""Samples along a flow, and what is measured of them, by hand and by the command line."""

import pytest
import torch
from PIL import Image
from tiny import write_config
from torch import nn

from lightning_gantk.cli import main as train
from lightning_gantk.command.pictures import main
from lightning_gantk.errors import ConfigError
from lightning_gantk.flows import FlowGenerator
from lightning_gantk.losses import IPM
from lightning_gantk.metrics import PointQuality
from lightning_gantk.pictures.along_flow import along_flow, even, measured, samples_at


class Tilted(nn.Module):
    """``f(x, t)``, the sum of the coordinates."""

    def forward(self, x, time):
        return x.flatten(1).sum(1)


class Mean(PointQuality):
    def measure(self, real, fake):
        return {"gap": (real.mean() - fake.mean()).abs()}


def test_samples_and_measures_at_steps_by_hand():
    flow = FlowGenerator(Tilted(), IPM(), (2,), steps=4, eta=4.0, stop=1)  # IPM lowers f: by 1 in each step
    latent = torch.randn(700, 2)  # more than flow together
    samples = samples_at(flow, latent, [4, 0, 2, 2])
    assert list(samples) == [0, 2, 4]
    for step, those in samples.items():
        torch.testing.assert_close(those, latent - step)
    real = latent - 3
    found = measured(samples, real.split(100), Mean())
    assert {step: round(values["gap"], 4) for step, values in found.items()} == {0: 3.0, 2: 1.0, 4: 1.0}
    drawn = along_flow(samples, real, {step: values["gap"] for step, values in found.items()}, "gap")
    assert [ax.get_title() for ax in drawn.axes] == ["step 0", "step 2", "step 4", ""]
    assert len(along_flow(samples, real).axes) == 3


def test_places_are_even_and_have_both_ends():
    assert even(56, 5) == [0, 14, 28, 42, 56]
    assert even(3, 9) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: even(56, 1), "at least 2 places"),
        (lambda: samples_at(FlowGenerator(Tilted(), IPM(), (2,), steps=4), torch.zeros(1, 2), [5]), "between 0 and"),
        (lambda: along_flow({0: torch.zeros(2, 3)}, torch.zeros(2, 3)), "points in 2-D, or images"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize("shape", [[2], [1, 8, 8]], ids=["points", "images"])
def test_the_command_line_draws_a_run(tmp_path, monkeypatch, capsys, shape):
    monkeypatch.chdir(tmp_path)
    network = {"class_path": "lightning_gantk.flows.TimedMLP", "init_args": {"in_shape": shape, "hidden": [4]}}
    quality = {"class_path": "lightning_gantk.metrics.EnergyDistance"}
    model = {"network": network, "loss": "lightning_gantk.losses.Vanilla", "out_shape": shape, "steps": 3}
    data = {"class_path": "tiny.TinyData", "init_args": {"shape": shape}}
    path = write_config(tmp_path / "a.yaml", system="DiscriminatorFlow", model={**model, "quality": quality}, data=data)
    train(["fit", f"--config={path}", "--best_checkpoint.monitor=val/energy_distance"])
    (checkpoint,) = (tmp_path / "runs").rglob("last.ckpt")
    words = ["flow", f"--checkpoint={checkpoint}", "--output=flow.png", "--dpi=40", "--panels=2", "--trust=true"]
    main([*words, "--places=2"])
    told = capsys.readouterr().out
    assert "energy_distance" in told and "after 0" in told and "after 3" in told
    with Image.open("flow.png") as picture:
        assert min(picture.size) > 60
    with pytest.raises(SystemExit):
        main([*words, "--metric=fid"])
    assert "'metric' must be one of energy_distance, got 'fid'" in capsys.readouterr().err


def test_a_run_without_a_flow_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    train(["fit", f"--config={write_config(tmp_path / 'gan.yaml')}"])
    (checkpoint,) = (tmp_path / "runs").rglob("last.ckpt")
    with pytest.raises(SystemExit):
        main(["flow", f"--checkpoint={checkpoint}", "--trust=true"])
    assert "Only a run with 'system: DiscriminatorFlow' has a flow" in capsys.readouterr().err
