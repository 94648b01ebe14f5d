"""Compare discriminators: one specification, many runs, one report.

``python -m lightning_gantk.compare run configs/compare/mnist_regimes.yaml``; then ``status`` and ``report``. Importing
this package imports neither torch nor JAX: jobs that only wait for a run must be light.
"""
