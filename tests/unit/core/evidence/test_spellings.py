# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from pilothouse.core.evidence.spellings import says, spellings


@pytest.mark.parametrize(
    "subject", ["Jürgen Groß", "O'Brien", 'the "boss"', "a\\b", "two\nlines", "😀", "Kim 4711", "a<b@c>"]
)
@pytest.mark.parametrize("packed", [0, 1, 2, 3])
@pytest.mark.parametrize("is_ascii", [True, False])
def test_a_subject_is_found_however_often_json_packed_it(subject, packed, is_ascii):
    text = f"ask {subject} please"
    for _ in range(packed):
        text = json.dumps({"said": text}, ensure_ascii=is_ascii)
    assert says(text, spellings(subject))
    assert not says(text, spellings(f"x{subject}"))


def test_encoders_that_write_for_pages_are_read():
    assert says('{"said": "ask O\\u0027Brien \\u003ckim@x\\u003e"}', spellings("O'Brien <kim@x>"))


def test_what_json_does_not_change_is_looked_for_once():
    assert spellings("kim@customer.example") == ("kim@customer.example",)
