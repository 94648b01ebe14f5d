"""Pictures: what they show, what they refuse, that training does not notice them. (That they are fine to look at, is
for people to say.)
"""

import dataclasses

import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.quiver import Quiver
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny import TinyData, TinyDiscriminator, tiny_generator, tiny_trainer, write_config

from lightning_gantk import GAN
from lightning_gantk.architectures import DCGAN, MLP
from lightning_gantk.callbacks import ScorePictures
from lightning_gantk.cli import main
from lightning_gantk.command.pictures import main as draw
from lightning_gantk.discriminators import FiniteDiscriminator, KDEScore, NTKDiscriminator
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators import Particles
from lightning_gantk.kernels import RBF
from lightning_gantk.losses import IPM, LSGAN
from lightning_gantk.pictures import fields, film, influence, style
from lightning_gantk.pictures.adequation import adequation, comparison, fitted
from lightning_gantk.saved_run import load


class Linear(TinyDiscriminator):
    """The score 3 x_1 - x_2 + ..., whatever it is fitted to."""

    def fit(self, real, fake):
        self.weight = torch.tensor([3.0, -1.0])[: real[0].numel()]


def _samples(d=2, n=6):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, d, generator=generator) + 2, torch.randn(n, d, generator=generator)


def _linear(loss=None, d=2):
    discriminator = Linear(loss or IPM())
    discriminator.fit(*_samples(d))
    return discriminator


def test_score_field_has_the_values_at_their_places():
    field = fields.score_field(_linear(), (0.0, 1.0, 10.0, 12.0), like=torch.zeros(1), side=3)
    x, y = np.meshgrid([0, 0.5, 1], [10, 11, 12])
    np.testing.assert_allclose(field, 3 * x - y)


@pytest.mark.parametrize("loss", [IPM(), LSGAN()], ids=repr)
def test_pull_is_down_the_generators_loss_of_each_sample(loss):
    _, fake = _samples()
    scores = 3 * fake[:, :1] - fake[:, 1:]
    slope = 1 if isinstance(loss, IPM) else 2 * scores  # c(s) = s, or s^2
    expected = -slope * torch.tensor([[3.0, -1.0]])
    np.testing.assert_allclose(fields.pull(_linear(loss), fake), expected.expand(6, 2), rtol=1e-5)


def test_fields_that_are_compared_have_one_scale_around_zero():
    small, large = np.linspace(-1, 0.5, 50), np.linspace(0, 4, 50)
    norm = style.around_zero(small, large, share=1.0)
    assert (norm.vmin, norm.vmax) == (-4, 4)
    assert style.around_zero(np.zeros(3)).vmax > 0
    drawn = comparison(*_samples(), MLP(hidden_layers=1), IPM(), width=8)
    first, second = (ax.images[0] for ax in drawn.axes[:2])
    assert first.norm is second.norm
    assert [ax.get_title() for ax in drawn.axes[:2]] == ["width 8", "infinite width"]


def test_adequation_has_a_labelled_curve_for_each_width_and_infinity():
    real, fake = _samples(1)
    drawn = adequation(real, fake, MLP(hidden_layers=1), LSGAN(), widths=(4, 8))
    (legend,) = drawn.legends
    assert [text.get_text() for text in legend.get_texts()] == ["4", "8", r"$\infty$", "real", "generated"]
    (ax,) = drawn.axes
    assert ax.get_xlabel()
    assert ax.get_ylabel()
    shown = next(line for line in ax.get_lines() if line.get_label() == r"$\infty$")
    infinite = NTKDiscriminator(MLP(hidden_layers=1), LSGAN(), time=1.0)
    infinite.fit(real, fake)
    grid = torch.tensor(np.asarray(shown.get_xdata()), dtype=torch.float32)
    np.testing.assert_allclose(shown.get_ydata(), infinite(grid[:, None]), rtol=1e-5)


def test_finite_discriminators_of_a_picture_leave_the_random_numbers_alone():
    real, fake = _samples()
    before = torch.get_rng_state()
    one, other = (fitted(MLP(), IPM(), 8, real, fake, seed=seed) for seed in (0, 0))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(one(real), other(real))


