# SPDX-License-Identifier: Apache-2.0
"""What the system says of a file becomes an error with a remedy that can be typed."""

from __future__ import annotations

import errno
import os

import pytest

from pilothouse.errors import ExitStatus
from pilothouse.interfaces.cli.files import file_error


@pytest.mark.parametrize(
    ("number", "says", "remedy", "status"),
    [
        (errno.ENOENT, "there is no file 'a/b'", "`ls a`", ExitStatus.USAGE),
        (errno.EISDIR, "'a/b' is a folder", "`ls a/b`", ExitStatus.USAGE),
        (errno.ENOTDIR, "'a' is a file, no folder", "`ls -l a`", ExitStatus.USAGE),
        (errno.EEXIST, "'a/b' is there already", "`ls -ld a/b`", ExitStatus.USAGE),
        (errno.EACCES, "'a/b' may not be read or written: ", "`ls -ld a/b a`", ExitStatus.INFRASTRUCTURE),
        (errno.EROFS, "'a/b' may not be read or written: ", "`ls -ld a/b a`", ExitStatus.INFRASTRUCTURE),
        (errno.ENOSPC, "the disk is full", "`df -h`", ExitStatus.INFRASTRUCTURE),
    ],
)
def test_what_is_foreseen_has_a_remedy(number, says, remedy, status):
    error = file_error(OSError(number, os.strerror(number), "a/b"))
    assert error is not None
    assert error.message.startswith(says)
    assert error.remedy.endswith(remedy)
    assert error.exit_status is status


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EIO, "broken", "a/b"), ConnectionRefusedError(errno.ECONNREFUSED, "refused"), OSError()],
)
def test_what_is_not_foreseen_stays_a_bug(error):
    assert file_error(error) is None
