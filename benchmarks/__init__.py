"""Speed and memory of the discriminators: ``python -m benchmarks``."""

import lightning_gantk as lightning_gantk  # before torch, whose threads it tells how long to spin
