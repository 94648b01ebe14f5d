"""Speed and memory of the discriminators: ``python -m benchmarks``."""
