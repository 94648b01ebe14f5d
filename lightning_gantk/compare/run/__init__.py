"""Carrying a comparison out: runs prepared, started here or on SLURM, watched."""
