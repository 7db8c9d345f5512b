# SPDX-License-Identifier: Apache-2.0
"""The two keys of a log, as files beside the ledger: one signs checkpoints, one wraps the keys of persons."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pilothouse.durable_file import fsync_path, made_once
from pilothouse.errors import StorageUnavailable
from pilothouse.ledger.checkpoint import VerifierKey, verifier_key_of

__all__ = [
    "SIGNER_FILE",
    "WRONG_KEY_REMEDY",
    "AuditKeys",
    "StagedSigner",
    "load_keys",
    "put_in_force",
    "stage_signer",
]

SIGNER_FILE, WRAPPER_FILE, NAME_FILE = "audit-signer.key", "audit-wrapper.key", "audit-origin.txt"
KEY_BYTES = 32

WRONG_KEY_REMEDY = (
    f"Put back the {SIGNER_FILE} that lies in a backup of this ledger, made after its last `pilothouse audit rotate-key`; "
    "a key is replaced by that command, never by its file."
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AuditKeys:
    """Keys of one log.

    Attributes:
        folder: Where they are kept.
        origin: Name of the log, which no other log of the world has.
        signer: Signs checkpoints.
        wrapper: Encrypts the keys of persons.
    """

    folder: Path
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
            folder=folder,
            origin=origin,
            signer=Ed25519PrivateKey.from_private_bytes(signer),
            wrapper=AESGCM(wrapper),
        )
    except (OSError, ValueError) as error:
        raise StorageUnavailable(
            f"the keys of the audit log in {str(folder)!r} cannot be read or made",
            remedy="Restore that folder from a backup, or look at its rights: `pilothouse doctor`.",
            subject=str(folder),
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StagedSigner:
    """A key that is on the disk and signs nothing yet.

    Attributes:
        signer: The key.
        path: Its file, which has a name of its own: of two who replace the key at once, neither writes over the other's.
    """

    signer: Ed25519PrivateKey
    path: Path


def stage_signer(keys: AuditKeys) -> StagedSigner:
    """Make a new signing key and have it on the disk, beside the one in force.

    Args:
        keys: Keys of the log.

    Raises:
        StorageUnavailable: It cannot be written.
    """
    signer = Ed25519PrivateKey.generate()
    path = _staged_path(keys.folder, verifier_key_of(keys.origin, signer))
    try:
        made_once(path, signer.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))
    except OSError as error:
        raise StorageUnavailable(
            f"a new key of the audit log cannot be written into {str(keys.folder)!r} ({error.strerror})",
            remedy="Look at the rights of that folder and at the disk: `pilothouse doctor`.",
            subject=str(keys.folder),
        ) from error
    return StagedSigner(signer=signer, path=path)


def put_in_force(keys: AuditKeys, present: VerifierKey) -> AuditKeys:
    """Put the file of a new key, which the log names already, in the place of the old one, and return the keys as they lie there.

    Args:
        keys: Keys of the log.
        present: The key that signs from now on.

    Raises:
        StorageUnavailable: The keys cannot be read or written.
    """
    staged = _staged_path(keys.folder, present)
    try:
        if staged.exists():
            staged.replace(keys.folder / SIGNER_FILE)
            fsync_path(keys.folder)
    except FileNotFoundError:  # another process has just done it
        pass
    except OSError as error:
        raise StorageUnavailable(
            f"the new key of the audit log stays in {staged} ({error.strerror})",
            remedy=f"Look at the rights of that folder, then sign again: `pilothouse audit checkpoint` moves it to {SIGNER_FILE}.",
            subject=str(keys.folder),
        ) from error
    return load_keys(keys.folder)


def _staged_path(folder: Path, key: VerifierKey) -> Path:
    return folder / f"audit-signer-{key.key_id.hex()}.key"
