"""A long run of images with validations keeps its memory."""

import ctypes
import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback
from tiny import TinyData, TinyQuality, tiny_fit

from lightning_gantk.architectures import DCGAN
from lightning_gantk.callbacks import BestCheckpoint, LastCheckpoint, SampleGrid
from lightning_gantk.discriminators import FiniteDiscriminator, NTKDiscriminator
from lightning_gantk.gan import GAN
from lightning_gantk.generators import DCGANGenerator
from lightning_gantk.losses import LSGAN

_STEPS, _SETTLED = 2000, 500


class Resident(Callback):
    """Notes what the process holds, in bytes, by step, after the allocator has given back what it kept for later.

    A look at the accuracy of a fit takes some 50 MB for a moment, and what the allocator keeps of it afterwards hides a
    leak, or looks like one.
    """

    def __init__(self):
        self.held = {}

    def on_train_batch_end(self, trainer, *args):
        if trainer.global_step % 100 == 0:
            ctypes.CDLL(None).malloc_trim(0)
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.held[trainer.global_step] = 4096 * pages


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("regime", ["ntk", "finite"])
def test_memory_does_not_grow_over_a_long_run_of_images(regime, tmp_path):
    architecture = DCGAN(blocks=1)
    discriminator = (
        NTKDiscriminator(architecture, LSGAN())
        if regime == "ntk"
        else FiniteDiscriminator(architecture, LSGAN(), width=4, reset=True)
    )
    resident = Resident()
    torch.manual_seed(0)
    gan = GAN(DCGANGenerator((1, 8, 8), 4, 2), discriminator, quality=TinyQuality(), ema_decay=0.9)
    callbacks = [resident, SampleGrid(every_n_steps=100, num_samples=4), BestCheckpoint(), LastCheckpoint()]
    data = TinyData(shape=(1, 8, 8))  # ragged batches too
    trainer = {"max_steps": _STEPS, "val_check_interval": 50, "log_every_n_steps": 10}
    tiny_fit(tmp_path, *callbacks, gan=gan, data=data, trainer=trainer)
    grown = resident.held[_STEPS] - resident.held[_SETTLED]
    print({step: held // 2**20 for step, held in resident.held.items()})
    # A float32 batch of 8 of these images has 2 KB: to keep one a step would be 3 MB, a Gram matrix with it 4 MB. What
    # the allocator holds and gives back moves by some MB.
    assert grown < 3 * 2**20, resident.held
