# SPDX-License-Identifier: Apache-2.0
"""The program `pilothouse`, also as `python -m pilothouse`."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process; Ctrl-C while its modules are still loaded ends it quietly, too."""
    try:
        from pilothouse.app import main as run  # noqa: PLC0415 - half a second of modules is what this guards

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
