"""Fine-tune a vision-language model, a process a step: `python -m runners.finetune FOLDER STEP`.

prepare      reads the data, looks at every image, and splits it: artifacts/data.json
zero-shot    asks the untouched model by every prompt
train        trains adapters on the chosen prompt: artifacts/adapter/{best,last}
fine-tuned   asks the model with the best adapter, by the chosen prompt
merge        writes the model with the best adapter inside its weights: artifacts/merged

What a step needs of torch and transformers is imported in its own process, and only there.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from edgelab.home import Home
from edgelab.settings.finetune import FinetuneSettings
from edgelab.steps import FINE_TUNED, MERGE, PREPARE, TRAIN_STEP, ZERO_SHOT
from runners.extras import needs
from runners.step import open_step

PROGRAMS = {
    PREPARE: "runners.finetuning.prepare",
    ZERO_SHOT: "runners.finetuning.ask",
    TRAIN_STEP: "runners.finetuning.learn",
    FINE_TUNED: "runners.finetuning.ask",
    MERGE: "runners.finetuning.merging",
}


def main() -> None:
    """Read the command line and run one step."""
    parser = argparse.ArgumentParser(description="Run one step of a fine-tuning.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("step", choices=list(PROGRAMS))
    arguments = parser.parse_args()
    run_step(arguments.folder, arguments.step)


def run_step(folder: Path, name: str) -> None:
    """Run one step of the run in `folder`; raises SystemExit as `open_step` does."""
    with open_step(folder, name) as step:
        settings = step.settings(FinetuneSettings)
        with needs("finetune", "fine-tuning"):
            program = importlib.import_module(PROGRAMS[name])
        program.run(step, settings, Home.default())


if __name__ == "__main__":
    main()
