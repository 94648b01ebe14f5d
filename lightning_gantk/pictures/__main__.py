"""``python -m lightning_gantk.pictures`` is ``gantk pictures``."""

from lightning_gantk.command.pictures import main

if __name__ == "__main__":
    main()
