# SPDX-License-Identifier: Apache-2.0
import pytest

from pilothouse.lake.usage import EXCLUSIVE, NO_USAGE, split_usage


def test_every_token_of_an_inclusive_total_lands_in_exactly_one_class():
    usage = split_usage(1_000, 600, 100, 50, 20)
    assert sum(usage[:5]) == 1_000 + 50


def test_a_part_larger_than_its_total_shows_that_the_total_excludes_it():
    usage = split_usage(10, 600, 0, 50, 0)
    assert (usage.input, usage.cache_read, usage.basis) == (10, 600, EXCLUSIVE)


def test_an_absent_part_is_zero_but_an_absent_total_is_unknown():
    assert split_usage(10, None, None, 5, None)[:5] == (10, 0, 0, 5, 0)
    assert split_usage(None, 3, None, 5, None) is NO_USAGE


@pytest.mark.parametrize("total", [-1, 10**10, "many", 1.5, True, [], float("nan")])
def test_a_total_that_is_no_count_is_unknown_never_zero(total):
    assert split_usage(total, None, None, 5, None) is NO_USAGE
    assert split_usage(5, None, None, total, None) is NO_USAGE


@pytest.mark.parametrize("part", [-1, 10**10, "many", 1.5, True, [], float("nan")])
def test_a_part_that_is_no_count_leaves_the_usage_unknown(part):
    assert split_usage(10, part, None, 5, None) is NO_USAGE
    assert split_usage(10, None, part, 5, None) is NO_USAGE
    assert split_usage(10, None, None, 5, part) is NO_USAGE


def test_numbers_sent_as_text_or_as_whole_floats_are_read():
    assert split_usage("12", None, None, 3.0, None)[:5] == (12, 0, 0, 3, 0)


def test_more_reasoning_than_output_is_beside_it_and_loses_no_token():
    """xAI says 1 completion token and 386 of reasoning, and bills 387."""
    usage = split_usage(12, None, None, 1, 386)
    assert (usage.output, usage.reasoning) == (1, 386)


def test_a_producer_that_is_known_to_count_reasoning_beside_is_believed():
    assert split_usage(10, None, None, 50, 20, beside=True)[3:5] == (50, 20)
    assert split_usage(10, None, None, 50, 20)[3:5] == (30, 20)


def test_an_embedding_without_output_tokens_has_usage():
    assert split_usage(10, None, None, None, None)[:5] == (10, 0, 0, 0, 0)
