"""Pictures for every logger that takes them."""

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from torch import Tensor


def show(trainer: Trainer, name: str, picture: Tensor, step: int) -> None:
    """Gives a picture to each of a trainer's loggers that takes pictures, and passes over the others.

    TensorBoard, Weights & Biases, MLflow and Comet take them; and any logger of your own that has
    ``log_image(key, images, step=step)``, with a list of Pillow's images, as Lightning's of Weights & Biases has.

    Args:
        trainer: Whose loggers they are.
        name: Of the picture, the same at each step.
        picture: ``(3, h, w)`` in [0, 1].
        step: Generator steps.
    """
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(name, picture, step)
        elif (give := _way(logger)) is not None:
            bytes_ = (255 * picture.detach().float().clamp(0, 1)).round().byte()
            give(name, Image.fromarray(bytes_.movedim(0, -1).cpu().numpy()), step)


def _way(logger: Any) -> Any:
    """How a logger takes a picture; None for one that takes none."""
    if hasattr(logger, "log_image"):  # Weights & Biases
        return lambda name, image, step: logger.log_image(key=name, images=[image], step=step)
    kind = type(logger).__name__
    if kind == "MLFlowLogger":
        return lambda name, image, step: logger.experiment.log_image(logger.run_id, image, key=name, step=step)
    if kind == "CometLogger":
        return lambda name, image, step: logger.experiment.log_image(image, name=name, step=step)
    return None
