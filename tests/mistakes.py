"""What people do wrong, each in a forked process: ``python tests/mistakes.py [--only WORD] [--quick]``.

A mistake ends with an exit code other than 0 and one line on standard error, of at most 300 characters and without a
traceback; it says what it is about. What looks like a mistake and is to work ends with 0. Everything is imported before
the first fork, so that each costs little.
"""

import argparse
import os
import re
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
import yaml
from tiny import write_config

from lightning_gantk import cli  # what the command would import on the way, once for all
from lightning_gantk.command.main import main as gantk

_LONGEST = 300  # characters
_PATIENCE = 120  # seconds


@dataclass(frozen=True)
class Mistake:
    """A command, what it is run among, and what is to be said.

    Attributes:
        words: After ``gantk``; ``fit`` with the tiny configuration where they begin with a dash.
        says: A pattern of the one line on standard error; "" where the command is to work.
        files: Texts by name, written before.
        quick: Whether it is in the quick subset.
    """

    words: str
    says: str
    files: dict[str, str] = field(default_factory=dict)
    quick: bool = False

    @property
    def args(self) -> list[str]:
        words = self.words.split()
        alone = words and (words[0] in ("--help", "--version") or not words[0].startswith("-"))
        return words if alone else ["fit", "--config", "tiny.yaml", *words]


def _yaml(**sections: object) -> dict[str, str]:
    return {"wrong.yaml": yaml.safe_dump(sections)}


_WRONG = "--config wrong.yaml"
_MODEL = "--model.generator.init_args"
_SCORE = "lightning_gantk.discriminators.DenoiserScore"
_NTK = {
    "ntk.yaml": yaml.safe_dump(
        {
            "model": {
                "discriminator": {
                    "class_path": "lightning_gantk.discriminators.NTKDiscriminator",
                    "init_args": {
                        "architecture": {"class_path": "lightning_gantk.architectures.DCGAN"},
                        "loss": "lightning_gantk.losses.IPM",
                    },
                }
            }
        }
    )
}
_OWN = "from lightning_gantk.losses import AdversarialLoss\n{}\n"

_KERNEL = "--model.discriminator.init_args.architecture null --model.discriminator.init_args.kernel"
_OWN_KERNEL = {
    **_NTK,
    "own.py": """
import torch
import jax.numpy as jnp
from lightning_gantk.kernels import Kernel
def apart(x, y):
    return ((x.reshape(len(x), 1, -1) - y.reshape(1, len(y), -1)) ** 2).sum(-1)
class Rooted(Kernel):
    def __call__(self, x, y): return jnp.exp(-jnp.sqrt(apart(x, y)) ** 2)
class Torch(Kernel):
    def __call__(self, x, y): return torch.exp(-apart(x, y))
class Turned(Kernel):
    def __call__(self, x, y): return jnp.exp(-apart(y, x))
""",
}

