"""Timings against the budgets of the design: `python -m benchmarks [NAME...]`.

Figures that are compared with each other are measured in turns, A B A B, in one go, so that a
change of the machine's mood meets all of them. Timings are never asserted by a test.
"""
