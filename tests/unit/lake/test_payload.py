# SPDX-License-Identifier: Apache-2.0
import json

from pilothouse.lake.payload import flattened_prefix, preview, rebuild_list


def test_flattened_messages_with_tool_calls_become_one_list():
    flat = [
        ("0.message.role", "assistant"),
        ("0.message.tool_calls.0.tool_call.id", "t1"),
        ("0.message.tool_calls.0.tool_call.function.name", "lookup"),
        ("0.message.contents.0.message_content.text", "hello"),
    ]
    assert rebuild_list(flat) == [
        {
            "role": "assistant",
            "tool_calls": [{"id": "t1", "function": {"name": "lookup"}}],
            "contents": [{"text": "hello"}],
        }
    ]


def test_items_come_in_index_order_however_they_were_sent():
    assert rebuild_list([("10.message.content", "k"), ("2.message.content", "b")]) == [
        {"content": "b"},
        {"content": "k"},
    ]


def test_a_value_where_a_map_was_begun_is_replaced_not_an_error():
    assert rebuild_list([("0.message", "text"), ("0.message.content", "b")])


def test_only_known_lists_followed_by_an_index_are_flattened_lists():
    assert flattened_prefix("llm.input_messages.3.message.role") == "llm.input_messages."
    assert flattened_prefix("llm.input_messages.mime") is None
    assert flattened_prefix("my.own.0.key") is None


def test_the_preview_is_the_last_user_message_in_every_convention():
    parts = json.dumps(
        [
            {"role": "user", "parts": [{"type": "text", "content": "first"}]},
            {"role": "user", "parts": [{"type": "text", "content": "last"}]},
        ]
    )
    plain = json.dumps([{"role": "user", "content": "last"}, {"role": "assistant", "content": "answer"}])
    listed = json.dumps([{"role": "user", "content": [{"type": "text", "text": "last"}]}])
    human = json.dumps([{"role": "human", "contents": [{"text": "last"}]}])
    assert {preview(text, of_user=True) for text in (parts, plain, listed, human)} == {"last"}


def test_a_preview_of_what_is_no_message_list_is_its_beginning():
    assert preview("[1, 2", of_user=True) == "[1, 2"
    assert preview('{"question": "x"}', of_user=True) == '{"question": "x"}'
    assert len(preview("x" * 10_000, of_user=False)) == 256


def test_the_preview_of_a_graphs_state_is_its_last_words():
    state = (
        '{"messages": [{"type": "human", "data": {"content": "Where is it?"}},'
        ' {"type": "ai", "data": {"content": "", "tool_calls": []}},'
        ' {"type": "tool", "data": {"content": "shipped"}},'
        ' {"type": "ai", "data": {"content": "It has been shipped."}}]}'
    )
    assert preview(state, of_user=True) == "Where is it?"
    assert preview(state, of_user=False) == "It has been shipped."


def test_a_state_without_a_conversation_is_shown_as_it_is():
    assert preview('{"messages": 3}', of_user=True) == '{"messages": 3}'