@pytest.mark.parametrize("d", [1, 2])
def test_picture_of_samples_has_labelled_axes_and_all_points(d):
    real, fake = _samples(d)
    drawn = fields.samples_on_score(real, fake, _linear(d=d), title="step 3")
    ax = drawn.axes[0]
    assert ax.get_xlabel()
    assert ax.get_ylabel()
    assert drawn.get_figwidth() == style.COLUMN
    (left, right), found = ax.get_xlim(), torch.cat([real, fake])[:, 0]
    assert left < found.min()
    assert found.max() < right


@pytest.mark.parametrize("d", [1, 2])
def test_picture_has_no_arrows_where_fakes_follow_something_else(d):
    real, fake = torch.randn(5, d), torch.randn(6, d)
    for discriminator, arrows in ((KDEScore(1.0, 1.0), 0), (NTKDiscriminator(RBF(0.5), IPM()), 1)):
        discriminator.fit(real, fake)
        limits = (-1.0, 1.0, -50.0, 50.0)
        ax = fields.samples_on_score(real, fake, discriminator, limits=limits).axes[0]
        assert sum(isinstance(one, Quiver) for one in ax.collections) == arrows
        assert (*ax.get_xlim(), *ax.get_ylim()) == limits


def test_picture_refuses_what_it_cannot_show(tmp_path):
    with pytest.raises(ConfigError, match=r"samples of shape \(1,\) or \(2,\), got \(3,\)"):
        fields.samples_on_score(*_samples(3), _linear())
    with pytest.raises(ConfigError, match=r"shape \(1,\), got \(2,\)"):
        adequation(*_samples(2), MLP(), IPM())
    with pytest.raises(ConfigError, match=r"end in \.pdf, \.png, \.svg, got .*picture\.bmp"):
        style.save(style.figure(1), tmp_path / "picture.bmp")


@pytest.mark.parametrize("suffix", ["pdf", "png", "svg"])
def test_picture_is_saved_by_its_suffix(suffix, tmp_path):
    path = style.save(fields.samples_on_score(*_samples(), _linear()), tmp_path / "new" / f"picture.{suffix}")
    start = {"pdf": b"%PDF", "png": b"\x89PNG", "svg": b"<?xml"}[suffix]
    assert path.read_bytes().startswith(start)


# Influence of one point


def test_influence_of_an_rbf_kernel_is_its_gradient():
    """f(x) = k(x, fake) - k(x, real): at the fake the first has no slope, the second pulls towards the real point."""
    real, places = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 0.5], [2.0, 1.0]])
    found = influence._pulls(NTKDiscriminator(RBF(0.5), IPM(), dtype="float64"), real, places, torch.eye(2))
    away = real - places
    expected = 0.5 * torch.exp(-0.25 * (away**2).sum(1, keepdim=True)) * away
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_influence_shows_the_same_of_a_perceptron_in_any_dimension():
    ntk = NTKDiscriminator(MLP(hidden_layers=2, b_std=0.5), IPM(), dtype="float64")
    places = torch.tensor([[0.3, 0.5], [2.0, -1.0]])
    found = []
    for shape in ((2,), (50,)):
        plane = influence._plane(shape, seed=0)
        found.append(influence._pulls(ntk, influence._embedded(torch.tensor([[1.0, 0.0]]), plane), places, plane))
    np.testing.assert_allclose(*found, rtol=1e-4)


@pytest.mark.parametrize("reset", [True, False])
def test_influence_of_a_finite_discriminator_depends_on_the_place_alone(reset):
    finite = FiniteDiscriminator(MLP(hidden_layers=1), IPM(), width=4, reset=reset)
    real, places, plane = torch.tensor([[1.0, 0.0]]), torch.randn(3, 2), torch.eye(2)
    found = influence._pulls(finite, real, places, plane)
    np.testing.assert_allclose(influence._pulls(finite, real, places.flip(0), plane)[::-1], found, rtol=1e-5)


def test_influence_takes_images_and_finite_discriminators():
    panels = {
        "DCGAN": NTKDiscriminator(DCGAN(blocks=1), IPM()),
        "finite": FiniteDiscriminator(DCGAN(blocks=1), IPM(), width=2, reset=True),
    }
    drawn = influence.influence(panels, side=2, in_shape=(3, 4, 4))
    assert [ax.get_title().split(" ")[0] for ax in drawn.axes[:2]] == list(panels)
    assert len(drawn.axes) == 3  # one scale of colours


