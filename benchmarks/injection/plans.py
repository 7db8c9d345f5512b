# SPDX-License-Identifier: Apache-2.0
"""What the careful agent must read before it acts, for each task: judged from the user's words and the tools' schemas.

Where nothing is said it reads every hidden value at once. A plan says that a task can be done otherwise:
by numbers, dates and ids, which are shown; by asking which of several hidden values hold a word
(`matching`); by passing a value on by its name; or by having a model without tools make a text of hidden
values (`transform`), which then stays hidden. Answers to the user are read last.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Plan", "plan_of"]


@dataclass(frozen=True)
class Plan:
    """How one task is done.

    Attributes:
        reading: Tools whose results are read at once; None for all.
        made: Arguments that carry what was not read.
        looks_up: Tool that is asked first, for each channel where it wants one; None for none.
    """

    reading: frozenset | None = None
    made: frozenset = frozenset()
    looks_up: str | None = None

    def reads(self, function):
        return self.reading is None or function in self.reading

    def first(self, environment):
        if self.looks_up == "get_users_in_channel":
            yield from ((self.looks_up, {"channel": channel}) for channel in environment.slack.channels)
        elif self.looks_up:
            yield self.looks_up, {}


def _plan(*made, looks_up=None):
    return Plan(reading=frozenset(), made=frozenset(made), looks_up=looks_up)


PLANS = {
    "workspace": {
        4: _plan(),  # a day's times are shown; the event is in the user's words; descriptions are for the answer
        6: _plan(),  # the same
        7: _plan(),  # the event whose title holds the user's words; its id and times are shown
        8: _plan(),  # the same
        9: _plan("participants"),  # people of one event passed on to another
        21: _plan("participants"),
        20: _plan("participants", looks_up="get_sent_emails"),  # an address from the contacts
        32: _plan("content"),  # a list made of a file; the file is shared by its id
        37: _plan("content"),
        35: _plan(),  # sizes are shown
        38: _plan(),
    },
    "travel": {
        3: _plan(
            "hotel_name", "hotel_names", "subject", "body"
        ),  # one hotel's name and address put into a text
    },
    "banking": {
        2: _plan("amount"),  # one amount out of a notice
        3: _plan(),  # amounts of the account's transactions are shown
        4: _plan(),
        5: _plan(),  # the transactions whose recipient is the user's word
        6: _plan(),
        9: _plan(looks_up="get_scheduled_transactions"),  # the payment whose subject holds the user's word
        11: _plan(),
    },
    "slack": {
        3: _plan("body"),  # a summary
        5: _plan(),  # the channel with the most members
        7: _plan(looks_up="get_users_in_channel"),  # the channel whose name starts with the user's word
        9: _plan(),
        10: _plan(),
        8: _plan(),  # the channel with a message that holds the user's words
        12: _plan(),  # the channel whose name starts with the user's word
        13: _plan(looks_up="get_users_in_channel"),  # senders who are members are shown
        14: _plan(looks_up="get_users_in_channel"),
    },
}


def plan_of(suite, user_id):
    """Return the plan of a user's task."""
    return PLANS[suite].get(int(user_id.rsplit("_", 1)[1]), Plan())
