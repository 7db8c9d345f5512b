# SPDX-License-Identifier: Apache-2.0
"""Read a secret from the place where its operator keeps it: a variable of the environment, or a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["SECRET_BYTES_MAX", "read_secret"]

SECRET_BYTES_MAX = 16 << 10
"""Longer than any token; a larger file is something else."""


def read_secret(variable: str | None, file: Path | None, environment: Mapping[str, str]) -> tuple[str, str]:
    """Read a secret.

    Args:
        variable: Variable that holds it, or None.
        file: File that holds it, or None.
        environment: The variables.

    Returns:
        The secret, empty where there is none that could stand in a header, and its place for a message.

    Example:
        >>> read_secret("TOKEN", None, {"TOKEN": " s3cr3t "})
        ('s3cr3t', 'variable TOKEN')
    """
    if variable is not None:
        secret, place = environment.get(variable, "").strip(), f"variable {variable}"
    elif file is not None:
        secret, place = _read(file), f"file {file}"
    else:
        return "", "nowhere"
    return (secret if secret.isprintable() and secret.isascii() else ""), place


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(SECRET_BYTES_MAX).decode("utf-8", "replace").strip()
    except OSError:
        return ""
