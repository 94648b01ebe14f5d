"""What is remembered of a fit's fakes."""

import pytest
import torch

from lightning_gantk.discriminators.fitted_fakes import FittedFakes

_LAYOUTS = {
    "contiguous": lambda x: x,
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "every other": lambda x: x[::2, :, 1:, ::2],
    "the same again": lambda x: x[:1].expand_as(x),
    "turned": lambda x: x.flip(0).transpose(2, 3),
    "none": lambda x: x[:0],
}


@pytest.mark.parametrize("layout", _LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_fakes_are_known_again_and_what_is_written_to_them_is_seen(dtype, layout):
    fakes, outcome = FittedFakes(), object()
    fake = _LAYOUTS[layout](torch.randn(6, 3, 4, 4).to(dtype)).requires_grad_()
    fakes.remember(fake, outcome)
    copies = fake.contiguous(), fake.contiguous(memory_format=torch.channels_last)
    assert all(fakes.place_of(samples, outcome) == 0 for samples in (fake, *copies))
    assert fakes.place_of(fake, object()) is None
    assert fakes.place_of(fake.flatten(1), outcome) is None
    if len(fake):
        fake.data[0, 0, 0, 0] += 1
        assert fakes.place_of(fake, outcome) is None


def test_fakes_made_in_inference_mode_are_known_again():
    fakes, outcome = FittedFakes(), object()
    with torch.inference_mode():
        fake = torch.randn(5, 2)
    fakes.remember(fake, outcome)
    assert fakes.place_of(fake, outcome) == 0
