# SPDX-License-Identifier: Apache-2.0
"""What a database says in whatever language is known by its code, and a remedy fits the kind of database."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError

from pilothouse.errors import Conflict, StorageFull, StorageUnavailable
from pilothouse.ledger.translation import translated

SERVER = "postgresql://pilot@db.corp.example/ledger"


class Said(Exception):
    def __init__(self, text, **codes):
        super().__init__(text)
        self.__dict__.update(codes)


def raised(subject, text, **codes):
    with pytest.raises(Exception) as caught, translated(subject):
        raise OperationalError("SELECT 1", {}, Said(text, **codes))
    return caught.value


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        ("55P03", "storniere Anfrage wegen Zeitüberschreitung einer Sperre", Conflict),
        ("40P01", "Verklemmung entdeckt", Conflict),
        ("40001", "konnte Zugriff nicht serialisieren", Conflict),
        ("53100", "konnte Datei nicht erweitern", StorageFull),
    ],
)
def test_a_server_that_speaks_another_language_is_understood(code, text, kind):
    assert isinstance(raised(SERVER, text, sqlstate=code), kind)


def test_an_index_of_a_log_for_which_there_is_no_room_is_a_full_disk():
    found = raised("/data/ledger.sqlite", "disk I/O error", sqlite_errorname="SQLITE_IOERR_SHMSIZE")
    assert isinstance(found, StorageFull)
    other = raised("/data/ledger.sqlite", "disk I/O error", sqlite_errorname="SQLITE_IOERR_READ")
    assert type(other) is StorageUnavailable


def test_a_connection_that_was_lost_is_no_matter_of_a_folder_and_nothing_to_repeat_unseen():
    found = raised(SERVER, "FATAL:  sorry,\n too many clients already")
    assert type(found) is StorageUnavailable
    assert "sorry, too many clients already" in found.message
    assert "folder" not in found.remedy
    assert "look before you repeat it" in found.remedy
