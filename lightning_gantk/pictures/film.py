"""Films of a run, made of the pictures that callbacks left."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from lightning_gantk.checks import whole
from lightning_gantk.errors import ConfigError
from lightning_gantk.training.folders import shown

_LAST = 2.0  # seconds that the last picture stays


def film(
    frames: Sequence[Path], path: str | Path, *, frames_per_second: float = 10.0, width: int | None = None
) -> Path:
    """Joins pictures of one size into a film.

    Args:
        frames: PNG files, in order.
        path: A .gif file, or an .mp4 file, which needs the program ffmpeg.
        frames_per_second: Pace.
        width: In pixels, if the film is to be smaller than the pictures.

    Raises:
        ConfigError: If there are no pictures, the suffix is another, or ffmpeg is not there.
    """
    path = Path(path)
    if not frames:
        raise ConfigError(
            "A film needs pictures, and there are none: train with callbacks.ScorePictures or SampleGrid."
        )
    if not 0.01 <= frames_per_second <= 1000:
        raise ConfigError(f"'frames_per_second' must lie between 0.01 and 1000, got {frames_per_second}.")
    whole("width", width, 16, or_none=True)
    if path.suffix not in (".gif", ".mp4"):
        raise ConfigError(f"A film's file name must end in .gif or .mp4, got {str(path)!r}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [_read(frame, width) for frame in frames]
    (_to_gif if path.suffix == ".gif" else _to_mp4)(images, path, frames_per_second)
    return path


def frames_of(run: str | Path) -> list[Path]:
    """The pictures of a run, in order: of its scores, or else its sample grids.

    Args:
        run: The run's folder, or a checkpoint in it.

    Raises:
        ConfigError: If there are none.
    """
    run = Path(run)
    folder = run.absolute().parent.parent if run.suffix == ".ckpt" else run
    if not folder.is_dir():
        raise ConfigError(f"there is no run {run}: give its folder, or a checkpoint in it.")
    for name in ("pictures", "samples"):
        if found := sorted((folder / name).glob("step_*.png"), key=lambda path: (len(path.name), path.name)):
            return found
    raise ConfigError(
        f"The run in {shown(folder)} has left no pictures: train with the callback "
        "lightning_gantk.callbacks.ScorePictures (points), or SampleGrid (images)."
    )


def _read(frame: Path, width: int | None) -> Image.Image:
    with Image.open(frame) as file:
        image = file.convert("RGB")
    if width is not None and width < image.width:
        image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
    # Even sides: most players of MP4 ask for them.
    return image.crop((0, 0, image.width // 2 * 2, image.height // 2 * 2))


def _to_gif(images: list[Image.Image], path: Path, frames_per_second: float) -> None:
    # One palette for all: its colours would flicker otherwise.
    strip = Image.new("RGB", (images[0].width, 3 * images[0].height))
    for place, image in enumerate((images[0], images[len(images) // 2], images[-1])):
        strip.paste(image, (0, place * image.height))
    palette = strip.quantize(256, kmeans=2)
    drawn = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    pace = round(1000 / frames_per_second)
    durations = [pace] * (len(drawn) - 1) + [max(pace, round(1000 * _LAST))]
    drawn[0].save(path, save_all=True, append_images=drawn[1:], duration=durations, loop=0, optimize=True)


def _to_mp4(images: list[Image.Image], path: Path, frames_per_second: float) -> None:
    program = shutil.which("ffmpeg")
    if program is None:
        raise ConfigError("An .mp4 film needs the program ffmpeg, which is not there: install it, or ask for a .gif.")
    size = f"{images[0].width}x{images[0].height}"
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", f"{frames_per_second:g}", "-i", "-"]
    target = ["-an", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-loglevel", "error", str(path)]
    pixels = b"".join(image.tobytes() for image in images)
    done = subprocess.run([program, "-y", *source, *target], input=pixels, capture_output=True, check=False)
    if done.returncode:
        raise ConfigError(f"ffmpeg could not write {path}: {done.stderr.decode().strip()}")
