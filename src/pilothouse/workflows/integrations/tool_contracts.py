# SPDX-License-Identifier: Apache-2.0
"""Reads the contract files that a charter names (charter + its folder → contracts with their digests)."""

from __future__ import annotations

from pathlib import Path

from pilothouse.core.charter.answers import known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.charter.contract import ToolContract, file_digest, parse_contract
from pilothouse.errors import CharterInvalid, Place

__all__ = ["CONTRACT_BYTES_MAX", "read_contracts"]

CONTRACT_BYTES_MAX = 1024 * 1024
"""Two schemas and a page of text; more is something else."""


def read_contracts(charter: Charter, folder: Path) -> dict[str, tuple[ToolContract, str]]:
    """Return contract and file digest of each tool whose file is there.

    Args:
        charter: The charter.
        folder: Folder of the charter; its paths are relative to it.

    Raises:
        CharterInvalid: A file is there and is no contract.
    """
    found: dict[str, tuple[ToolContract, str]] = {}
    for name, policy in (known(charter.tools) or {}).items():
        relative = known(policy.contract)
        if relative is None:
            continue
        path = folder / relative
        try:
            with path.open("rb") as file:
                raw = file.read(CONTRACT_BYTES_MAX + 1)
        except OSError:
            continue
        try:
            text = raw.decode() if len(raw) <= CONTRACT_BYTES_MAX else ""
        except UnicodeDecodeError:
            text = ""
        if not text:
            raise CharterInvalid(
                f"{path} is no tool contract",
                remedy=f"Give a JSON file in UTF-8 of at most {CONTRACT_BYTES_MAX // 1024} KiB, then `pilothouse check`.",
                findings=("file: empty, too large or no UTF-8",),
                subject=str(path),
                place=Place(str(path)),
            )
        found[name] = (parse_contract(text, path=str(path)), file_digest(raw))
    return found