MISTAKES = [
    # Words
    Mistake("fti", "no command 'fti'; did you mean fit", quick=True),
    Mistake("--trainer.max_step 3", "no key 'trainer.max_step'; did you mean trainer.max_steps", quick=True),
    Mistake("--trainr.max_steps 3", "no key 'trainr'?.*trainer", quick=True),
    Mistake("--model.statistics_evry 3", "no key 'model.statistics_evry'; did you mean model.statistics_every"),
    Mistake("--trainer.max_steps=", "trainer.max_steps"),
    Mistake("--trainer.max_steps", "trainer.max_steps"),
    Mistake("fit", "required: model.generator, model.discriminator, data"),
    Mistake("fit tiny.yaml", "tiny.yaml.*--config", quick=True),
    Mistake("fit --config", "--config.*(file|argument)", quick=True),
    Mistake("fit --config nowhere.yaml", "no (file|config).*nowhere.yaml", quick=True),
    Mistake("fit --config quickstar", "quickstar.*did you mean quickstart", quick=True),
    Mistake("fit --config .", "a folder", quick=True),
    Mistake("doctor --hurry", "hurry", quick=True),
    Mistake("init nowhere", "no folder.*nowhere", quick=True),
    Mistake("init empty", "no picture", {"empty/readme.txt": "nothing"}),
    # YAML
    Mistake(_WRONG, "wrong.yaml, line 1", {"wrong.yaml": "trainer: ["}, quick=True),
    Mistake(_WRONG, "wrong.yaml, line 2", {"wrong.yaml": "trainer:\n\tmax_steps: 3\n"}),
    Mistake(_WRONG, "wrong.yaml.*no text", {"wrong.yaml": "\x00\x01\x02"}, quick=True),
    Mistake("--config bytes.yaml", "bytes.yaml.*no text", quick=True),
    Mistake(_WRONG, "wrong.yaml.*(mapping|keys)", {"wrong.yaml": "- 1\n- 2\n"}, quick=True),
    Mistake(_WRONG, "wrong.yaml.*(mapping|keys)", {"wrong.yaml": "hello"}),
    Mistake(_WRONG, "", {"wrong.yaml": ""}),
    Mistake(_WRONG, "wrong.yaml.*no key 'trainer.max_stps'", {"wrong.yaml": "trainer: {max_stps: 3}"}, quick=True),
    Mistake(_WRONG, "wrong.yaml.*no key 'trainr'.*trainer", {"wrong.yaml": "trainr: {max_steps: 3}"}),
    Mistake(_WRONG, "wrong.yaml.*twice", {"wrong.yaml": "name: a\nname: b\n"}, quick=True),
    Mistake(
        _WRONG, "wrong.yaml, line 1", {"wrong.yaml": "data: !!python/object/apply:os.system ['false']"}, quick=True
    ),
    # Numbers
    Mistake("--model.optimizer.init_args.lr -1", "learning rate: -1", quick=True),
    Mistake("--model.optimizer.init_args.lr .nan", "learning rate: nan", quick=True),
    Mistake("--model.optimizer.init_args.lr 0", ""),
    Mistake("--model.optimizer.init_args.lr x", "lr: expected a number, got x"),
    Mistake("--model.optimizer.init_args.betas [2,3]", "(?i)beta"),
    Mistake("--trainer.val_check_interval 0", "val_check_interval.*0", quick=True),
    Mistake("--trainer.val_check_interval -1", "val_check_interval"),
    Mistake("--trainer.val_check_interval 1.5", "val_check_interval"),
    Mistake("--trainer.accumulate_grad_batches 0", "accumulate_grad_batches.*0", quick=True),
    Mistake("--trainer.accumulate_grad_batches -1", "accumulate_grad_batches"),
    Mistake("--trainer.max_steps -5", "max_steps"),
    Mistake("--trainer.log_every_n_steps -1", "log_every_n_steps"),
    Mistake("--trainer.gradient_clip_val -1", "gradient_clip_val"),
    Mistake("--trainer.limit_val_batches -1", "limit_val_batches"),
    Mistake("--trainer.precision 7", "precision"),
    Mistake("--trainer.accelerator warp", "accelerator"),
    Mistake("--trainer.devices 0", "devices"),
    Mistake("--trainer.devices none", "devices"),
    Mistake("--trainer.strategy warp", "strategy"),
    Mistake("--seed_everything -1", "seed_everything.*-1", quick=True),
    Mistake("--seed_everything 99999999999999", "seed_everything"),
    Mistake("--seed_everything x", "seed_everything"),
    Mistake(f"{_MODEL}.channels 0", "channels.*0"),
    Mistake(f"{_MODEL}.channels x", r"channels.*int.*x"),
    Mistake(f"{_MODEL}.latent_dim -3", "latent_dim.*-3"),
    Mistake(f"{_MODEL}.out_shape [1,30,30]", "multiples of 4"),
    Mistake(f"{_MODEL}.out_shape [8,8]", "out_shape|multiples"),
    Mistake(f"{_MODEL}.out_shape [1,8,12]", r"out_shape to \[1, 8, 8\]"),
    Mistake("--data.init_args.batch_size 43", "batch_size=43"),
    Mistake("--data.init_args.batch_size 0", "batch_size.*0"),
    Mistake("--data.init_args.batch_size 2.5", "batch_size.*2.5"),
    Mistake("--model.ema_decay 2", "ema_decay.*2"),
    Mistake("--model.latents shard", "latents.*shard"),
    Mistake("--model.fake_batch_size 0", "fake_batch_size.*0"),
    Mistake("--sample_grid.every_n_steps 0", "every_n_steps"),
    Mistake("--last_checkpoint.every_n_steps 0", "every_n_steps"),
    Mistake("--best_checkpoint.mode lowest", "mode.*lowest"),
    # Classes
    Mistake("--model.generator lightning_gantk.generators.DCGANGenerater", "did you mean .*DCGANGenerator"),
    Mistake("--model.generator MLPGen", "no class 'MLPGen'; did you mean .*MLPGenerator"),
    Mistake(
        "--model.generator no.such.Thing",
        "there is no module 'no' for no.such.Thing: no.py lies neither in this folder",
    ),
    Mistake(f"{_MODEL}.chanels 3", "no option 'chanels'; did you mean channels"),
    Mistake("--model.discriminator.init_args.loss LSGN", "no class 'LSGN'; did you mean .*LSGAN"),
    Mistake("--model.optimizer torch.optim.SGD --model.optimizer.init_args.lr .nan", "learning rate.*nan"),
    Mistake("--model.optimizer torch.optim.LBFGS", "LBFGS"),
    Mistake("--model.optimizer torch.nn.Linear", "Linear.*(?i:optimi[sz]er)"),
    Mistake("--model.quality lightning_gantk.metrics.LeNetFeatures", "LeNetFeatures.*Quality"),
    Mistake("--model.quality torchmetrics.image.fid.FrechetInceptionDistance", "TorchMetric"),
    Mistake("--model.generator torch.nn.Linear", "Linear.*Generator"),
    Mistake("--data Nothing", "no class 'Nothing'"),
    Mistake(
        "--model.discriminator.init_args.loss losses.LSGAN", "no module 'losses' .*mean lightning_gantk.losses.LSGAN"
    ),
    Mistake(
        f"--model.discriminator {_SCORE} --model.discriminator.init_args.network own.Timeless",
        r"own.Timeless is no TimedNetwork: its forward\(x, time\) must take samples",
        {"own.py": "import torch\nclass Timeless(torch.nn.Module):\n    def forward(self, x): return x"},
    ),
    Mistake(
        f"--model.discriminator {_SCORE} --model.discriminator lightning_gantk.discriminators.FiniteDiscriminator",
        "required: architecture, loss: .* no architecture to keep.*init_args.architecture lightning_gantk",
    ),
    Mistake(
        "--model.discriminator.init_args.loss MonoFlow --model.discriminator.init_args.loss.h arcsin",
        "expected 'logit' or 'ns' or .*function's import path, got arcsin; did you mean 'arcsinh'",
    ),
    Mistake(
        "--model.discriminator.init_args.loss MonoFlow --model.discriminator.init_args.loss.h own.growin",
        "there is no function 'own.growin'; did you mean own.growing",
        {"own.py": "def growing(s): return s"},
    ),
    Mistake(
        "--model.generator own.MyGen",
        "no class 'own.MyGen'; did you mean own.MyGenerator",
        {"own.py": "class MyGenerator: pass"},
    ),
    Mistake(
        "--model.generator own_fle.MyGenerator",
        "no module 'own_fle' .*; did you mean own_file.MyGenerator",
        {"own_file.py": "class MyGenerator: pass"},
    ),
    Mistake(
        "fit --config systems/discriminator_flow/five_gaussians --model.generator MLPGenerator",
        "DiscriminatorFlow has no generator .system GAN has., but eta, .*network",
    ),
    Mistake(
        "--model.discriminator.init_args.loss own.Broken", "ZeroDivisionError in .*own.py, line 1", {"own.py": "1 / 0"}
    ),
    Mistake(
        "--model.discriminator.init_args.loss own.Broken", "own.*nowhere_to_be", {"own.py": "import nowhere_to_be"}
    ),
    Mistake("--model.discriminator.init_args.loss own.Broken", "own.py.*line 1", {"own.py": "def ("}),
    Mistake("--model.discriminator.init_args.loss own.Missing", "own.*Missing", {"own.py": "x = 1"}),
    Mistake(
        "--model.discriminator.init_args.loss own.Unfinished",
        "Unfinished.*does not implement b, c",
        {"own.py": _OWN.format("class Unfinished(AdversarialLoss):\n    def a(self, s): return s")},
    ),
    Mistake(
        "--model.discriminator.init_args.loss own.Fails",
        "own.py.*line 4: division",
        {
            "own.py": _OWN.format(
                "class Fails(AdversarialLoss):\n    def __init__(self):\n        1 / 0\n"
                "    def a(self, s): return s\n    def b(self, s): return s\n    def c(self, s): return s"
            )
        },
    ),
    Mistake(
        "--model.discriminator.init_args.loss own.Quartic",
        "",
        {
            "own.py": _OWN.format(
                "class Quartic(AdversarialLoss):\n    def a(self, s): return -(1 + s) ** 4\n"
                "    def b(self, s): return (1 - s) ** 4\n    def c(self, s): return -s"
            )
        },
    ),
    # Callbacks and loggers
    Mistake(
        _WRONG,
        "nobody.*logs|val/nothing",
        _yaml(
            trainer={
                "callbacks": [
                    {"class_path": "lightning.pytorch.callbacks.EarlyStopping", "init_args": {"monitor": "val/nothing"}}
                ]
            }
        ),
    ),
    Mistake(
        _WRONG,
        "wandb|weights",
        _yaml(
            trainer={"logger": {"class_path": "lightning.pytorch.loggers.WandbLogger", "init_args": {"project": "x"}}}
        ),
    ),
    Mistake(_WRONG, "(?i)mlflow", _yaml(trainer={"logger": {"class_path": "lightning.pytorch.loggers.MLFlowLogger"}})),
    Mistake("--best_checkpoint.monitor val/nothing", "val/nothing.*val/fid"),
    # Folders and checkpoints
    Mistake("--name ../../evil", r"name.*\.\./\.\./evil", quick=True),
    Mistake("--name /tmp/evil", "name.*/tmp/evil", quick=True),
    Mistake("--trainer.default_root_dir tiny.yaml", "tiny.yaml.*(file|folder)", quick=True),
    Mistake("--trainer.default_root_dir tiny.yaml/runs", "tiny.yaml.*(file|folder)"),
    Mistake("--trainer.default_root_dir /proc/runs", "/proc/runs"),
    Mistake("--ckpt_path missing.ckpt", "no checkpoint missing.ckpt"),
    Mistake("--ckpt_path last", "no last checkpoint"),
    Mistake("--ckpt_path tiny.yaml", "tiny.yaml is no checkpoint"),
    Mistake("predict --config tiny.yaml", "predict needs a trained generator"),
    Mistake("test --config tiny.yaml", "test needs a trained generator"),
    Mistake("validate --config tiny.yaml", "validate needs a trained generator"),
    Mistake("predict --ckpt_path nothing.ckpt", "no checkpoint nothing.ckpt", quick=True),
    # Kernels
    Mistake("--config ntk.yaml --model.discriminator.init_args.architecture.init_args.blocks 6", "blocks", _NTK),
    Mistake("--config ntk.yaml --model.discriminator.init_args.architecture.init_args.blocks 0", "blocks", _NTK),
    Mistake("--config ntk.yaml --model.discriminator.init_args.architecture.init_args.activation rleu", "relu", _NTK),
    Mistake("--config ntk.yaml --model.discriminator.init_args.time -1", "time=-1", _NTK),
    Mistake("--config ntk.yaml --model.discriminator.init_args.dtype half", "dtype.*half", _NTK),
    Mistake("--config ntk.yaml --model.discriminator.init_args.width 3", "no option 'width'", _NTK),
    Mistake("--config ntk.yaml --model.discriminator.init_args.loss 3", "loss.*3", _NTK),
    Mistake(f"--config ntk.yaml {_KERNEL} own.Rooted", "derivative of Rooted is no number.*coincide", _OWN_KERNEL),
    Mistake(f"--config ntk.yaml {_KERNEL} own.Torch", "Torch fails on JAX arrays.*written in jax.numpy", _OWN_KERNEL),
    Mistake(f"--config ntk.yaml {_KERNEL} own.Turned", "Turned must give the Gram matrix", _OWN_KERNEL),
    # Other commands
    Mistake("compare run nothing.yaml", "no specification nothing.yaml", quick=True),
    Mistake("compare", "run.*status.*report|command", quick=True),
    Mistake("pictures", "score.*film|picture|kind", quick=True),
    Mistake("pictures scor --checkpoint x", "scor"),
    Mistake("pictures score --checkpoint x", "no checkpoint x"),
    Mistake("pictures score --chekpoint x", "no key 'chekpoint'; did you mean checkpoint"),
    Mistake("pictures influence --discriminator NTKDiscriminatr", "no class .*; did you mean .*NTKDiscriminator"),
    Mistake("pictures flow --checkpoint nothere.ckpt", "there is no checkpoint nothere.ckpt.$", quick=True),
    Mistake("pictures flow --checkpoint tiny.yaml", "tiny.yaml does not lie in a run's folder"),
    Mistake("pictures adequation --output x.txt", "x.txt"),
    Mistake("pictures film --run nowhere", "nowhere"),
    # What works
    Mistake("--trainer.fast_dev_run true", ""),
    Mistake("--trainer.max_steps 0", ""),
    Mistake("--trainer.max_epochs 1 --trainer.max_steps -1", ""),
    Mistake("--trainer.enable_checkpointing false --trainer.logger false", ""),
    Mistake("--version", "", quick=True),
    Mistake("--help", "", quick=True),
]


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str
    seconds: float

    def fault(self, mistake: Mistake) -> str:
        """What is wrong with it; empty where all is well."""
        if self.code < 0 or self.code > 128:
            return f"ended by a signal or out of time ({self.code})"
        if "Traceback" in self.err + self.out:
            return "a traceback"
        if not mistake.says:
            return "" if self.code == 0 else f"code {self.code}, and was to work"
        if self.code == 0:
            return "code 0"
        lines = self.err.splitlines()
        if len(lines) != 1 or len(lines[0]) > _LONGEST:
            return f"{len(lines)} lines, {max(map(len, lines), default=0)} characters"
        insides = re.search(r"NestedArg|functools\.partial|0x[0-9a-f]{6}|typing\.|<unicode string>|<class '", self.err)
        if insides:
            return f"shows our insides: {insides[0]}"
        return "" if re.search(mistake.says, lines[0]) else f"does not say {mistake.says!r}"


