"""What questions took, in tables a person reads: command line and facts of a run."""

from __future__ import annotations

from edgelab import words
from edgelab.asked import AskFigures
from edgelab.record import RunRecord

ASKED_TITLES = (
    *("precision", "questions", "img tok", "prompt tok", "preprocess ms", "vision ms"),
    *("prefill ms", "decode ms", "TTFT p50", "TTFT p90", "shared TTFT p50", "tok/s", "cut"),
)


def asked_rows(record: RunRecord) -> list[list[str]]:
    """A row a precision; times are means where they are no percentiles."""
    return [
        [summary.precision.value, *_cells(summary.asked)]
        for summary in record.passes
        if summary.asked is not None
    ]


def _cells(asked: AskFigures) -> list[str]:
    shared = f", {asked.shared} shared" if asked.shared else ""
    return [
        f"{asked.questions}{shared}",
        words.whole(asked.image_tokens),
        words.whole(asked.prompt_tokens),
        words.milliseconds(asked.preprocess_ms),
        words.milliseconds(asked.vision_ms),
        words.milliseconds(asked.prefill_ms),
        words.milliseconds(asked.decode_ms),
        words.milliseconds(asked.first_token_p50_ms),
        words.milliseconds(asked.first_token_p90_ms),
        words.milliseconds(asked.first_token_shared_p50_ms),
        words.number(asked.tokens_per_s, 1),
        str(asked.cut),
    ]
