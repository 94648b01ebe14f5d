"""Images in memory: values, layout, what crosses to a worker."""

import pickle

import pytest
import torch

from datamodules.images import ImageTensor


def test_bytes_become_floats_from_minus_one_to_one():
    values = ImageTensor(torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1))[:]
    assert values.dtype == torch.float32
    assert values[0] == -1 and values[255] == 1
    assert torch.equal(((values + 1) * 127.5).round().flatten(), torch.arange(256.0))


def test_a_batch_is_channels_last_and_holds_the_samples():
    images = ImageTensor(torch.randint(256, (5, 4, 6, 3), dtype=torch.uint8))
    batch = images.__getitems__([3, 0])
    assert batch.shape == (2, 3, 4, 6)
    assert batch.permute(0, 2, 3, 1).is_contiguous()
    assert torch.equal(batch[0], images[3]) and torch.equal(batch[1], images[0])


def test_a_grey_batch_is_contiguous():
    assert ImageTensor(torch.zeros(5, 4, 4, 1, dtype=torch.uint8)).__getitems__([1, 2]).is_contiguous()


def test_other_tensors_are_refused():
    with pytest.raises(ValueError, match=r"uint8 of shape \(N, H, W, C\), not torch.float32 \(2, 3\)"):
        ImageTensor(torch.zeros(2, 3))


def test_a_set_can_be_sent_to_a_worker():
    images = ImageTensor(torch.randint(256, (5, 4, 6, 3), dtype=torch.uint8))
    assert torch.equal(pickle.loads(pickle.dumps(images))[:], images[:])
