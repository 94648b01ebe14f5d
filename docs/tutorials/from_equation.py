r"""From a paper's equation to a configuration.

A loss that the package does not have: Pearson's chi-squared, of f-GAN (Nowozin, Cseke and Tomioka, NeurIPS 2016). From
its equation to three functions, a check against the paper's own optimum, and a run that a configuration asks for. Run
it: `python docs/tutorials/from_equation.py`; as tests, `pytest docs/tutorials/from_equation.py`.

The paper's equation (6) is a value that the discriminator $V$ maximises and the generator minimises,

$$F = \mathrm{E}_{x \sim P}\, g_f(V(x)) - \mathrm{E}_{x \sim Q}\, f^*(g_f(V(x)))$$

with $P$ the data and $Q$ the generator. Its tables give $g_f(v) = v$ and $f^*(t) = t^2/4 + t$ for Pearson's divergence.
Here a loss is $L = \mathrm{mean}\, a(f(\mathrm{fake})) - \mathrm{mean}\, b(f(\mathrm{real}))$, maximised, and
$\mathrm{mean}\, c(f(\mathrm{fake}))$, minimised by the generator. So $b(s) = -s$ and $a(s) = -(s^2/4 + s)$; the
generator minimises $F$, of which only the second term is its own, so $c = a$.
"""

import argparse
from pathlib import Path

import torch

from lightning_gantk.command.main import main
from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.kernels import RBF
from lightning_gantk.losses import AdversarialLoss
from lightning_gantk.testing import LossContract


class Pearson(AdversarialLoss):
    """Pearson's chi-squared divergence in its variational form (f-GAN, NeurIPS 2016, equation 6 and table 6)."""

    slopes = "smooth"

    def a(self, scores):
        return -(scores**2 / 4 + scores)

    def b(self, scores):
        return -scores

    def c(self, scores):
        return self.a(scores)


# First the contract: slopes, both libraries, training in both regimes.
class TestPearson(LossContract):
    def make(self):
        return Pearson()


# Then the paper's own answer. Table 2 has the optimal discriminator, $T^* = f'(p/q) = 2 (p/q - 1)$. Take data that are
# at 0 three times out of four and at 1 else, and fakes that are at each half of the time: the optimum is 1 at 0
# and -1 at 1, and a kernel that can tell both places reaches it in a long time.
def check():
    real, fake = torch.tensor([[0.0], [0.0], [0.0], [1.0]]), torch.tensor([[0.0], [1.0]])
    discriminator = NTKDiscriminator(RBF(gamma=2.0), Pearson(), time=100.0)
    discriminator.fit(real, fake)
    return discriminator(torch.tensor([[0.0], [1.0]])).detach()


def test_long_training_reaches_the_optimum_of_the_paper():
    torch.testing.assert_close(check(), torch.tensor([1.0, -1.0]), rtol=0, atol=1e-3)


# Last the configuration: `class_path` is this file's name and the class's, wherever the command is given in the file's
# folder. Another file on the command line changes the rest, and none of this package.
CONFIG = """
name: pearson
seed_everything: 0
trainer: {max_steps: STEPS, val_check_interval: STEPS, accelerator: cpu, enable_progress_bar: false}
model:
  generator:
    class_path: lightning_gantk.generators.Particles
    init_args: {n: 64, out_shape: [2], per_particle: true}
  discriminator:
    class_path: lightning_gantk.discriminators.NTKDiscriminator
    init_args:
      kernel:
        class_path: lightning_gantk.kernels.RBF
        init_args: {gamma: 0.5}
      loss: from_equation.Pearson
      time: 2.0
  optimizer:
    class_path: torch.optim.SGD
    init_args: {lr: 0.5}
  quality: lightning_gantk.metrics.EnergyDistance
data:
  class_path: datamodules.PointsDataModule
  init_args:
    target:
      class_path: datamodules.targets.GaussianRing
      init_args: {modes: 4, radius: 2.0, std: 0.2, dim: 2}
    num_samples: 64
best_checkpoint: {monitor: val/energy_distance}
"""

if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--steps", type=int, default=200)
    arguments = arguments.parse_args()
    print("scores after long training, to be 1 and -1:", check())
    Path("pearson.yaml").write_text(CONFIG.replace("STEPS", str(arguments.steps)))
    run = main(["fit", "--config", "pearson.yaml"])
    print("energy distance to the data:", run.trainer.callback_metrics["val/energy_distance"].item())