# Films


def _frames(folder, name="pictures", count=3):
    (folder / name).mkdir(parents=True)
    for k in range(count):
        Image.new("RGB", (31, 20), (80 * k, 0, 0)).save(folder / name / f"step_{k:06d}.png")


def test_film_shows_the_pictures_in_order(tmp_path):
    _frames(tmp_path)
    path = film.film(film.frames_of(tmp_path), tmp_path / "film.gif", frames_per_second=5)
    with Image.open(path) as found:
        assert (found.n_frames, found.size) == (3, (30, 20))
        reds = []
        for k in range(3):
            found.seek(k)
            reds.append(found.convert("RGB").getpixel((4, 4))[0])
    assert reds == sorted(reds)
    assert np.abs(np.array(reds) - [0, 80, 160]).max() < 8  # the palette


def test_film_of_images_is_made_of_their_grids(tmp_path):
    _frames(tmp_path, "samples")
    (tmp_path / "checkpoints").mkdir()
    assert len(film.frames_of(tmp_path / "checkpoints" / "last.ckpt")) == 3


def test_film_refuses_what_it_cannot_do(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="has left no pictures: train with the callback"):
        film.frames_of(tmp_path)
    _frames(tmp_path)
    for options, said in (({"width": 1}, "'width'"), ({"frames_per_second": 1e-5}, "between 0.01 and 1000")):
        with pytest.raises(ConfigError, match=said):
            film.film(film.frames_of(tmp_path), tmp_path / "film.gif", **options)
    with pytest.raises(ConfigError, match=r"must end in \.gif or \.mp4"):
        film.film(film.frames_of(tmp_path), tmp_path / "film.avi")
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ConfigError, match="needs the program ffmpeg"):
        film.film(film.frames_of(tmp_path), tmp_path / "film.mp4")


# While training


def _fit(folder, *callbacks, d=2, logger=None):
    torch.manual_seed(0)
    gan = GAN(Particles(8, (d,)), TinyDiscriminator())
    trainer = tiny_trainer(folder, *callbacks, max_steps=5, **({"logger": logger} if logger else {}))
    trainer.fit(gan, datamodule=TinyData((d,)))
    return gan, trainer


def test_pictures_are_drawn_at_the_start_at_the_interval_and_at_the_end(tmp_path):
    logger = TensorBoardLogger(tmp_path, "run", default_hp_metric=False)
    _fit(tmp_path, ScorePictures(every_n_steps=2, film="gif"), logger=logger)
    folder = tmp_path / "run" / "version_0" / "pictures"
    names = [f"step_{step:06d}.png" for step in (1, 2, 4, 5)]
    assert sorted(path.name for path in folder.iterdir()) == ["film.gif", *names]
    logger.finalize("success")
    events = EventAccumulator(logger.log_dir, size_guidance={"images": 0}).Reload()
    assert [image.step for image in events.Images("score")] == [1, 2, 4, 5]


def test_pictures_leave_training_alone(tmp_path):
    with_pictures, _ = _fit(tmp_path / "a", ScorePictures(every_n_steps=1))
    after = torch.rand(1)
    without, _ = _fit(tmp_path / "b")
    assert torch.equal(after, torch.rand(1))
    assert torch.equal(with_pictures.generator.samples, without.generator.samples)


@pytest.mark.parametrize("d", [1, 3])
def test_pictures_are_made_of_points_alone(d, tmp_path):
    _fit(tmp_path, ScorePictures(every_n_steps=5), d=d)
    assert (tmp_path / "pictures").exists() == (d == 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every_n_steps": 0}, "'every_n_steps' of the score pictures must be a whole number of at least 1, got 0"),
        ({"limits": [1, 0, 0, 1]}, "'limits' must be left, right"),
        ({"film": "avi"}, "'film' must be 'gif', 'mp4' or null, got 'avi'"),
    ],
)
def test_pictures_refuse_options_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        ScorePictures(**options)


