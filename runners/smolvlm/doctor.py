"""The doctor for ONNX files of a SmolVLM: do they go on as their checkpoint did?

Each next token is asked for behind the checkpoint's own words, so that one that differs does not
make all that follow incomparable. FP32 must be the same model; what fewer bits cost is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgelab.conversion import TokenCheck
from edgelab.settings.common import Precision
from runners.smolvlm.model import SmolVlm
from runners.smolvlm.reference import Floats, Reply, picture

FP32_ERROR = 1e-3
"""Of the logits, relative: two runtimes add up in another order, and no more."""


@dataclass(frozen=True)
class Examination:
    """What was found. `other_prompts`: questions whose prompt has other tokens than torch's.

    `tokens` is None where no logits were finite.
    """

    replies: int
    other_prompts: int
    not_finite: int
    tokens: TokenCheck | None

    def refusal(self, precision: Precision) -> str | None:
        """Why the files are not to be used; None where they are good."""
        if self.other_prompts:
            return f"{self.other_prompts} of {self.replies} prompts are not those of transformers"
        if self.not_finite or self.tokens is None:
            return f"{self.not_finite} next tokens have logits that are no finite numbers"
        found = self.tokens
        if precision is Precision.FP32 and (
            found.largest_error > FP32_ERROR or found.same < found.tokens
        ):
            return (
                f"another model than the checkpoint: logits are off by {found.largest_error:.2%} "
                f"(at most {FP32_ERROR:.1%}), {found.tokens - found.same} of {found.tokens} tokens "
                "differ"
            )
        return None


def examine(
    model: SmolVlm,
    replies: Sequence[Reply],
    logits: Sequence[Floats],
    on_reply: Callable[[int], None],
) -> Examination:
    """Hold a model against the replies of its checkpoint; `logits` are theirs."""
    errors: list[float] = []
    same = other_prompts = not_finite = 0
    for number, (reply, wanted) in enumerate(zip(replies, logits, strict=True), start=1):
        seen = model.look(picture(reply.image), split=False)
        other_prompts += model.prompt(seen, reply.question) != list(reply.prompt)
        found = model.next_logits(seen, reply.question, reply.tokens)
        finite = np.isfinite(found).all(axis=1)
        not_finite += int((~finite).sum())
        same += int((found.argmax(axis=1) == wanted.argmax(axis=1))[finite].sum())
        off = np.linalg.norm(found - wanted, axis=1) / np.linalg.norm(wanted, axis=1)
        errors += off[finite].tolist()
        on_reply(number)
    check = TokenCheck(len(errors), same, float(np.mean(errors)), max(errors)) if errors else None
    return Examination(len(replies), other_prompts, not_finite, check)
