"""What a pass of questions took and gave: stages, tokens, first tokens, verdicts."""

from __future__ import annotations

from collections import Counter

import msgspec

from edgelab.records import AnswerScores, AskedItem, AskStages
from edgelab.statistics import RunningPercentiles, wilson


class AskFigures(msgspec.Struct, frozen=True, omit_defaults=True):
    """Means are over answered questions, of all repetitions; times in ms.

    `preprocess_ms`, `vision_ms` and `first_token_*` are of the questions with an image encoding of
    their own; `shared`: so many were answered from that of the question before, and
    `first_token_shared_p50_ms` is theirs. `tokens_per_s`: decoding, without the first token.
    `image_tokens`, `prompt_tokens`: means. `cut`: answers that ended at the token limit. `right`:
    of `judged` answers in words; `off_list`: those that name no class.
    """

    questions: int
    tokens: int
    tokens_per_s: float | None = None
    first_tokens: int = 0
    first_token_mean_ms: float | None = None
    first_token_p50_ms: float | None = None
    first_token_p90_ms: float | None = None
    first_token_p95_ms: float | None = None
    first_token_shared_p50_ms: float | None = None
    shared: int = 0
    preprocess_ms: float | None = None
    vision_ms: float | None = None
    prefill_ms: float | None = None
    decode_ms: float | None = None
    image_tokens: float | None = None
    prompt_tokens: float | None = None
    cut: int = 0
    judged: int = 0
    right: int = 0
    off_list: int = 0

    @property
    def right_share(self) -> float | None:
        """Right answers in words, of all that were judged."""
        return self.right / self.judged if self.judged else None


class AskTally:
    """The questions of one pass so far."""

    def __init__(self) -> None:
        self.questions = 0
        self.newest_tokens_per_s: float | None = None
        self.first_token = RunningPercentiles()
        self._first_token_shared = RunningPercentiles()
        self._tokens = self._decoded = self._cut = 0
        self._preprocess = self._vision = self._prefill = self._decode = 0.0
        self._image_tokens = self._prompt_tokens = 0
        self._verdicts: Counter[str] = Counter()
        self._agreements: Counter[str] = Counter()

    def add(self, item: AskedItem) -> None:
        """Take one more answered question."""
        if item.stages is None:
            return
        self.questions += 1
        self._tokens += item.tokens
        self._cut += item.cut
        self._image_tokens += item.image_tokens
        self._prompt_tokens += item.prompt_tokens
        self._add_stages(item.stages)
        self.newest_tokens_per_s = tokens_per_s(item)
        self._decoded += max(0, item.tokens - 1)
        if item.repetition == 0:
            self._verdicts[item.verdict or ""] += 1
            self._agreements[item.agreement or ""] += 1

    def _add_stages(self, stages: AskStages) -> None:
        self._prefill += stages.prefill
        self._decode += stages.decode
        if stages.vision_shared:
            self._first_token_shared.add(stages.first_token)
        else:
            self.first_token.add(stages.first_token)
            self._preprocess += stages.preprocess
            self._vision += stages.vision

    @property
    def tokens_per_s(self) -> float | None:
        """Speed of decoding so far; None while no answer had a second token."""
        return 1000 * self._decoded / self._decode if self._decoded and self._decode else None

    def figures(self) -> AskFigures:
        """All of it as it is kept."""
        n, own = self.questions, len(self.first_token)
        return AskFigures(
            questions=n,
            tokens=self._tokens,
            tokens_per_s=self.tokens_per_s,
            first_tokens=own,
            first_token_mean_ms=self.first_token.mean,
            first_token_p50_ms=self.first_token.at(0.50),
            first_token_p90_ms=self.first_token.at(0.90),
            first_token_p95_ms=self.first_token.at(0.95),
            first_token_shared_p50_ms=self._first_token_shared.at(0.50),
            shared=len(self._first_token_shared),
            preprocess_ms=_mean(self._preprocess, own),
            vision_ms=_mean(self._vision, own),
            prefill_ms=_mean(self._prefill, n),
            decode_ms=_mean(self._decode, n),
            image_tokens=_mean(self._image_tokens, n),
            prompt_tokens=_mean(self._prompt_tokens, n),
            cut=self._cut,
            judged=sum(n for verdict, n in self._verdicts.items() if verdict),
            right=self._verdicts["right"],
            off_list=self._verdicts["off-list"],
        )

    def scores(self, t: float, subject: str, split: str) -> AnswerScores | None:
        """How well free questions were answered, with Wilson's intervals; None where none were."""
        met = self._agreements
        questions = sum(n for agreement, n in met.items() if agreement)
        if not questions:
            return None
        within = met["exact"] + met["number"]
        return AnswerScores(
            t=t,
            subject=subject,
            split=split,
            questions=questions,
            exact=wilson(met["exact"], questions),
            relaxed=wilson(within, questions),
            contains=wilson(within + met["contains"], questions),
            unanswered=self._verdicts["unanswered"],
        )


def tokens_per_s(item: AskedItem) -> float | None:
    """Speed of decoding one answer, its first token apart; None where there was no other."""
    if item.stages is None or item.tokens < 2 or not item.stages.decode:
        return None
    return 1000 * (item.tokens - 1) / item.stages.decode


def _mean(total: float, count: int) -> float | None:
    return total / count if count else None
