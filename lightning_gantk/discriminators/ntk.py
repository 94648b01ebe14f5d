"""The infinitely wide discriminator."""

import math
from collections.abc import Callable
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from lightning_gantk import bridge
from lightning_gantk.architectures import Architecture
from lightning_gantk.checks import in_words
from lightning_gantk.discriminators.base import Discriminator, check_batch, fitting_alone
from lightning_gantk.discriminators.batch_sizes import BatchSizes
from lightning_gantk.discriminators.fitted_fakes import FittedFakes
from lightning_gantk.discriminators.given_gradient import once
from lightning_gantk.discriminators.initial import InitialFunction
from lightning_gantk.discriminators.kept import Kept
from lightning_gantk.discriminators.landmarks import Landmarks
from lightning_gantk.discriminators.resolution import Resolution
from lightning_gantk.discriminators.training import Training
from lightning_gantk.errors import ConfigError, TrainingDiverged
from lightning_gantk.losses import AdversarialLoss
from lightning_gantk.processes import processes

if TYPE_CHECKING:
    from lightning_gantk.kernels.base import Kernel
    from lightning_gantk.kernels.dynamics.gradient_flow import GradientFlow

_NOT_COPIED = ("_compiled", "_on_landmarks", "_gram", "_sizes", "_fitted")