def make(mistake: Mistake) -> Outcome:
    """Runs it in a fork, in a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_config(folder / "tiny.yaml")
        (folder / "bytes.yaml").write_bytes(bytes(range(128, 256)))
        for path, text in mistake.files.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(text)
        begun = time.monotonic()
        pid = os.fork()
        if pid == 0:
            _become(mistake.args, folder)
        while (done := os.waitpid(pid, os.WNOHANG))[0] == 0:
            if time.monotonic() > begun + _PATIENCE:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)
        out, err = ((folder / f"{stream}.txt").read_text(errors="replace") for stream in ("out", "err"))
        return Outcome(os.waitstatus_to_exitcode(done[1]), out, err, time.monotonic() - begun)


def _become(args: list[str], folder: Path) -> None:
    code = 1
    try:
        os.chdir(folder)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        for number, stream in ((1, "out"), (2, "err")):
            os.dup2(os.open(folder / f"{stream}.txt", os.O_WRONLY | os.O_CREAT), number)
        torch.set_num_threads(1)
        sys.argv[:] = ["gantk", *args]
        gantk(args)
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
        if isinstance(left.code, str):
            print(left.code, file=sys.stderr)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="Mistakes whose words contain this.")
    parser.add_argument("--quick", action="store_true", help="The subset that imports and trains least.")
    options = parser.parse_args()
    assert cli  # imported for its weight
    chosen = [one for one in MISTAKES if options.only in one.words and (one.quick or not options.quick)]
    faults = 0
    for mistake in chosen:
        outcome = make(mistake)
        fault = outcome.fault(mistake)
        faults += bool(fault)
        shown = outcome.err.strip() if outcome.code or not fault else outcome.out.strip()
        print(f"{'WRONG' if fault else 'good '} {outcome.code:3d} {outcome.seconds:5.1f}s  {mistake.words}", flush=True)
        if fault:
            print(f"      {fault}\n      {shown[-1200:]}", flush=True)
        elif mistake.says:
            print(f"      {shown}", flush=True)
    print(f"{len(chosen) - faults} of {len(chosen)} are as they should be")
    return int(faults > 0 or not chosen)


if __name__ == "__main__":
    raise SystemExit(main())
