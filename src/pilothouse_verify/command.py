# SPDX-License-Identifier: Apache-2.0
"""`pilothouse-verify FILE`: 0 verified, 1 tampered, 2 usage, 3 consistent but not everything is proven."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from pilothouse_verify.bundle import check_bundle
from pilothouse_verify.evidence import check_evidence, is_evidence
from pilothouse_verify.proof import check_proof, is_proof

__all__ = ["main"]

VERIFIED, TAMPERED, USAGE, INCOMPLETE = 0, 1, 2, 3


def main(arguments: list[str] | None = None) -> None:
    """Check a bundle and exit with what was found.

    Args:
        arguments: Command line without the program; the process's own when None.
    """
    parser = argparse.ArgumentParser(
        prog="pilothouse-verify",
        description="Check a bundle of evidence or of the audit log without Pilothouse, without a network.",
        epilog="Exit status: 0 verified, 1 tampered, 2 usage, 3 consistent but not everything is proven.",
    )
    parser.add_argument(
        "bundle",
        type=Path,
        help="file that `pilothouse report auditor`, `audit export` or `audit prove` wrote",
    )
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
    anchors = tuple(given.checkpoint)
    if is_proof(given.bundle):
        proof = check_proof(given.bundle, key=key, anchors=anchors)
        _end(proof.problems, proof.missing, proof.summary)
    if is_evidence(given.bundle):
        evidence = check_evidence(given.bundle, key=key, anchors=anchors)
        _end(
            evidence.problems,
            evidence.missing,
            f"{evidence.word}: {evidence.recomputed} items come out the same from {evidence.records} records; "
            f"{evidence.only_digests} by digest only",
        )
    log = check_bundle(given.bundle, key=key, anchors=anchors)
    _end(
        log.problems, log.missing, f"{log.records} records under {log.checkpoints} checkpoints are consistent"
    )


def _end(problems: list[str], missing: list[str], summary: str) -> NoReturn:
    for problem in problems[:20]:
        sys.stdout.write(f"tampered: {problem}\n")
    if problems:
        sys.exit(TAMPERED)
    sys.stdout.write(f"{summary}\n")
    for one in missing:
        sys.stdout.write(f"not proven: {one}\n")
    sys.exit(INCOMPLETE if missing else VERIFIED)
