"""How an infinitely wide discriminator is trained, as its options say."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lightning_gantk.checks import number
from lightning_gantk.errors import ConfigError
from lightning_gantk.losses import IPM, AdversarialLoss

if TYPE_CHECKING:
    from lightning_gantk.kernels.base import Kernel
    from lightning_gantk.kernels.dynamics.gradient_flow import GradientFlow


@dataclass(frozen=True)
class Training:
    """Options of training, which go together or are refused.

    Attributes:
        loss: The loss.
        time: Training time of a fit.
        rtol: Tolerance.
        inertia: Of the heavy ball.
        keep: Whether fits go on from each other.
        decay: lambda of the flow.
        solution: "flow" or "ridge".
        ridge: lambda of the ridge solution.
        gradient_penalty: alpha of the ridge solution.
        features: Landmarks that stand for the batch; None for all of it.

    Raises:
        ConfigError: If an option is out of range, or two contradict each other.
    """

    loss: AdversarialLoss
    time: float
    rtol: float
    inertia: float
    keep: bool
    decay: float
    solution: Literal["flow", "ridge"]
    ridge: float | None
    gradient_penalty: float
    features: int | None = None

    def __post_init__(self) -> None:
        number("inertia", self.inertia)
        number("decay", self.decay)
        number("gradient_penalty", self.gradient_penalty)
        if self.solution not in ("flow", "ridge"):
            raise ConfigError(f"'solution' must be 'flow' or 'ridge', got {self.solution!r}.")
        if (self.solution == "ridge") != (self.ridge is not None):
            raise ConfigError(
                f"solution='ridge' and a 'ridge' go together, got solution={self.solution!r}, ridge={self.ridge}."
            )
        if self.inertia and (self.keep or self.decay):
            raise ConfigError("A heavy ball starts from rest: leave 'inertia' out, or 'keep' and 'decay'.")
        if self.features is not None and (self.keep or self.gradient_penalty):
            raise ConfigError(
                "'features' are landmarks of one batch, and stand for sums of the kernel alone: leave out 'keep' and "
                "'gradient_penalty', or 'features'."
            )
        if self.features is not None and self.solution == "ridge" and self.loss.slopes != "constant":
            raise ConfigError(
                f"The ridge solution of {self.loss!r} needs the Gram matrix of the batch: leave out 'features', or "
                "take IPM."
            )
        if self.solution == "flow":
            if self.gradient_penalty:
                raise ConfigError("'gradient_penalty' is of solution='ridge', with IPM.")
            return
        if self.inertia or self.keep or self.decay:
            raise ConfigError("The ridge solution has no past: leave out 'inertia', 'keep' and 'decay'.")
        number("ridge", self.ridge, positive=True)
        if self.loss.slopes in ("piecewise", "any"):
            raise ConfigError(
                f"The ridge solution is for losses with smooth slopes of concave a and -b; {self.loss!r} does not "
                "say that its are."
            )
        if self.gradient_penalty and not isinstance(self.loss, IPM):
            raise ConfigError(f"'gradient_penalty' at infinite width is solved for IPM, got {self.loss!r}.")

    @property
    def has_witness(self) -> bool:
        """Whether a fit with IPM gives ``t`` times the witness of the batch."""
        return not (self.inertia or self.keep or self.decay or self.gradient_penalty)

    def compiled(self, kernel: "Kernel", flow: "GradientFlow", dtype: str) -> Any:
        """The compiled functions of a kernel that is trained so."""
        from lightning_gantk.kernels.dynamics.compiled import CompiledDiscriminator
        from lightning_gantk.kernels.dynamics.penalised import PenalisedDiscriminator

        if self.ridge is not None and self.gradient_penalty:
            return PenalisedDiscriminator(kernel, float(self.ridge), float(self.gradient_penalty), dtype)
        return CompiledDiscriminator(kernel, flow, dtype)

    def on_landmarks(self, kernel: "Kernel", flow: "GradientFlow", dtype: str) -> Any:
        """The compiled functions of a fit on landmarks; None without ``features``."""
        if self.features is None:
            return None
        from lightning_gantk.kernels.dynamics.landmarks import OnLandmarks

        return OnLandmarks(kernel, flow, dtype)

    def flow(self) -> "GradientFlow":
        """What finds the dual weights."""
        from lightning_gantk.kernels.dynamics.decaying import DecayingFlow
        from lightning_gantk.kernels.dynamics.gradient_flow import GradientFlow
        from lightning_gantk.kernels.dynamics.heavy_ball import HeavyBall
        from lightning_gantk.kernels.dynamics.ridge import Ridge

        settings = self.loss, self.time, self.rtol
        if self.ridge is not None:
            return Ridge(self.loss, 1 / float(self.ridge), self.rtol, ridge=float(self.ridge))
        if self.inertia:
            return HeavyBall(*settings, inertia=float(self.inertia))
        return DecayingFlow(*settings, decay=float(self.decay)) if self.decay else GradientFlow(*settings)
