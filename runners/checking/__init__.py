"""Looking through a dataset for what is wrong with it, before a run leans on it."""
