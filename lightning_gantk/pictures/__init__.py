"""Pictures for papers: score fields, widths against infinity, influence of one point, films.

``python -m lightning_gantk.pictures --help`` draws them from the command line, ``callbacks.ScorePictures`` during
training. matplotlib is imported on first use.
"""
