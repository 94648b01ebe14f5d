"""The training loader: its order, and that Lightning resumes it with the very next batch."""

import itertools
import os
import pickle
import signal
import warnings

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, OnExceptionCheckpoint

from datamodules.images import ImageTensor
from datamodules.loader import EpochSampler, TrainingLoader, collate, permutation, worker_options

BATCHES = 5  # in an epoch of the 17 samples below, in batches of 3


def numbers():
    """Images of one pixel that hold their own index, so that a batch says what it is made of."""
    return ImageTensor(torch.arange(17, dtype=torch.uint8).view(17, 1, 1, 1))


def loader(*, num_workers=0, **options):
    return TrainingLoader(numbers(), **{"batch_size": 3, "seed": 7, **options, **worker_options(num_workers)})


def contents(batches):
    return [indices(batch) for batch in batches]


def indices(batch):
    return ((batch + 1) * 127.5).round().int().flatten().tolist()


class Recorder(LightningModule):
    """Trains one number and writes down every batch that it is given."""

    def __init__(self, **loader_options):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.loader_options = loader_options
        self.seen = []

    def train_dataloader(self):
        return loader(**self.loader_options)

    def val_dataloader(self):
        return torch.utils.data.DataLoader(torch.zeros(2, 1), generator=torch.Generator())

    def training_step(self, batch, batch_idx):
        self.seen.append(indices(batch))
        return (self.weight - batch.mean()) ** 2

    def validation_step(self, batch, batch_idx):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(folder, *callbacks, **options):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    callbacks = [*callbacks] or [ModelCheckpoint(save_top_k=0)]
    return Trainer(default_root_dir=folder, callbacks=callbacks, **{**quiet, **options})


def checkpoint_every(folder, steps, **options):
    return ModelCheckpoint(folder, filename="{step}", every_n_train_steps=steps, save_top_k=-1, **options)


def run_and_resume(folder, *, stop, length, loader_options=None, **options):
    """Batches of an uninterrupted run of ``length`` steps, and of one that is resumed from step ``stop``."""
    whole = Recorder()
    trainer(folder, **length, **options).fit(whole)

    first = Recorder(**(loader_options or {}))
    trainer(folder, checkpoint_every(folder, stop), max_steps=stop, **options).fit(first)
    second = Recorder(**(loader_options or {}))
    trainer(folder, **length, **options).fit(second, ckpt_path=folder / f"step={stop}.ckpt")
    return whole, first, second


def assert_continued(whole, first, second, stop):
    assert first.seen == whole.seen[:stop]
    assert second.seen == whole.seen[stop:]
    assert torch.equal(second.weight, whole.weight)


def test_order_depends_on_seed_and_epoch_only():
    torch.manual_seed(0)
    first = contents(loader())
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert contents(loader()) == first
    assert torch.equal(torch.get_rng_state(), state)  # the global stream is left alone
    assert contents(loader(seed=8)) != first


def test_each_pass_is_the_next_epoch():
    data = loader()
    epochs = [contents(data) for _ in range(3)]
    assert len({str(epoch) for epoch in epochs}) == 3
    assert all(len(set(itertools.chain(*epoch))) == 3 * BATCHES for epoch in epochs)
    again = loader()
    again.sampler.set_epoch(2)
    assert contents(again) == epochs[2]


def test_a_pass_left_early_is_followed_by_the_next_epoch():
    data, expected = loader(), loader()
    next(iter(data))
    expected.sampler.set_epoch(1)
    assert contents(data) == contents(expected)


def test_permutation_is_frozen():
    # Splits and orders are promised to survive new versions of everything.
    assert permutation(8, 0) == [6, 3, 5, 0, 7, 2, 1, 4]
    assert permutation(8, 3, 11) == [3, 6, 4, 2, 1, 7, 0, 5]


def test_replicas_share_an_epoch_without_overlap():
    shares = [list(EpochSampler(numbers(), seed=1, num_replicas=3, rank=rank)) for rank in range(3)]
    assert [len(share) for share in shares] == [5, 5, 5]
    assert len(set(itertools.chain(*shares))) == 15


@pytest.mark.parametrize("stop", [0, 1, 4, BATCHES])
def test_state_resumes_in_a_plain_loop(stop):
    data = loader()
    batches = itertools.chain.from_iterable(itertools.repeat(data, 3))
    everything = contents(batches)

    data = loader()
    before = contents(itertools.islice(data, stop))
    resumed = loader()
    resumed.load_state_dict(pickle.loads(pickle.dumps(data.state_dict())))
    epochs = 3 if stop < BATCHES else 2
    after = contents(itertools.chain.from_iterable(itertools.repeat(resumed, epochs)))
    assert before + after == everything


@pytest.mark.parametrize("stop", [1, 3])
def test_state_moves_between_numbers_of_processes(stop):
    def two():
        return [loader(batch_size=2, num_replicas=2, rank=rank) for rank in range(2)]

    def together(shares):
        return [sorted(itertools.chain(*parts)) for parts in zip(*map(contents, shares), strict=True)]

    one = loader(batch_size=4)
    expected = [sorted(batch) for batch in contents(itertools.chain(one, one))]
    begun = loader(batch_size=4)
    assert [sorted(batch) for batch in contents(itertools.islice(begun, stop))] == expected[:stop]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for resumed in (several := two()):
            resumed.load_state_dict(begun.state_dict())
        begun = two()
        assert together([itertools.islice(part, stop) for part in begun]) == expected[:stop]
        back = loader(batch_size=4)
        back.load_state_dict(begun[1].state_dict())
    assert together([itertools.chain(part, part) for part in several]) == expected[stop:]
    assert [sorted(batch) for batch in contents(itertools.chain(back, back))] == expected[stop:]


