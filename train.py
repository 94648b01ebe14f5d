"""Trains, validates and samples GANs: ``train.py fit --config configs/quickstart.yaml``, or ``train.py --help``."""

from lightning_gantk.cli import main

if __name__ == "__main__":
    main()
