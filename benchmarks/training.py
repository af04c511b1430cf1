"""Training throughput against a bare PyTorch loop on the same model and data."""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures import Budget, Section, Spread, Table, with_noise
from benchmarks.processes import run_program

ROUNDS, STEPS, THREADS = 7, 12, 2
BOUND = 1.03

_LOOPS = {
    "ours": "the lab's trainer",
    "bare": "bare loop, data in the same process",
    "bare_worker": "bare loop, data in a worker process",
}


def measure(folder: Path) -> Section:
    """The three loops in turns, in one process."""
    section = Section(
        "Training",
        f"The 3-block ViT-Tiny at 64 px, patches of 8, batch 32, {THREADS} threads; {STEPS} steps "
        f"a round, {ROUNDS} rounds in turns. Images in memory, augmented by the same code. The "
        "lab's trainer makes batches ahead in a thread and writes a journal line a step; the bare "
        "loops are a DataLoader, forward, backward, AdamW. CPU of the worker process is not "
        "counted.",
    )
    found = run_program("train_loop", ROUNDS, STEPS, THREADS, home=folder)
    spreads = {name: Spread.of(values) for name, values in found.items()}
    ratios = {name: spreads["ours"].over(spreads[name]) for name in _LOOPS}
    section.tables.append(
        Table(
            ("loop", "ms a step", "CPU ms a step", "ours / this"),
            tuple(
                (
                    title,
                    with_noise(_ms(spreads[name]), ".0f"),
                    with_noise(_ms(spreads[f"{name}_cpu"]), ".0f"),
                    with_noise(ratios[name], ".3f"),
                )
                for name, title in _LOOPS.items()
            ),
        )
    )
    section.budgets += [
        Budget("training step / a bare PyTorch loop's", BOUND, ratios["bare"], "x", ".3f"),
        Budget(
            "training step / the same, data in a worker", BOUND, ratios["bare_worker"], "x", ".3f"
        ),
    ]
    return section


def _ms(seconds: Spread) -> Spread:
    return Spread.of(1000 * value for value in seconds.values)
