"""``python -m lightning_gantk.compare`` is ``gantk compare``."""

from lightning_gantk.compare.command import main

if __name__ == "__main__":
    raise SystemExit(main())
