"""``python -m benchmarks.systems [NAME ...]``: prints the figures of docs/systems, and draws docs/images/systems."""

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks.systems import critics, digits, noise, private, ridge, score, stability, transition, widths, witnesses
from lightning_gantk.pictures import style

IMAGES = Path(__file__).parents[2] / "docs" / "images" / "systems"
_PICTURES: dict[str, Callable] = {
    "witnesses": witnesses.draw,
    "widths": widths.draw,
    "stability": stability.draw,
    "noise": noise.draw,
    "ridge": ridge.draw,
    "score": score.draw,
    "ga_ntk": digits.draw,
    "dp_ntk": private.unlabelled,
    "dp_ntk_labelled": private.labelled,
    "critics": critics.draw,
    "transition": transition.draw,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.systems", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(_PICTURES)}; all where none is given")
    parser.add_argument("--folder", type=Path, default=IMAGES, help="where pictures go")
    given = parser.parse_args()
    if unknown := set(given.names) - set(_PICTURES):
        parser.error(f"no {', '.join(sorted(unknown))}; there are {', '.join(_PICTURES)}")
    for name in given.names or _PICTURES:
        print(f"# {name}", flush=True)
        print("wrote", style.save(_PICTURES[name](), given.folder / f"{name}.png", dpi=150), flush=True)


if __name__ == "__main__":
    main()
