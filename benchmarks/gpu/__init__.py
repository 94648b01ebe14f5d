"""What a GPU makes of the infinite discriminator, part by part: ``python -m benchmarks.gpu``."""
