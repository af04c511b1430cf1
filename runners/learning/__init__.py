"""Training a classifier: data, steps, checkpoints, scores; none of it knows which classifier."""
