"""The installed command ``gantk``: what it can answer without torch, it answers without torch."""