# The command


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    model = {
        "generator": {"class_path": "lightning_gantk.generators.Particles", "init_args": {"n": 8, "out_shape": [2]}},
        "discriminator": {
            "class_path": "lightning_gantk.discriminators.NTKDiscriminator",
            "init_args": {
                "kernel": {"class_path": "lightning_gantk.architectures.MLP", "init_args": {"hidden_layers": 1}},
                "loss": "lightning_gantk.losses.LSGAN",
                "time": 2.0,
            },
        },
    }
    data = {"class_path": "tiny.TinyData", "init_args": {"shape": [2]}}
    main(["fit", f"--config={write_config(folder / 'run.yaml', model=model, data=data)}"])
    return folder / "runs" / "run" / "version_0" / "checkpoints" / "last.ckpt"


def test_run_is_set_up_again_from_its_checkpoint(checkpoint):
    with pytest.raises(ConfigError, match=r"names tiny\.TinyData.*add --trust true"):
        load(checkpoint)
    run = load(checkpoint, trusted=True)
    saved = torch.load(checkpoint, weights_only=True)["state_dict"]["generator.samples"]
    assert torch.equal(run.fake, saved)
    assert (run.step, run.real.shape) == (6, (8, 2))
    architecture, loss, time = run.description()
    assert (architecture.hidden_layers, repr(loss), time) == (1, repr(LSGAN()), 2.0)
    assert run.fitted()(run.fake).isfinite().all()
    more = NTKDiscriminator(MLP(1), IPM(), solution="ridge", ridge=0.5), NTKDiscriminator(MLP(1), IPM(), decay=0.1)
    for discriminator, said in zip(more, ("solution='ridge'", "decay"), strict=True):
        with pytest.raises(ConfigError, match=f"plain flow of a loss, and the run's discriminator has {said}"):
            dataclasses.replace(run, discriminator=discriminator).description()


@pytest.mark.parametrize("kind", ["score", "comparison", "influence"])
def test_command_draws_a_picture_of_a_checkpoint(kind, checkpoint, tmp_path):
    options = {"comparison": ["--width=4"], "influence": ["--side=3"]}.get(kind, [])
    draw(
        [
            kind,
            f"--checkpoint={checkpoint}",
            f"--output={tmp_path / 'picture.png'}",
            "--dpi=100",
            "--trust=true",
            *options,
        ]
    )
    with Image.open(tmp_path / "picture.png") as found:
        assert found.width == round(100 * style.COLUMN)


def test_command_takes_classes_by_name(tmp_path, capsys):
    options = ["--architecture=MLP", "--architecture.hidden_layers=1", "--loss=LSGAN", "--widths=[4]"]
    draw(["adequation", *options, f"--output={tmp_path / 'picture.pdf'}"])
    assert capsys.readouterr().out == f"picture      {tmp_path / 'picture.pdf'}\n"
    assert (tmp_path / "picture.pdf").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["score", "--checkpoint=nowhere/last.ckpt"], "there is no checkpoint nowhere/last.ckpt"),
        (["adequation", "--output=picture.bmp"], "must end in .pdf, .png, .svg"),
        (["comparison", "--limits=[1,0,0,1]"], "'limits' must be left"),
        (["score", "--checkpoint=last.ckpt"], "last.ckpt does not lie in a run's folder"),
        (["score", "--chekpoint=last.ckpt"], "there is no key 'chekpoint'; did you mean checkpoint"),
        (
            ["influence", "--discriminator=NTKDiscriminatr"],
            "discriminator: there is no class 'NTKDiscriminatr'; did you",
        ),
        (["film", "--run=nowhere"], "there is no run nowhere: give its folder"),
        (["film", "--run=."], "The run in . has left no pictures"),
        (["comparison", "--samples=0"], "'samples' must be a whole number of at least 1, got 0"),
        (["influence", "--side=1"], "'side' must be a whole number of at least 2, got 1"),
        (["influence", "--in_shape=[1]"], "at least two coordinates"),
    ],
)
def test_command_says_in_one_line_what_is_wrong(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "last.ckpt").touch()
    with pytest.raises(SystemExit) as stop:
        draw(words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_generators_without_particles_can_be_drawn(tmp_path):
    gan = GAN(tiny_generator(), TinyDiscriminator())
    tiny_trainer(tmp_path, ScorePictures(every_n_steps=3)).fit(gan, datamodule=TinyData())
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["step_000001.png", "step_000003.png"]
