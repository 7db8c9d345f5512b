# SPDX-License-Identifier: Apache-2.0
import gzip
import random

import pytest

from pilothouse.errors import LimitExceeded, MalformedRecord
from pilothouse.lake import inflate as module
from pilothouse.lake.inflate import inflate


def test_a_body_of_several_members_is_one_body():
    assert inflate(gzip.compress(b"one ") + gzip.compress(b"two")) == b"one two"


def test_a_body_of_very_many_members_is_refused():
    """Each copied what was left: 16 MiB of empty members, 20 bytes each, kept the server busy for minutes."""
    with pytest.raises(LimitExceeded, match="16 gzip members"):
        inflate(gzip.compress(b"") * 800_000)


def test_an_empty_body_inflates_to_nothing():
    assert inflate(gzip.compress(b"")) == b""


@pytest.mark.parametrize("cut", [1, 5, 12, 20])
def test_a_truncated_body_is_malformed(cut):
    body = gzip.compress(bytes(range(200)))
    with pytest.raises(MalformedRecord):
        inflate(body[:-cut])


def test_what_is_no_gzip_is_malformed():
    with pytest.raises(MalformedRecord):
        inflate(b"not compressed at all")


def test_a_bomb_is_refused_by_its_ratio_before_it_is_whole():
    bomb = gzip.compress(bytes(40 << 20))
    with pytest.raises(LimitExceeded, match="200 times"):
        inflate(bomb)


def test_a_large_body_is_refused_by_its_size(monkeypatch):
    monkeypatch.setattr(module, "INFLATED_BYTES_MAX", 1 << 16)
    with pytest.raises(LimitExceeded, match="65536"):
        inflate(gzip.compress(random.Random(1).randbytes(1 << 17)))


def test_a_large_body_of_an_ordinary_ratio_passes():
    plain = random.Random(1).randbytes(1 << 16) * 40
    assert inflate(gzip.compress(plain)) == plain
