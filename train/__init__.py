"""Training in PyTorch: data, models, the fitting loop, checkpoints; model files for use are written by export."""
