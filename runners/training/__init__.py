"""Training of detectors, a module a family: imported by `runners.train_detector` only."""
