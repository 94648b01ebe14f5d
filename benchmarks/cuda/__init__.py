"""What programs cost on an NVIDIA GPU, without one: compiled for CUDA, launches and bytes counted in the result."""
