"""Training in PyTorch: data, models, the fitting loop, checkpoints. Model files for use are written by export, not here."""
