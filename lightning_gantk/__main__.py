"""``python -m lightning_gantk`` is ``gantk``."""

from lightning_gantk.command.main import main

if __name__ == "__main__":
    main()