class NTKDiscriminator(Discriminator):
    """The discriminator at infinite width, trained by exact gradient flow for a time (Franceschi et al., ICML 2022).

    Training is solving for dual weights w over the batch: in closed form for IPM, by Krylov products for LSGAN, from
    event to event for hinge, by an adaptive ODE solve for any other loss. Scores are ``s(x) = sum_p k(x, p) w_p``. All
    of it runs in JAX (events on the host); tensors cross by DLPack. A trained discriminator belongs to its batch: it is
    no part of checkpoints and is fitted anew at each step, unless it is kept.

    On a GPU the host does not wait for the end of a fit with IPM or LSGAN: a solver that came to no end gives scores
    that are NaN, and ``check`` says why.

    Args:
        kernel: A kernel such as ``RBF(gamma=0.5)``, or an architecture, whose kernel is taken.
        loss: The adversarial loss; there must be one.
        time: Training time t of each ``fit``: learning rate x steps of the finite network it stands for; 0 leaves
            f_0 = 0.
        kind: "ntk", or "nngp" for a network of which only the last layer is trained.
        dtype: "float32" or "float64": the arithmetic between the crossings. Scores come back in the dtype of the
            samples.
        rtol: Relative tolerance of the solution: of the score function in the kernel's norm for LSGAN, of each step of
            the ODE solver for other losses. None: 2e-6 in float32, 1e-9 in float64.
        initial: f_0, the function before training; 0 where none is given.
        inertia: e > 0 trains by the heavy-ball flow, ``e f'' + f' =`` the gradient flow's ``f'``, from rest. It stands
            for gradient steps with learning rate h and momentum m where ``e = h (1 + m) / (2 (1 - m)^2)`` and
            ``time = steps h / (1 - m)``. 0 is gradient flow.
        architecture: In the place of ``kernel``, by the name that ``FiniteDiscriminator`` has for it too: in YAML the
            class alone then tells one from the other.
        check_every: Fits between two looks at the accuracy, besides one after the 64th; 0 looks never. A look costs
            about two fits more. Where the dtype cannot resolve the batch, a warning says so, once.
        keep: A ``fit`` goes on from the last f for another ``time``, where it starts from f = 0 otherwise. All samples
            that f still remembers are part of checkpoints.
        decay: lambda: f decays by ``f' = ... - lambda f`` while it trains.
        forget: Samples of which the decay has left no more than this share are dropped; without decay none is.
        solution: "ridge": the maximiser of ``L(f) - (ridge / 2) |f|_H^2`` in the place of the flow. For IPM that is the
            flow for ``time = 1 / ridge``, which ``time`` becomes whatever it was given.
        ridge: Its lambda.
        gradient_penalty: alpha: takes ``(alpha / 2) mean_real |grad f|^2`` off as well: WGAN-GP at infinite width, for
            IPM and smooth kernels of a distance.
        features: R: f is a sum over R landmarks, drawn anew among the samples of each batch, as Nystroem's kernel has
            it: a step costs R pairs of each sample in the place of all pairs. How far gradients are from those of the
            kernel is measured at 16 fakes of each fit, and logged as ``landmark_error``; above a tenth a warning says
            so, once. Where R is no less than the samples of a batch, training is exact.
        flow: Finds the dual weights in another way than these options have it; one of your own derives from
            ``kernels.dynamics.gradient_flow.GradientFlow``.

    Attributes:
        resolution: Looks at the accuracy, and has what the last look found.
        landmarks: With ``features``: draws them, and has the error of the last fit.

    Raises:
        ConfigError: If an argument is not one of those allowed, or JAX cannot be used.

    Examples:
        >>> import torch
        >>> from lightning_gantk import LSGAN, NTKDiscriminator, RBF
        >>> discriminator = NTKDiscriminator(RBF(gamma=0.5), LSGAN(), time=1.0)  # or an architecture, such as MLP(3)
        >>> real, fake = torch.full((8, 2), 1.0), torch.full((8, 2), -1.0)
        >>> discriminator.fit(real, fake)  # always (real, fake)
        >>> x = fake.clone().requires_grad_()
        >>> discriminator(x).sum().backward()  # torch's autograd, through JAX
        >>> bool((x.grad > 0).all())  # towards the reals, which score high
        True
    """

    def __init__(
        self,
        kernel: "Architecture | Kernel | None" = None,
        loss: AdversarialLoss | None = None,
        time: float = 1.0,
        kind: Literal["ntk", "nngp"] = "ntk",
        dtype: Literal["float32", "float64"] = "float32",
        rtol: float | None = None,
        initial: InitialFunction | None = None,
        inertia: float = 0.0,
        *,
        architecture: Architecture | None = None,
        check_every: int = 512,
        keep: bool = False,
        decay: float = 0.0,
        forget: float = 1e-3,
        solution: Literal["flow", "ridge"] = "flow",
        ridge: float | None = None,
        gradient_penalty: float = 0.0,
        features: int | None = None,
        flow: "GradientFlow | None" = None,
    ):
        super().__init__(loss=loss, time=time)
        if (kernel is None) == (architecture is None):
            found = f"kernel={in_words(kernel)}, architecture={in_words(architecture)}"
            raise ConfigError(
                "An infinite-width discriminator follows from either an architecture or a kernel such as "
                f"RBF(gamma=0.5): give one of the two, got {found}. In YAML null takes away "
                "what an earlier file gives."
            )
        if not isinstance(architecture, Architecture | None):
            raise ConfigError(
                f"'architecture' must be an architecture such as MLP() or DCGAN(), got {in_words(architecture)}; a "
                "kernel is given as 'kernel'."
            )
        if time is None:
            raise ConfigError("An infinite-width discriminator needs a training time, got time=None.")
        if dtype not in ("float32", "float64"):
            raise ConfigError(f"'dtype' must be 'float32' or 'float64', got {dtype!r}.")
        if rtol is not None and not (isinstance(rtol, Real) and 0 < rtol < 1):
            raise ConfigError(f"'rtol' must lie between 0 and 1, got {in_words(rtol)}.")
        resolution = Resolution(check_every, dtype)
        bridge.prepare(torch.device("cpu"))
        from lightning_gantk.kernels.dynamics.gradient_flow import GradientFlow, default_rtol
        from lightning_gantk.kernels.given import kernel_of

        landmarks = None if features is None else Landmarks(features)
        options = inertia, keep, decay, solution, ridge, gradient_penalty, features
        training = Training(self.loss, float(time), rtol or default_rtol(dtype), *options)
        given = architecture or kernel
        assert given is not None  # it is one of the two
        self.kernel = kernel_of(given, kind)
        if self.kernel.conditional and self.loss.slopes != "constant":
            raise ConfigError(
                f"{self.kernel!r} is positive definite only for weights of sum 0, which IPM has and {self.loss!r} has "
                "not: take IPM, or a kernel such as EnergyDistance."
            )
        if not isinstance(initial, InitialFunction | None):
            raise ConfigError(f"'initial' must be an InitialFunction, of an architecture say, got {in_words(initial)}.")
        if not isinstance(flow, GradientFlow | None):
            raise ConfigError(f"'flow' must be a GradientFlow of kernels.dynamics, got {in_words(flow)}.")
        self.dtype, self.initial, self.inertia = dtype, initial, inertia
        self._training, self._flow = training, flow or training.flow()
        if landmarks is not None:
            self._refuse_landmarks()
        self.landmarks = landmarks
        if ridge is not None:
            self.time = 1 / ridge  # of the flow that has the same witness
        if keep and initial is not None:
            raise ConfigError("A discriminator that is kept starts from f = 0: leave 'initial' out.")
        if gradient_penalty and initial is not None:
            raise ConfigError("With a gradient penalty f starts from 0: leave 'initial' out.")
        if not (isinstance(forget, Real) and 0 < forget <= 1):
            raise ConfigError(f"'forget' must be above 0 and at most 1, got {in_words(forget)}.")
        self.kept = Kept(math.exp(-decay * time), forget) if keep else None
        self.resolution = resolution
        if gradient_penalty or landmarks:
            resolution.every = 0  # nothing estimates its accuracy, or the landmarks do
        self._whole: tuple[int, int] | None = None  # how many reals and fakes there are, where a part of them is fitted
        self._trained: Any = None
        self._in_shape: tuple[int, ...] | None = None
        self._tried: set[tuple[int, ...]] = set()  # shapes of samples that the kernel was tried on
        self._device: torch.device | None = None
        self._compile_anew()

    def build(self, in_shape: tuple[int, ...]) -> None:
        in_shape = tuple(in_shape)
        if in_shape != self._in_shape:
            self.kernel.check(in_shape)
            self._in_shape, self._trained = in_shape, None
            if self.initial is not None:
                self.initial.build(in_shape)

    def fit(self, real: Tensor, fake: Tensor) -> None:
        """Finds the dual weights for the batch.

        Args:
            real: ``(M, ...)``.
            fake: ``(N, ...)``; M and N may differ.

        Raises:
            ConfigError: If the batches do not fit each other or the kernel.
            TrainingDiverged: If the solver comes to no end, or to no numbers (on a GPU ``check`` raises it).
            RuntimeError: If another thread is fitting this discriminator.
        """
        check_batch(real, fake)
        with fitting_alone(self):
            self._fit(real, fake)

    def fit_part(self, real: Tensor, fake: Tensor, *, of: tuple[int, int]) -> None:
        """Finds the dual weights for a part of a batch: its points have the masses that they have in the whole.

        Args:
            real: ``(M, ...)``.
            fake: ``(N, ...)``.
            of: How many reals and how many fakes the whole has.
        """
        self._whole = of
        try:
            self.fit(real, fake)
        finally:
            self._whole = None

    def share_compiled(self, other: "NTKDiscriminator") -> None:
        """Takes another's compiled functions, for parts of batches, of ever new sizes; both have the same settings."""
        self._compiled, self._gram = other._compiled, other._gram
        self._sizes.rounded = True

    def _fit(self, real: Tensor, fake: Tensor) -> None:
        self.build(real.shape[1:])
        self._take_up(real.device)
        self._use(real.device)
        with self._compiled.precision():
            fakes = self._cross(fake, "fake")
            self._try_kernel(fakes)
            reals = self._cross(real, "real", beside=len(fakes))
            f_0 = self._start((fake, len(fakes)), (real, len(reals)))
        problem = reals, fakes, *_counts(real, fake, self._whole), f_0, self._messages()
        marks = self.landmarks and self.landmarks.draw(len(fake), len(real))
        trained = self._compiled.fit(*problem) if marks is None else self._fit_on(marks, *problem)
        bridge.follow(trained.weights)  # the batch has been read: whoever owns it may change it
        # Several processes have waited for each other already.
        if self.kept is not None or not bridge.by_streams(real.device) or processes() > 1:
            self._refuse_unsolved(trained)
        if self.kept is None and marks is None:
            self._fitted.remember(fake, trained)
        self._trained = trained if self.kept is None else self._keep(self.kept, trained, real, fake)
        if self.resolution.is_due() and self.time:
            setting = f"{self.kernel!r}, {self.loss!r} and time={self.time:g}"
            self.resolution.found(self._compiled.accuracy(trained, *problem), setting)

    def _fit_on(self, marks: Any, reals: Any, fakes: Any, real_count: Any, fake_count: Any, f_0: Any, _: Any) -> Any:
        """On landmarks; each process does all of it."""
        assert self.landmarks is not None  # it has drawn them
        looks = self.landmarks.looks(fake_count)
        trained, error = self._on_landmarks.fit(reals, fakes, (real_count, fake_count), f_0, marks, looks)
        self.landmarks.found(error)
        return trained

    def reset(self) -> None:
        """Forgets what was learnt: f = 0 again."""
        self._trained = None
        if self.kept is not None:
            self.kept.clear()

    def _keep(self, kept: Kept, trained: Any, real: Tensor, fake: Tensor) -> Any:
        """The f after this fit: what it adds, and what is left of before."""
        with self._compiled.precision():
            weights = bridge.to_torch(trained.weights)
        of_fakes, of_reals = weights[: len(fake)], weights[trained.fakes : trained.fakes + len(real)]
        kept.add(*((self._cast(batch).clone(), w.clone()) for batch, w in ((real, of_reals), (fake, of_fakes))))
        return self._expansion(kept, real.device)

    def _expansion(self, kept: Kept, device: torch.device) -> Any:
        with self._compiled.precision():
            return self._compiled.expansion(*(bridge.to_jax(part) for part in kept.expansion(device)))

    def _take_up(self, device: torch.device) -> None:
        """Puts a state that was loaded into use."""
        if self.kept is not None and self.kept.changed:
            self._use(device)
            self._trained = self._expansion(self.kept, device) if self.kept else None
            self.kept.changed = False

    def check(self) -> None:
        if self._trained is not None:
            self._refuse_unsolved(self._trained)
        self._fitted.check()

    def _refuse_unsolved(self, trained: Any) -> None:
        if not trained.converged:
            raise TrainingDiverged(
                f"The gradient flow of {self.loss!r} over time {self.time:g} was not solved to "
                f"rtol={self._flow.rtol:g}. A shorter time or a larger rtol helps; so does a look at the samples for "
                "NaN or huge values."
            )

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(N,)`` of samples ``(N, ...)``, in the dtype of ``x`` (float32 for half precision).

        Differentiable once in ``x`` by torch's autograd; the fitted batch and the weights are constants of the
        derivative.

        Raises:
            ConfigError: If ``fit`` has not been called, or the samples have another shape.
        """
        self._take_up(x.device)
        if self._trained is None:
            if self.kept is not None:
                return 0 * x.flatten(1).sum(1)
            raise ConfigError("The infinite-width discriminator has no scores before fit(real, fake).")
        if tuple(x.shape[1:]) != self._in_shape or len(x) == 0:
            raise ConfigError(f"Expected samples of shape (N, {str(self._in_shape)[1:]}, got {tuple(x.shape)}.")
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        if torch.is_grad_enabled() and x.requires_grad:
            scores = _Scores.apply(wide, self, self._fitted.place_of(x, self._trained))
        else:
            scores = self._scores(wide)
        return scores if self.initial is None else scores + self.left_of_initial(x)

    def left_of_initial(self, x: Tensor) -> Tensor:
        """What training leaves of f_0 in the scores, ``(N,)``: all of it, or with decay ``f_0 exp(-decay time)``."""
        assert self.initial is not None
        return self._flow.remaining * self.initial(x)

    @torch.no_grad()
    def gram(self, x: Tensor) -> Tensor:
        """The Gram matrix ``(N, N)`` of samples ``(N, ...)``, in the discriminator's ``dtype``; needs no ``fit``."""
        import jax

        from lightning_gantk.kernels import expansion

        self.build(x.shape[1:])
        self._use(x.device)
        wide = torch.float64 if self.dtype == "float64" else torch.float32
        with self._compiled.precision():
            if self._gram is None:
                kernel = self.kernel  # no closure over self, which would live on until the garbage collector comes
                self._gram = jax.jit(lambda points: expansion.gram(kernel, points))
            points = bridge.to_jax(bridge.cast(x, wide))
            self._try_kernel(points)
            return bridge.to_torch(self._gram(points))

    @property
    def has_witness(self) -> bool:
        return self.initial is None and self._training.has_witness

    @property
    def scores_before_fit(self) -> bool:
        return self.kept is not None

    @property
    def fits_parts(self) -> bool:
        """Whether ``fit_part`` may be used."""
        return not (self._training.keep or self._training.gradient_penalty or self.landmarks)

    @torch.no_grad()
    def energy_at(self, x: Tensor) -> float:
        """Mean over samples ``(N, ...)`` of ``k(x, x) + sum_a d_a d'_a k(x, x)``: of the squares of f and its gradient.

        Raises:
            ConfigError: If the kernel has no such derivatives, or nobody says what they are.
        """
        self._use(x.device)
        with self._compiled.precision():
            return float(self.kernel.energy(self._cross(x, "x")[: len(x)]).mean())

    @torch.no_grad()
    def statistics(self, real_scores: Tensor, fake_scores: Tensor) -> dict[str, Tensor]:
        """As the base class, with the error of the landmarks."""
        found = super().statistics(real_scores, fake_scores)
        if self.landmarks is not None:
            found["landmark_error"] = real_scores.new_tensor(self.landmarks.error)
        return found

    def extra_repr(self) -> str:
        return f"kernel={self.kernel!r}, loss={self.loss!r}, time={self.time:g}, dtype={self.dtype!r}"

    def _refuse_landmarks(self) -> None:
        """Refuses what landmarks cannot stand for."""
        if self.kernel.conditional:
            raise ConfigError(
                f"'features' need a positive definite kernel, and {self.kernel!r} is one for weights of sum 0 alone: "
                "leave them out, or take a kernel such as EnergyDistance."
            )
        if self._flow.whole and self.loss.slopes != "constant":
            raise ConfigError(f"{type(self._flow).__name__} needs the Gram matrix of the batch: leave out 'features'.")

    def _compile_anew(self) -> None:
        """Makes what belongs to this process: compiled functions, the sizes they know, the fakes of the last fit."""
        self._compiled = self._training.compiled(self.kernel, self._flow, self.dtype)
        self._on_landmarks = self._training.on_landmarks(self.kernel, self._flow, self.dtype)
        self._gram: Callable | None = None
        self._sizes, self._fitted = BatchSizes(), FittedFakes()

    def __getstate__(self) -> dict[str, Any]:
        """All but compiled functions, which belong to a process: copies and pickles compile their own."""
        return {name: value for name, value in vars(self).items() if name not in _NOT_COPIED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._device = None  # JAX may not have been made ready here
        self._compile_anew()

    @staticmethod
    def _messages() -> Any:
        """To the other processes, if there are any."""
        if processes() == 1:
            return None
        from lightning_gantk.discriminators.messages import ProcessMessages

        return ProcessMessages()

    @torch.no_grad()
    def _start(self, *batches: tuple[Tensor, int]) -> Any:
        """What training starts from at each batch, filled up to a number of rows; None where that is 0."""
        if self.kept is not None and self._trained is not None:
            start = self._scores
        elif self.initial is not None:
            start = self.initial
        else:
            return None
        dtype = getattr(torch, self.dtype)
        return tuple(bridge.to_jax(bridge.fill(start(batch).to(dtype), rows)) for batch, rows in batches)

    def _scores(self, x: Tensor) -> Tensor:
        with self._compiled.precision():
            values = bridge.to_torch(self._compiled.scores(self._trained, self._cross(x, "x")))
        return values[: len(x)].to(x.dtype)

    def _scores_and_gradient(self, x: Tensor, place: int | None) -> tuple[Tensor, Tensor]:
        trained = self._trained
        with self._compiled.precision():
            if place is None:
                results = self._compiled.scores_and_gradient(trained, self._cross(x, "x"))
            elif processes() > 1:
                results = self._compiled.scores_and_gradient_at_some_fakes(trained, place, len(x))
            elif bridge.by_streams(x.device):
                fakes = bridge.to_jax(bridge.fill(self._cast(x), trained.fakes))
                *results, same = self._compiled.scores_and_gradient_at_these_fakes(trained, fakes)
                self._fitted.suspect(same)
            else:
                results = self._compiled.scores_and_gradient_at_fakes(trained)
            values, gradient = (bridge.to_torch(result)[: len(x)].to(x.dtype) for result in results)
        return values, gradient

    def _cross(self, batch: Tensor, name: str, beside: int = 0) -> Any:
        """A batch as a JAX array, filled up to a size that was compiled for where one is near enough.

        Rows for training are a multiple of the processes together with those ``beside`` them.
        """
        rows = self._sizes.rows(len(batch), name)
        if beside:
            rows += -(rows + beside) % processes()
        return bridge.to_jax(bridge.fill(self._cast(batch), rows))

    def _cast(self, batch: Tensor) -> Tensor:
        wide = torch.float64 if self.dtype == "float64" and batch.dtype == torch.float64 else torch.float32
        return bridge.cast(batch.detach(), wide)

    def _try_kernel(self, samples: Any) -> None:
        """Refuses a kernel that cannot be trained by; once for samples of a shape, on the first batch ``(N, ...)``."""
        if self._in_shape is not None and self._in_shape not in self._tried:
            from lightning_gantk.kernels.given import check_on

            check_on(self.kernel, samples)
            self._tried.add(self._in_shape)

    def _use(self, device: torch.device) -> None:
        if device != self._device:
            bridge.prepare(device)
            self.kernel.check_device(device.type)
            self._device = device


class _Scores(torch.autograd.Function):
    """Scores whose gradient came with them: the backward pass is one product in torch."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, discriminator: NTKDiscriminator, place: int | None) -> Tensor:
        values, gradient = discriminator._scores_and_gradient(x, place)
        ctx.save_for_backward(gradient, x)
        return values

    @staticmethod
    def backward(ctx: Any, *upstreams: Tensor) -> tuple[Tensor, None, None]:
        gradient, x = ctx.saved_tensors
        product = upstreams[0].view(-1, *(1,) * (gradient.ndim - 1)) * gradient
        return once(product, x), None, None


def _counts(real: Tensor, fake: Tensor, whole: tuple[int, int] | None) -> tuple[Any, Any]:
    """How many reals and fakes count; of a part, each with how many the whole has."""
    if whole is None:
        return len(real), len(fake)
    return (len(real), whole[0]), (len(fake), whole[1])