def test_state_of_other_data_warns():
    data = loader()
    next(iter(data))
    with pytest.warns(UserWarning, match="'batch_size': 3.*'batch_size': 4"):
        loader(batch_size=4).load_state_dict(data.state_dict())


@pytest.mark.parametrize("stop", [1, 3, BATCHES - 1, BATCHES, BATCHES + 1, 2 * BATCHES])
@pytest.mark.parametrize("length", [{"max_steps": 13}, {"max_epochs": 3}], ids=["steps", "epochs"])
def test_fit_resumes_with_the_very_next_batch(tmp_path, stop, length):
    assert_continued(*run_and_resume(tmp_path, stop=stop, length=length), stop)


@pytest.mark.parametrize("stop", [2, 3, 4, 7])
def test_fit_resumes_where_epochs_are_cut_short(tmp_path, stop):
    # With 3 of 5 batches an epoch ends where the loader's own does not.
    whole, first, second = run_and_resume(tmp_path, stop=stop, length={"max_steps": 10}, limit_train_batches=3)
    assert_continued(whole, first, second, stop)
    assert len({str(batch) for batch in whole.seen[:3] + whole.seen[3:6]}) == 6


@pytest.mark.parametrize("stop", [2, 4, 8])
def test_fit_resumes_where_validation_interrupts_epochs(tmp_path, stop):
    options = {"val_check_interval": 2, "check_val_every_n_epoch": None}
    assert_continued(*run_and_resume(tmp_path, stop=stop, length={"max_steps": 13}, **options), stop)


def test_fit_resumes_from_the_end_of_an_epoch(tmp_path):
    whole = Recorder()
    trainer(tmp_path, max_epochs=3).fit(whole)
    first = Recorder()
    at_epoch_end = ModelCheckpoint(tmp_path, filename="end", save_on_train_epoch_end=True)
    trainer(tmp_path, at_epoch_end, max_epochs=2).fit(first)
    second = Recorder()
    trainer(tmp_path, max_epochs=3).fit(second, ckpt_path=tmp_path / "end.ckpt")
    assert first.seen + second.seen == whole.seen


@pytest.mark.parametrize("length", [{"max_steps": 13}, {"max_epochs": 3}], ids=["steps", "epochs"])
def test_fit_resumes_from_validation_at_the_end_of_an_epoch(tmp_path, length):
    whole = Recorder()
    trainer(tmp_path, **length).fit(whole)
    at_validation = ModelCheckpoint(tmp_path, filename="{step}", save_on_train_epoch_end=False, save_top_k=-1)
    trainer(tmp_path, at_validation, **length).fit(Recorder())
    second = Recorder()
    trainer(tmp_path, **length).fit(second, ckpt_path=tmp_path / f"step={BATCHES}.ckpt")
    assert second.seen == whole.seen[BATCHES:]


class Terminate(Callback):
    """Sends SIGTERM to the process after a step, as a cluster's scheduler does."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("stop", [3, BATCHES])
def test_fit_resumes_after_a_termination_signal(tmp_path, stop):
    whole = Recorder()
    trainer(tmp_path, max_steps=13).fit(whole)
    first = Recorder()
    last_words = OnExceptionCheckpoint(tmp_path, filename="killed")
    with pytest.raises(SystemExit):
        trainer(tmp_path, last_words, Terminate(stop), max_steps=13).fit(first)
    second = Recorder()
    trainer(tmp_path, max_steps=13).fit(second, ckpt_path=tmp_path / "killed.ckpt")
    assert_continued(whole, first, second, stop)


@pytest.mark.slow
def test_fit_resumes_with_persistent_workers(tmp_path):
    # Workers prepare batches ahead of training: the state counts what was handed out.
    runs = run_and_resume(tmp_path, stop=2, length={"max_steps": 8}, loader_options={"num_workers": 2})
    assert_continued(*runs, 2)


def test_a_resumed_run_resumes(tmp_path):
    whole = Recorder()
    trainer(tmp_path, max_steps=13).fit(whole)
    seen, path = [], None
    for stop in (2, 4, 6, 13):
        part = Recorder()
        trainer(tmp_path, checkpoint_every(tmp_path, stop), max_steps=stop).fit(part, ckpt_path=path)
        seen, path = seen + part.seen, tmp_path / f"step={stop}.ckpt"
    assert seen == whole.seen


def test_persistent_workers_survive_an_epoch_that_is_left_early():
    data, expected = loader(num_workers=2), loader()
    try:
        assert contents(itertools.islice(data, 2)) == contents(itertools.islice(expected, 2))
        workers = [worker.pid for worker in data._iterator._workers]
        for _ in range(2):
            assert contents(data) == contents(expected)
        assert [worker.pid for worker in data._iterator._workers] == workers
    finally:
        data._iterator._shutdown_workers()


def test_overfit_batches_repeats_the_first_batches(tmp_path):
    recorder = Recorder()
    with pytest.warns(UserWarning, match="overfit"):
        trainer(tmp_path, max_epochs=2, overfit_batches=2, limit_val_batches=0).fit(recorder)
    assert recorder.seen == 2 * [[0, 1, 2], [3, 4, 5]]


def test_collate_gives_images_in_channels_last_memory():
    images = [torch.rand(3, 4, 5) for _ in range(2)]
    batch = collate(images)
    assert torch.equal(batch, torch.stack(images))
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert batch.permute(0, 2, 3, 1).is_contiguous()


def test_collate_stacks_vectors():
    assert collate([torch.zeros(2), torch.ones(2)]).tolist() == [[0.0, 0.0], [1.0, 1.0]]
