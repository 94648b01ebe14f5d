"""``gantk`` without an installation: ``train.py fit --config configs/quickstart.yaml``, or ``train.py --help``."""

from lightning_gantk.command.main import main

if __name__ == "__main__":
    main()
