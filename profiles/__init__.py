"""Data, no code: boards, models, datasets, tasks, studies, reference tables."""
