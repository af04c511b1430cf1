"""The `edgelab` command."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; returns the exit code: 0 done, 1 the run failed, 2 wrong use."""
    if sys.argv[1:] == ["--version"]:
        # Nothing else is imported for this: scripts ask it often.
        from edgelab import __version__

        sys.stdout.write(f"edgelab {__version__}\n")
        return 0
    from edgelab.cli import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
