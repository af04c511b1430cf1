"""What a conversion is called, and its outcome in a table: the same on screen and command line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edgelab import words
from edgelab.catalogue import Catalogue
from edgelab.conversion import ConversionReport
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.settings.ask import AskSettings
from edgelab.settings.common import VLM_FILE_PRECISIONS
from edgelab.settings.convert_vlm import ConvertVlmSettings

CONVERTED = "-converted"

TITLES = ("precision", "verdict", "executed", "MB", "of source", "times as fast", "changed")


def default_name(model: str, catalogue: Catalogue, home: Home) -> str:
    """The model's own name; where a shipped profile has it, one that does not hide that."""
    name = model if catalogue.model(model) is not None else Path(model).stem
    entry = catalogue.model(name)
    shipped = entry is not None and not entry.path.is_relative_to(home.profiles)
    return f"{name}{CONVERTED}" if shipped else name


def vlm_name(model: str) -> str:
    """What the ONNX files of a checkpoint are called, which keeps its own name."""
    return f"{words.short_name(model)}{CONVERTED}"


def vlm_conversion(settings: AskSettings) -> ConvertVlmSettings:
    """Of the model that would be asked, to those of its precisions that files can have.

    Raises Problem where none can.
    """
    wanted = tuple(each for each in settings.precisions if each in VLM_FILE_PRECISIONS)
    if not wanted:
        raise Problem(f"ONNX files are made in {', '.join(VLM_FILE_PRECISIONS)}: choose one first")
    return ConvertVlmSettings(
        model=settings.model,
        revision=settings.revision,
        name=vlm_name(settings.model),
        precisions=wanted,
        threads=settings.threads,
    )


def conversion_rows(reports: Iterable[ConversionReport]) -> list[list[str]]:
    """A row a precision; `changed`: objects that come or go on the checked images, a classifier's
    answers, or a language model's next tokens."""
    return [
        [
            report.precision.value,
            report.verdict,
            report.executed.words,
            words.megabytes(report.size_bytes),
            words.number(report.size_bytes / report.source_bytes, 2),
            words.number(report.latency.ratio if report.latency else None, 2),
            _changed(report),
        ]
        for report in reports
    ]


def _changed(report: ConversionReport) -> str:
    if (tokens := report.tokens) is not None:
        return f"{tokens.tokens - tokens.same} of {tokens.tokens} next tokens"
    if (answers := report.answers) is not None:
        return f"{answers.changed} of {report.checked} answers"
    at = ", ".join(
        f"{check.changed} of {check.source} at {check.threshold:g}" for check in report.counts
    )
    return f"{at} on {report.checked} images" if at else words.UNKNOWN
