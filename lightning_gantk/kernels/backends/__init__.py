"""Who computes sums over a kernel, their gradients and Gram matrices: JAX, native code on the CPU, any kernel's own."""
