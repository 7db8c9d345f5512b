# SPDX-License-Identifier: Apache-2.0
"""The two keys of a log, as files beside the ledger: one signs checkpoints, one wraps the keys of persons."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pilothouse.durable_file import made_once
from pilothouse.errors import StorageUnavailable
from pilothouse.ledger.checkpoint import VerifierKey, verifier_key_of

__all__ = ["AuditKeys", "load_keys"]

SIGNER_FILE, WRAPPER_FILE, NAME_FILE = "audit-signer.key", "audit-wrapper.key", "audit-origin.txt"
KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AuditKeys:
    """Keys of one log.

    Attributes:
        origin: Name of the log, which no other log of the world has.
        signer: Signs checkpoints.
        wrapper: Encrypts the keys of persons.
    """

    origin: str
    signer: Ed25519PrivateKey
    wrapper: AESGCM

    @property
    def verifier(self) -> VerifierKey:
        """The public half, for auditors."""
        return verifier_key_of(self.origin, self.signer)


def load_keys(folder: Path) -> AuditKeys:
    """Read the keys of a log, and make them when there are none yet.

    Args:
        folder: Where they are kept, readable by this user only.

    Raises:
        StorageUnavailable: They cannot be read or made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        origin = made_once(folder / NAME_FILE, f"pilothouse/{os.urandom(8).hex()}".encode()).decode()
        fresh = Ed25519PrivateKey.generate().private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        signer = made_once(folder / SIGNER_FILE, fresh)
        wrapper = made_once(folder / WRAPPER_FILE, os.urandom(KEY_BYTES))
        return AuditKeys(
            origin=origin, signer=Ed25519PrivateKey.from_private_bytes(signer), wrapper=AESGCM(wrapper)
        )
    except (OSError, ValueError) as error:
        raise StorageUnavailable(
            f"the keys of the audit log in {str(folder)!r} cannot be read or made",
            remedy="Restore that folder from a backup, or look at its rights: `pilothouse doctor`.",
            subject=str(folder),
        ) from error
