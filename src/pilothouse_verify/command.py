# SPDX-License-Identifier: Apache-2.0
"""`pilothouse-verify FILE`: 0 verified, 1 tampered, 2 usage or no bundle, 3 consistent but not everything is proven."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import NoReturn

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
        epilog="Exit status: 0 verified, 1 tampered, 2 usage or no bundle, 3 consistent but not everything is proven.",
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
    # Whatever stops this program ends with 2: an uncaught error ends with 1, which says that somebody tampered.
    if importlib.util.find_spec("cryptography") is None:
        parser.error("signatures are checked with the package `cryptography`, which is not installed here")
    for path in (given.bundle, *given.checkpoint):
        try:
            path.open("rb").close()
        except OSError as error:
            parser.error(f"{_visible(str(path))} cannot be opened: {error.strerror}")
    key = given.key
    if key is not None and Path(key).is_file():
        key = Path(key).read_text(encoding="utf-8", errors="replace")
    _check(parser, given.bundle, key, tuple(given.checkpoint))


def _check(
    parser: argparse.ArgumentParser, bundle: Path, key: str | None, anchors: tuple[Path, ...]
) -> NoReturn:
    from pilothouse_verify.bundle import check_bundle, why_no_bundle  # noqa: PLC0415 - reads signatures, with what may be missing
    from pilothouse_verify.evidence import check_evidence, is_evidence  # noqa: PLC0415 - same reason
    from pilothouse_verify.proof import check_proof, is_proof  # noqa: PLC0415 - same reason

    if is_proof(bundle):
        proof = check_proof(bundle, key=key, anchors=anchors)
        _end(proof.problems, proof.missing, proof.summary)
    why_not = why_no_bundle(bundle)
    if why_not:
        parser.error(
            f"{_visible(str(bundle))} is no bundle: {why_not}. Give the file that `pilothouse report auditor`, "
            "`audit export` or `audit prove` wrote."
        )
    if is_evidence(bundle):
        evidence = check_evidence(bundle, key=key, anchors=anchors)
        _end(
            evidence.problems,
            evidence.missing,
            f"{evidence.word}: {evidence.recomputed} items come out the same from {evidence.records} records; "
            f"{evidence.only_digests} by digest only",
        )
    log = check_bundle(bundle, key=key, anchors=anchors)
    _end(
        log.problems, log.missing, f"{log.records} records under {log.checkpoints} checkpoints are consistent"
    )


def _end(problems: list[str], missing: list[str], summary: str) -> NoReturn:
    for problem in problems[:20]:
        _say(f"tampered: {problem}")
    if problems:
        sys.exit(TAMPERED)
    _say(summary)
    for one in missing:
        _say(f"not proven: {one}")
    sys.exit(INCOMPLETE if missing else VERIFIED)


def _say(line: str) -> None:
    """Write one line; a file that names itself over several, or with what a terminal obeys, adds no word of ours."""
    written = _visible(line).encode(sys.stdout.encoding or "ascii", "backslashreplace")
    sys.stdout.write(written.decode(sys.stdout.encoding or "ascii") + "\n")


def _visible(text: str) -> str:
    return "".join(char if char.isprintable() else f"<U+{ord(char):04X}>" for char in text)
