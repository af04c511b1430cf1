"""Asking vision-language models about images: what is asked, of whom, and what answers are worth.

`prepare.py` leaves the questions in artifacts/questions.json; `runners.ask` asks them, a process a
precision. Nothing here imports torch but `torch_engine.py`, which the measuring process chooses.
"""
