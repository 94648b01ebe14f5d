"""The training step, the same for every discriminator."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from datamodules import samples as batches
from datamodules.base import DataModule
from datamodules.loader import collate
from lightning_gantk import bridge
from lightning_gantk.checks import in_words, whole
from lightning_gantk.discriminators.base import Discriminator, optimizers_without_state
from lightning_gantk.discriminators.conditional import conditional
from lightning_gantk.discriminators.given_gradient import with_gradient
from lightning_gantk.discriminators.labels import joined, parted, shape_with_label
from lightning_gantk.errors import Advice, ConfigError
from lightning_gantk.generators.base import Generator
from lightning_gantk.lightning_internals import configuration_is_given, log_again
from lightning_gantk.metrics.base import Quality
from lightning_gantk.processes import gathered, own_part, processes
from lightning_gantk.quiet import quieten
from lightning_gantk.samplers import GuidedLangevin
from lightning_gantk.training import first_batch, schedules
from lightning_gantk.training.divergence import Watch
from lightning_gantk.training.measured import Measured
from lightning_gantk.training.stopwatch import Stopwatch
from lightning_gantk.training.trainer import data_of
from lightning_gantk.training.undisturbed import undisturbed

quieten()  # a script of one's own is told no more than the command line
ADAM = {"lr": 1e-3, "betas": (0.5, 0.999)}  # the default optimizer's settings


class GAN(Measured):
    """Trains a generator against any discriminator.

    Each step fits the discriminator to a batch of real and fake samples, then moves the generator along the gradient
    of ``mean c(scores)`` through the fakes. Lightning's one optimizer is the generator's, so ``global_step`` counts
    generator steps, and clipping, accumulation and schedules are Lightning's.

    Several processes (``Trainer(strategy="ddp")``) take the step that one would take with the batches of all: the
    discriminator is fitted to the samples of all of them, and each moves the generator along its own fakes.

    A NaN or an infinity stops the run before it reaches the generator. Checkpoints hold all that a run needs to go on
    bit for bit (``ExactResume``).

    Logged: ``train/generator_loss``, ``train/grad_norm`` (mean over fakes x of ``|grad_x c(f(x))|``), ``time/fit``,
    ``time/scores`` (scores and their gradient at the fakes) and ``time/generator`` (the rest of the step) in seconds,
    where JAX is in use ``time/compile`` (what of all that since the last such step went into compilations),
    ``train/<name>`` of the discriminator's statistics, and with ``quality`` ``val/<name>`` and ``val/<name>_floor`` of
    each metric, in a test ``test/...``.

    Args:
        generator: Makes samples from latents.
        discriminator: Finite or infinitely wide; it is built here for the generator's samples.
        optimizer: Makes the generator's optimizer from its parameters.
        scheduler: Makes a learning-rate schedule, stepped after each generator step; a ``ReduceLROnPlateau`` is stepped
            after each validation instead, on its ``monitor`` ("val/fid" where it has none).
        ema_decay: Decay of an exponential moving average of the generator, which is then what is validated and sampled.
        fake_batch_size: Fakes per step and process; as many as reals where none is given.
        latents: "shared": the generator's step scores the very fakes that the discriminator was fitted to. "fresh": it
            scores new ones, for another forward pass of the generator; of all n particles there are no others.
        updates: "alternating": fakes are moved along the f that was fitted to them. "simultaneous": along the f of
            before that fit; the discriminator must have scores then: one that is kept does, and a finite one.
        quality: Metrics for validation, such as ``SampleQuality``; without them validation does nothing.
        statistics_every: Generator steps from one set of statistics to the next; each costs the scores of the real
            samples. They are taken at steps that ``Trainer(log_every_n_steps)`` logs.
        compile_generator: Compile the generator (``torch.compile``) for training. The first step then takes a minute or
            so and needs a C++ compiler; checkpoints are the same.
        refine: What is done to the samples of ``predict``: steps along the discriminator, fitted to them and to reals.

    Raises:
        ConfigError: If an argument is out of range, or generator, discriminator and data do not fit each other.
        TrainingDiverged: In training, at the first NaN or infinity.

    Examples:
        >>> import torch
        >>> from lightning.pytorch import Trainer
        >>> from torch.utils.data import DataLoader
        >>> from lightning_gantk import GAN, IPM, MLPGenerator, NTKDiscriminator, RBF
        >>> gan = GAN(MLPGenerator((2,), latent_dim=4, hidden=(8,)), NTKDiscriminator(RBF(gamma=0.5), IPM()))
        >>> quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        >>> trainer = Trainer(max_steps=2, accelerator="cpu", enable_checkpointing=False, **quiet)
        >>> trainer.fit(gan, DataLoader(torch.randn(32, 2), batch_size=16))
        >>> gan.sample(gan.generator.latent(5)).shape
        torch.Size([5, 2])
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        *,
        optimizer: OptimizerCallable = lambda params: torch.optim.Adam(params, **ADAM),
        scheduler: LRSchedulerCallable | None = None,
        ema_decay: float | None = None,
        fake_batch_size: int | None = None,
        latents: Literal["shared", "fresh"] = "shared",
        updates: Literal["alternating", "simultaneous"] = "alternating",
        quality: Quality | None = None,
        statistics_every: int = 50,
        compile_generator: bool = False,
        refine: GuidedLangevin | None = None,
    ):
        super().__init__(quality=quality)
        if not isinstance(generator, Generator):
            raise ConfigError(
                f"'generator' must be a Generator, got {in_words(generator)}: wrap a torch module in "
                "lightning_gantk.generators.FromModule(module, out_shape=..., latent_dim=...)."
            )
        if not isinstance(discriminator, Discriminator):
            raise ConfigError(
                f"'discriminator' must be a Discriminator, got {in_words(discriminator)}: NTKDiscriminator(kernel, "
                "loss) is one of a kernel or an architecture, FiniteDiscriminator(network, loss) of a torch module."
            )
        if ema_decay is not None and not 0 < ema_decay < 1:
            raise ConfigError(f"'ema_decay' must lie between 0 and 1, got {ema_decay}.")
        for name, value in (("fake_batch_size", fake_batch_size), ("statistics_every", statistics_every)):
            whole(name, value, or_none=True)
        if latents not in ("shared", "fresh"):
            raise ConfigError(f"'latents' must be 'shared' or 'fresh', got {latents!r}.")
        if updates not in ("alternating", "simultaneous"):
            raise ConfigError(f"'updates' must be 'alternating' or 'simultaneous', got {updates!r}.")
        if updates == "simultaneous" and latents == "fresh":
            raise ConfigError("updates='simultaneous' scores fakes before the fit: latents must be 'shared'.")
        if updates == "simultaneous" and not discriminator.scores_before_fit:
            raise ConfigError(
                f"updates='simultaneous' scores fakes before the fit, and {type(discriminator).__name__} has no scores "
                "then: take one that is kept (keep: true) or a finite one, or updates 'alternating'."
            )
        # The command line gives plain configuration, for load_from_checkpoint(). Elsewhere most arguments are objects,
        # which a checkpoint should not hold.
        plain = (
            ()
            if configuration_is_given()
            else ("ema_decay", "fake_batch_size", "latents", "updates", "statistics_every")
        )
        self.save_hyperparameters(*plain)
        if discriminator.single_level and (latents, updates) != ("shared", "alternating"):
            raise ConfigError(
                f"{type(discriminator).__name__} is differentiated through its own training: latents must be 'shared' "
                "and updates 'alternating'."
            )
        if refine is not None and generator.classes is not None:
            raise ConfigError("Samples with classes are not refined: leave 'refine' out.")
        if generator.classes is not None:
            discriminator = conditional(discriminator, generator.classes)
        self.generator, self.discriminator = generator, discriminator
        self._seen_shape = generator.out_shape if generator.classes is None else shape_with_label(generator.out_shape)
        self.ema: AveragedModel | None = None
        if ema_decay is not None:
            self.ema = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(ema_decay), use_buffers=True)
            self.ema.requires_grad_(False)
        self.fake_batch_size, self.latents, self.statistics_every = fake_batch_size, latents, statistics_every
        self.updates, self.refine = updates, refine
        self._reals_to_follow: Tensor | None = None
        self._make_optimizer, self._make_scheduler = optimizer, scheduler
        self._watch: Watch | None = None
        self._stopwatch = Stopwatch()
        self._compiled = bridge.compile_seconds() or 0.0  # seconds that are logged already
        if compile_generator:
            generator.compile()  # in place: parameters keep their names
        self._looked = self._saved = False  # whether a batch's values were looked at, whether a checkpoint was saved
        self.discriminator.build(self._seen_shape)

    @property
    def sampler(self) -> Generator:
        """The generator to sample from: the averaged one where there is one."""
        return self.generator if self.ema is None else cast(Generator, self.ema.module)

    @property
    def described(self) -> str:
        size = sum(p.numel() for p in self.generator.parameters())
        shape = "x".join(map(str, self.generator.out_shape))
        against = f"{type(self.discriminator).__name__} ({type(self.discriminator.loss).__name__})"
        return f"{type(self.generator).__name__} ({size:,} parameters, samples {shape}) against {against}"

    def configure_optimizers(self) -> Any:
        return schedules.configured(self._make_optimizer, self._make_scheduler, self.generator.parameters())

    def on_fit_start(self) -> None:
        found = [more for one in self.trainer.optimizers if (more := schedules.beside_descent(one))]
        if found and self.generator.theory:
            warnings.warn(
                f"{found[0]} moves {type(self.generator).__name__} otherwise than {self.generator.theory}, which plain "
                "gradient descent follows (torch.optim.SGD without momentum or weight decay). Keep it if you mean it.",
                Advice,
                stacklevel=2,
            )
        if self.discriminator.sees_all_reals:
            self.discriminator.prepare(self._all_reals(data_of(self.trainer)))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        real = self._real(batch)
        watch, clock = Watch(self, real), self._stopwatch
        self._watch = watch
        clock.restart(exact=watch.logged)
        with clock.measure("generator"):
            watch.fake = fake = self._fake(real)
        with watch.stops(), self._scoring(watch):
            clock.switch("fit")
            watch.loss = loss = self._loss(real, fake, watch)
        clock.switch("generator")
        if not log_again(self.trainer, "training_step", "train/generator_loss", loss.detach()):
            self.log("train/generator_loss", loss.detach(), prog_bar=True, sync_dist=True)
        return loss

    def _loss(self, real: Tensor, fake: Tensor, watch: Watch) -> Tensor:
        """Fits the discriminator, and gives the loss of the fakes that are scored."""
        if self.updates == "simultaneous":
            fake.register_hook(self._on_gradient)
            return self._loss_before_fit(real, fake)
        if self.latents == "shared":
            fake.register_hook(self._on_gradient)
            return self.discriminator.generator_loss(real, fake)
        self.discriminator.fit(gathered(real), gathered(fake.detach()))
        with self._stopwatch.measure("generator"):
            watch.fake = fake = self._fake(real)
        fake.register_hook(self._on_gradient)
        return self.discriminator.loss.generator(self.discriminator.generator_scores(fake))

    def _loss_before_fit(self, real: Tensor, fake: Tensor) -> Tensor:
        """The loss under the f of before. Its gradient is taken at once: the fit changes what it would be taken of."""
        at = fake.detach().requires_grad_()
        loss = self.discriminator.loss.generator(self.discriminator.generator_scores(at))
        (gradient,) = torch.autograd.grad(loss, at)
        self._stopwatch.switch("fit")
        self.discriminator.fit(gathered(real), gathered(fake.detach()))
        return with_gradient(loss, fake, gradient)

    @contextmanager
    def _scoring(self, watch: Watch) -> Iterator[None]:
        """Keeps the scores of the fakes, and has the time that they take counted as theirs."""

        def keep(discriminator: Discriminator, inputs: tuple[Tensor], scores: Tensor) -> None:
            if inputs[0] is watch.fake:  # and not at places around it
                watch.scores = scores

        handles = (
            self.discriminator.register_forward_pre_hook(lambda *_: self._stopwatch.switch("scores")),
            self.discriminator.register_forward_hook(keep),
        )
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _real(self, batch: Any) -> Tensor:
        """The samples of a batch; with their classes joined on where the generator has such."""
        samples, labels = batches.parted(batch)
        first_batch.refuse_unfit(samples, self.generator.out_shape, "the batch")
        if not self._looked:
            first_batch.refuse_values(samples)
            self._looked = True
        if (self.generator.classes is None) != (labels is None):
            raise ConfigError(
                "The batches have no labels, and the generator has 'classes': set the data's labels to true, or "
                "classes to null."
                if labels is None
                else "The batches are pairs, of samples and labels, and the generator has no classes: set its "
                "'classes' to their number, or give the samples alone (the data's labels: false)."
            )
        return samples if labels is None else joined(samples, labels)

    def _fake(self, real: Tensor) -> Tensor:
        """Samples of the generator, as many as are wanted; with classes those of the real ones, joined on."""
        count = (self.fake_batch_size or len(real)) * processes()
        if self.generator.classes is None:
            latent = own_part(self.generator.latent(count, device=self.device))
            return self.generator(latent).to(real.dtype)
        labels = gathered(parted(real)[1])
        labels = labels[torch.arange(count, device=labels.device) % len(labels)]
        latent = own_part(self.generator.latent_of(labels, device=self.device))
        return joined(self.generator(latent).to(real.dtype), self.generator.labels(latent))

    def on_before_backward(self, loss: Tensor) -> None:
        self._stopwatch.switch("scores")  # until their gradient has reached the fakes

    def _on_gradient(self, gradient: Tensor) -> None:
        if self._watch is not None:
            self._watch.gradient = gradient.detach()
        self._stopwatch.switch("generator")

    def on_after_backward(self) -> None:
        if self._watch is not None:
            self._watch.check()

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        if self.ema is not None:
            self.ema.update_parameters(self.generator)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        watch, self._watch = self._watch, None  # frees the graph
        self._stopwatch.switch(None)
        if watch is None or watch.fake is None or watch.loss is None:
            return
        if watch.logged:
            self.log("train/grad_norm", watch.gradient_norm())
            self.log_dict({f"time/{name}": seconds for name, seconds in self._stopwatch.seconds.items()})
            if (compiled := bridge.compile_seconds()) is not None:
                self.log("time/compile", compiled - self._compiled)
                self._compiled = compiled
        if watch.is_due(self.statistics_every):
            with torch.no_grad(), undisturbed(self.discriminator):
                fakes = self.discriminator(watch.fake) if watch.scores is None else watch.scores.detach()
                scores = self.discriminator(watch.real), fakes
                found = self.discriminator.statistics(*map(gathered, scores))
            values = torch.stack(list(found.values())).tolist() if found else []  # the host waits once
            named = {f"train/{name}": value for name, value in zip(found, values, strict=True)}
            for logger in self.trainer.loggers:  # not self.log: Lightning would repeat them until the epoch ends
                logger.log_metrics(named, watch.index)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if not self._saved and (lost := optimizers_without_state(self.discriminator)):
            warnings.warn(
                f"Checkpoints do not hold the optimizer of {', '.join(lost)}, which a resumed run starts anew: save it "
                "in get_extra_state and take it back in set_extra_state.",
                Advice,
                stacklevel=2,
            )
        self._saved = True

    def refined(self, samples: Tensor) -> Tensor:
        if self.refine is None:
            return samples
        if self._reals_to_follow is None:
            raise ConfigError("Samples are refined along real ones: call show_reals(data) before predict.")
        return self.refine(samples, self.discriminator, self._reals_to_follow.to(samples))

    def show_reals(self, data: DataModule) -> None:
        """Has the training samples that ``refine`` follows read; without ``refine`` does nothing."""
        if self.refine is None:
            return
        data.prepare_data()
        data.setup("fit")
        count = len(data.train_dataset)
        wanted = range(count if self.refine.reals is None else min(count, self.refine.reals))
        found = (data.train_dataset[i] for i in wanted)
        self._reals_to_follow = torch.stack([one if isinstance(one, Tensor) else one[0] for one in found])

    def _all_reals(self, data: Any) -> Iterator[Tensor]:
        """The training samples in batches, each of them once."""
        if not isinstance(data, DataModule):
            raise ConfigError(
                f"A discriminator that sees all reals before training needs a data module, got {type(data).__name__}."
            )
        samples, own = batches.as_dataset(data.training_samples()), torch.Generator()
        for batch in torch.utils.data.DataLoader(samples, batch_size=256, collate_fn=collate, generator=own):
            yield self._real(batch).to(self.device)
