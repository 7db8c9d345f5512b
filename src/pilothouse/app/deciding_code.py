# SPDX-License-Identifier: Apache-2.0
"""Digests the deciding code, so that items decided by other code are decided again."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

__all__ = ["deciding_code", "digest_of_sources"]


def digest_of_sources(folder: Path) -> str:
    """Return the SHA-256 of all Python files below a folder, with their places, in hex.

    Contents and not times, because two nodes of one ledger must say the same of the same code.
    """
    whole = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        whole.update(hashlib.sha256(file.read_bytes()).digest())
        whole.update(f" {file.relative_to(folder).as_posix()}\n".encode())
    return whole.hexdigest()


@cache
def deciding_code() -> str:
    """Return the digest of the core as this process runs it: read once, when the first verdict is made."""
    import pilothouse.core

    return digest_of_sources(Path(pilothouse.core.__path__[0]))
