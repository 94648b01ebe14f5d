"""Dual weights: gradient flow of a loss on a kernel, by what solves it fastest."""
