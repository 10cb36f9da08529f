"""How the reference models are trained: data, transformers' Trainer, and what is told of a run."""
