"""Holding the clocks: the cpufreq governor, set on request and put back whatever happens."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from edgelab.durable import replace_file
from edgelab.problem import Problem
from edgelab.schema import read_json
from edgelab.telemetry import files, sensors


class FormerGovernors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the policies had before: governor by policy folder. Valid for one boot only."""

    boot_id: str
    governors: dict[str, str]


def hold(governor: str, memory: Path, boot_id: str, root: Path = Path("/")) -> None:
    """Give all policies `governor`; what they had is first written to `memory`, durably.

    Raises Problem where the kernel has no policies or does not allow it.
    """
    policies = sensors.policies(root)
    if not policies:
        raise Problem("the governor cannot be set: the kernel shows no cpufreq policy")
    former = {str(policy): files.optional_text(policy / "scaling_governor") for policy in policies}
    known = {policy: name for policy, name in former.items() if name is not None}
    replace_file(memory, msgspec.json.encode(FormerGovernors(boot_id, known)))
    try:
        for policy in policies:
            (policy / "scaling_governor").write_text(governor)
    except OSError as error:
        give_back(memory, boot_id)
        raise Problem(
            f"the governor cannot be set to {governor} ({error.strerror}): run as root, or ask "
            "for no governor"
        ) from None


def give_back(memory: Path, boot_id: str) -> None:
    """Put back what `hold` found; harmless when there is nothing to put back.

    After a reboot the kernel has its own again, and nothing is touched.
    """
    if not memory.exists():
        return
    with suppress(Problem):
        former = read_json(memory, FormerGovernors)
        if former.boot_id == boot_id:
            for policy, name in former.governors.items():
                with suppress(OSError):
                    (Path(policy) / "scaling_governor").write_text(name)
    memory.unlink(missing_ok=True)
