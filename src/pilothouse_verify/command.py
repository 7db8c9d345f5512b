# SPDX-License-Identifier: Apache-2.0
"""`pilothouse-verify BUNDLE`: 0 verified, 1 tampered, 2 usage, 3 consistent but not everything is proven."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pilothouse_verify.bundle import check_bundle

__all__ = ["main"]

VERIFIED, TAMPERED, USAGE, INCOMPLETE = 0, 1, 2, 3


def main(arguments: list[str] | None = None) -> None:
    """Check a bundle and exit with what was found.

    Args:
        arguments: Command line without the program; the process's own when None.
    """
    parser = argparse.ArgumentParser(
        prog="pilothouse-verify",
        description="Check an audit bundle without Pilothouse, without a network.",
        epilog="Exit status: 0 verified, 1 tampered, 2 usage, 3 consistent but not everything is proven.",
    )
    parser.add_argument("bundle", type=Path, help="file that `pilothouse audit export` wrote")
    parser.add_argument(
        "--key", help="the log's verifier key, or a file with it, from another way than the bundle"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        action="append",
        default=[],
        help="checkpoint from an anchor; may be repeated",
    )
    given = parser.parse_args(arguments)
    for path in (given.bundle, *given.checkpoint):
        if not path.is_file():
            parser.error(f"there is no file {path}")
    key = given.key
    if key is not None and Path(key).is_file():
        key = Path(key).read_text(encoding="utf-8")
    result = check_bundle(given.bundle, key=key, anchors=tuple(given.checkpoint))
    for problem in result.problems[:20]:
        sys.stdout.write(f"tampered: {problem}\n")
    if result.problems:
        sys.exit(TAMPERED)
    sys.stdout.write(f"{result.records} records under {result.checkpoints} checkpoints are consistent\n")
    for missing in result.missing:
        sys.stdout.write(f"not proven: {missing}\n")
    sys.exit(INCOMPLETE if result.missing else VERIFIED)
