"""One of two processes dies: the other stops soon, says so, and names a checkpoint."""

import os
import signal
import socket
import sys
import time

import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from tiny import TinyData, TinyDiscriminator, tiny_generator, tiny_trainer

from lightning_gantk.callbacks import LastCheckpoint
from lightning_gantk.checkpoint_files import read
from lightning_gantk.errors import ProcessLost
from lightning_gantk.gan import GAN
from lightning_gantk.training import other_processes


class Die(Callback):
    """The last process is killed in its third step; the first may be busy with something else and not notice."""

    def __init__(self, busy):
        self.busy = busy

    def on_train_batch_start(self, trainer, gan, batch, batch_idx):
        if trainer.global_step != 2:
            return
        if trainer.global_rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.busy:
            time.sleep(600)


def _work(number, folder, port, busy, hosts):
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": 2, "NODE_RANK": 0, "LOCAL_RANK": number}
    os.environ |= {name: str(value) for name, value in meeting.items()}
    torch.set_num_threads(1)
    sys.stderr = (folder / f"said{number}.txt").open("w", buffering=1)
    other_processes.socket.gethostname = lambda: hosts[number]
    other_processes._SILENCE, other_processes._GRACE = 5.0, 3.0
    seed_everything(0)
    gan = GAN(tiny_generator(), TinyDiscriminator())
    trainer = tiny_trainer(folder, Die(busy), LastCheckpoint(), devices=2, strategy="ddp", max_steps=9)
    try:
        trainer.fit(gan, datamodule=TinyData(batch_size=4))
    except ProcessLost as error:
        print(error, file=sys.stderr)
        os._exit(7)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("busy", "hosts", "code"),
    [(False, "aa", 7), (True, "aa", 1), (True, "ab", 1)],
    ids=["in a message", "in something long", "on another machine"],
)
def test_death_of_a_process_ends_the_other_with_a_message_and_a_checkpoint(busy, hosts, code, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = torch.multiprocessing.get_context("spawn")
    pair = [context.Process(target=_work, args=(number, tmp_path, port, busy, hosts)) for number in range(2)]
    for process in pair:
        process.start()
    pair[1].join(300)
    died = time.monotonic()
    pair[0].join(60)  # within a minute
    took, codes = time.monotonic() - died, [process.exitcode for process in pair]
    for process in pair:
        process.kill()
    said = (tmp_path / "said0.txt").read_text()
    assert codes == [code, -signal.SIGKILL], said
    assert took < 60
    assert "process 1 of 2" in said
    assert "has died, and the run stops after generator step 2; resume with --ckpt_path" in said
    assert read(tmp_path / "checkpoints" / "last.ckpt")["global_step"] == 1
