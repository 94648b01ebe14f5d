"""What a run does when numbers fail."""

import pytest
import torch
from tiny import Recording, TinyData, TinyDiscriminator, tiny_fit, tiny_generator

from lightning_gantk import GAN
from lightning_gantk.errors import ConfigError, TrainingDiverged


class Poisoned(Recording):
    """Goes wrong in the third step."""

    def __init__(self, where):
        super().__init__()
        self.where, self.steps = where, 0

    def fit(self, real, fake):
        super().fit(real, fake)
        self.steps += 1
        if self.steps == 3:
            if self.where == "parameter":
                self.own[1] = float("inf")
                self.weight = self.weight * self.own
            if self.where == "itself":
                raise TrainingDiverged("the solver gave up")

    def check(self):
        if self.steps == 3 and self.where == "later":
            raise TrainingDiverged("the solver has given up since")

    def forward(self, x):
        scores = super().forward(x)
        if self.steps == 3 and self.where == "later":
            scores = scores * float("nan")
        if self.steps == 3 and self.where == "scores":
            scores = scores + torch.tensor([0.0, float("inf")] + [0.0] * (len(x) - 2))
        if self.steps == 3 and self.where == "gradient":
            scores = scores + (x - x.detach()).abs().sqrt().sum(1)  # 0, with an infinite slope
        return scores


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("scores", "the scores of the fake samples: 1 of 8 values are NaN or infinite"),
        ("gradient", "the gradient at the fake samples: 16 of 16 values .* of your own must have finite derivatives"),
        ("parameter", "the discriminator's parameter 'own': 1 of 2 values"),
        ("itself", "the solver gave up"),
        ("later", "the solver has given up since"),
    ],
)
def test_divergence_names_the_step_and_the_tensor_and_leaves_a_checkpoint(where, message, tmp_path):
    steps = {"max_steps": 2}
    good, _ = tiny_fit(tmp_path / "good", trainer=steps)
    discriminator = Poisoned(where)
    with pytest.raises(TrainingDiverged, match=f"generator step 3: .*{message}") as caught:
        tiny_fit(tmp_path, discriminator=discriminator, trainer={"max_steps": 5})
    path = tmp_path / "checkpoints" / "diverged.ckpt"
    assert str(path) in str(caught.value)
    saved = torch.load(path, weights_only=True)
    for name, parameter in good.generator.named_parameters():  # as it was before the step
        assert torch.equal(saved["state_dict"][f"generator.{name}"], parameter)
    assert saved["global_step"] == 2


def test_divergence_can_be_resumed_with_the_next_batch(tmp_path):
    with pytest.raises(TrainingDiverged):
        tiny_fit(tmp_path, discriminator=Poisoned("scores"))
    path = tmp_path / "checkpoints" / "diverged.ckpt"
    gan, trainer = tiny_fit(tmp_path, discriminator=Recording(), ckpt_path=path, trainer={"max_steps": 4})
    assert trainer.global_step == 4
    whole, _ = tiny_fit(tmp_path, discriminator=Recording(), trainer={"max_steps": 5})
    expected = [real for real, _ in whole.discriminator.fitted][3:]
    assert len(gan.discriminator.fitted) == len(expected) == 2
    for (real, _), other in zip(gan.discriminator.fitted, expected, strict=True):
        assert torch.equal(real, other)


def test_divergence_by_real_samples_is_laid_to_them(tmp_path):
    data = TinyData()
    data.setup()

    class Spoils(TinyDiscriminator):
        def fit(self, real, fake):
            super().fit(real, fake)
            data.train_dataset[:, 1] = float("nan")  # the first batch is looked at by itself; some are fetched already

    with pytest.raises(TrainingDiverged, match=r"generator step [2-4]: the batch of real samples: 8 of 16 values"):
        tiny_fit(tmp_path, data=data, discriminator=Spoils())


def test_first_batch_that_holds_no_numbers_is_refused(tmp_path):
    data = TinyData()
    data.setup()
    data.train_dataset[:, 1] = float("nan")
    with pytest.raises(ConfigError, match="first batch of real samples has 8 values that are NaN"):
        tiny_fit(tmp_path, data=data)


def test_divergence_of_the_generator_names_its_parameter(tmp_path):
    gan = GAN(tiny_generator(), TinyDiscriminator())
    with torch.no_grad():
        gan.generator.network[2].bias[0] = float("nan")
    with pytest.raises(TrainingDiverged, match=r"step 1: the generator's parameter 'network\.2\.bias': 1 of 2"):
        tiny_fit(tmp_path, gan=gan)


def test_divergence_is_not_a_matter_of_size(tmp_path):
    # Squares of these overflow in float32; the numbers do not.
    gan, trainer = tiny_fit(tmp_path, discriminator=TinyDiscriminator(time=1e25), trainer={"max_steps": 2})
    assert trainer.global_step == 2
    assert all(parameter.isfinite().all() for parameter in gan.parameters())
