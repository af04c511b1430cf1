"""Libraries that the base install leaves out: what is missing is said in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgelab.problem import Problem


@contextmanager
def needs(extra: str, purpose: str) -> Iterator[None]:
    """Import libraries of an extra inside this; raises Problem naming the command that brings them.

    with needs("vlm", "asking a model"):
        import transformers
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise Problem(
            f"{purpose} needs {error.name}, which is not installed: pip install 'edgelab[{extra}]'"
        ) from None
