# SPDX-License-Identifier: Apache-2.0
"""Tool policies for the suites, from the documentation of their tools alone; nothing in the product knows a suite."""

from __future__ import annotations

from pilothouse.core.charter.systems import Tool

TASK_TYPE = "assistant"
FREE = ["request", "owner", "registry"]


def text(role="neutral"):
    return {"role": role, "type": "text", "max": 100_000, "origins": FREE}


def target(kind, origins=FREE, required=True):
    return {"role": "target", "type": kind, "origins": origins, "required": required}


def texts(names, role="neutral"):
    return {name: text(role) for name in names.split()}


# Before anything untrusted was read an amount may be worked out; afterwards the rule of two asks for a proven one.
AMOUNT = {"role": "magnitude", "type": "number", "max": 2500.0, "origins": [*FREE, "field", "model"]}
# An id that the system minted in this task names an object; once something untrusted was read it proves nothing.
BY_HANDLE = [*FREE, "handle"]


def fields(names, **typed):
    """Fields of a result, as its schema says; those of a poor type are named with it."""
    poor = {name: {"type": kind} for name, kind in typed.items()}
    return {**{name: {} for name in names.split()}, **poor}


def status(values):
    return {"status": {"type": "enum", "values": values.split()}}


MINTED = {"origin": "handle", "integrity": "trusted"}
HANDLE = {"id_": MINTED}
NUMBER = {"id": MINTED}
MAILS = {
    **HANDLE,
    **fields("sender recipients cc bcc subject body read attachments", timestamp="datetime"),
    **status("sent received draft"),
}
EVENTS = {
    **HANDLE,
    **fields("title description location participants all_day", start_time="datetime", end_time="datetime"),
    **status("confirmed canceled"),
}
SENT = dict(MAILS)
CONTACTS = fields("email name")
FILES = {**HANDLE, **fields("filename content owner shared_with size", last_modified="datetime")}
PAID = {**NUMBER, **fields("sender recipient amount subject recurring", date="date")}

# Sends something to a person: recipients must be proven, content is payload.
EMAIL = {
    "recipients": target("email"),
    "cc": target("email", required=False),
    "bcc": target("email", required=False),
    **texts("subject body attachments", "payload"),
}
EVENT = {**texts("title description location", "payload"), **texts("start_time end_time")}
# The documentation says that participants are mailed; without any, an event is in one's own calendar.
CALENDAR = {
    "create_calendar_event": ("internal", EVENT, EVENTS),
    "create_calendar_event+participants": ("external", {**EVENT, "participants": target("email")}, EVENTS),
    "search_calendar_events": ("read", texts("query date"), EVENTS),
    "get_day_calendar_events": ("read", texts("day"), EVENTS),
    "cancel_calendar_event": ("external", {"event_id": target("id")}, {}),
}
WORKSPACE = {
    **CALENDAR,
    "send_email": ("external", EMAIL, MAILS),
    "delete_email": ("irreversible", {"email_id": target("id")}, {}),
    "get_unread_emails": ("read", {}, MAILS),
    "get_sent_emails": ("read", {}, SENT),
    "get_received_emails": ("read", {}, MAILS),
    "get_draft_emails": ("read", {}, MAILS),
    "search_emails": ("read", texts("query sender"), MAILS),
    "search_contacts_by_name": ("read", texts("query"), CONTACTS),
    "search_contacts_by_email": ("read", texts("query"), CONTACTS),
    "get_current_day": ("read", {}, {"$": {"integrity": "trusted"}}),
    "reschedule_calendar_event": (
        "external",
        {"event_id": target("id", BY_HANDLE), **texts("new_start_time new_end_time")},
        EVENTS,
    ),
    "add_calendar_event_participants": (
        "external",
        {"event_id": target("id", BY_HANDLE), "participants": target("email")},
        EVENTS,
    ),
    "append_to_file": (
        "internal",
        {"file_id": target("id", BY_HANDLE), "content": text("payload")},
        FILES,
    ),
    "search_files_by_filename": ("read", texts("filename"), FILES),
    "create_file": ("internal", texts("filename content", "payload"), FILES),
    "delete_file": ("irreversible", {"file_id": target("id", BY_HANDLE)}, FILES),
    "get_file_by_id": ("read", texts("file_id"), FILES),
    "list_files": ("read", {}, FILES),
    "share_file": (
        "external",
        {
            "file_id": target("id", BY_HANDLE),
            "email": target("email"),
            "permission": {"role": "neutral", "type": "enum", "values": ["r", "rw"]},
        },
        FILES,
    ),
    "search_files": ("read", texts("query"), FILES),
}
READS_OF_TRAVEL = (
    "get_user_information get_all_hotels_in_city get_hotels_prices get_rating_reviews_for_hotels get_hotels_address "
    "get_all_restaurants_in_city get_cuisine_type_for_restaurants get_restaurants_address "
    "get_rating_reviews_for_restaurants get_dietary_restrictions_for_all_restaurants "
    "get_contact_information_for_restaurants get_price_for_restaurants check_restaurant_opening_hours "
    "get_all_car_rental_companies_in_city get_car_types_available get_rating_reviews_for_car_rental "
    "get_car_fuel_options get_car_rental_address get_car_price_per_day get_flight_information"
)
NAMED = "city hotel_names hotel_name restaurant_names company_name departure_city arrival_city"
TRAVEL = {
    **{name: ("read", texts(NAMED), {}) for name in READS_OF_TRAVEL.split()},
    **CALENDAR,
    "send_email": ("external", EMAIL, HANDLE),
    # A reservation is made with a stranger: what is reserved must be what the requester named.
    "reserve_hotel": ("external", {"hotel": target("text"), **texts("start_day end_day")}, {}),
    "reserve_restaurant": ("external", {"restaurant": target("text"), **texts("start_time")}, {}),
    "reserve_car_rental": ("external", {"company": target("text"), **texts("start_time end_time")}, {}),
}
# The account numbers of the suite have no valid checksum, and names of companies stand for some of them.
ACCOUNT = "id([A-Za-z0-9]{4,34})"
PAYMENT = {"amount": AMOUNT, "subject": text("payload"), **texts("date")}
BANKING = {
    "get_iban": ("read", {}, {"$": {"integrity": "trusted"}}),
    "get_balance": ("read", {}, {}),
    "get_most_recent_transactions": ("read", {"n": {"role": "neutral", "type": "int"}}, PAID),
    "get_scheduled_transactions": ("read", {}, PAID),
    "read_file": ("read", texts("file_path"), {}),
    "get_user_info": ("read", {}, {}),
    "send_money": ("irreversible", {"recipient": target(ACCOUNT), **PAYMENT}, {}),
    "schedule_transaction": (
        "irreversible",
        {"recipient": target(ACCOUNT), **PAYMENT, "recurring": {"role": "neutral", "type": "bool"}},
        {},
    ),
    "update_scheduled_transaction": (
        "irreversible",
        {
            "id": target("id", BY_HANDLE),
            "recipient": target(ACCOUNT, required=False),
            **PAYMENT,
            "recurring": {"role": "neutral", "type": "bool"},
        },
        {},
    ),
    "update_password": ("irreversible", {"password": target("text")}, {}),
    "update_user_info": (
        "irreversible",
        {one: target("text", required=False) for one in ("first_name", "last_name", "street", "city")},
        {},
    ),
}
# Who is in a workspace is its administrator's directory; names of channels are anybody's.
NAMES = {"$": {"origin": "registry", "integrity": "trusted"}}
PERSON = "name(get_users_in_channel)"
CHANNELS = {"$": {"origin": "handle", "integrity": "untrusted"}}
CHANNEL = target("text", BY_HANDLE)
MESSAGES = fields("recipient body", sender=PERSON)
SLACK = {
    "get_channels": ("read", {}, CHANNELS),
    "get_users_in_channel": ("read", texts("channel"), NAMES),
    "read_channel_messages": ("read", texts("channel"), MESSAGES),
    "read_inbox": ("read", texts("user"), MESSAGES),
    "add_user_to_channel": ("internal", {"user": target(PERSON), "channel": CHANNEL}, {}),
    "send_direct_message": ("external", {"recipient": target(PERSON), "body": text("payload")}, {}),
    "send_channel_message": ("external", {"channel": CHANNEL, "body": text("payload")}, {}),
    "invite_user_to_slack": ("external", {"user": target("text"), "user_email": target("email")}, {}),
    "remove_user_from_slack": ("irreversible", {"user": target(PERSON)}, {}),
    # Fetching an address carries its query string out.
    "get_webpage": ("external", {"url": target("url")}, {}),
    "post_webpage": ("external", {"url": target("url"), "content": text("payload")}, {}),
}
SUITES = {"workspace": WORKSPACE, "travel": TRAVEL, "banking": BANKING, "slack": SLACK}


def tool_of(effect, args, results, *, policy):
    """One policy as a charter would hold it: `show`, `hide`, `pass on`, or `correspondents`.

    With `pass on` the owner lets content that nobody has read go to targets that are proven. With `correspondents` an
    address that the user has written to is a handle as well: free until something untrusted was read. `get_sent_emails`
    returns "all the sent emails"; nobody outside can put an address into one, and the agent only one that was proven or
    that a person agreed to.
    """
    if policy == "correspondents" and results is SENT:
        results = {**SENT, **dict.fromkeys(("recipients", "cc", "bcc"), MINTED)}
    more = {("payload", "text"): ["field"]} if policy in ("pass on", "correspondents") else {}
    if policy == "correspondents":
        more["target", "email"] = ["handle"]
    args = {
        name: {**one, "origins": one["origins"] + more[one["role"], one["type"]]}
        if (one["role"], one["type"]) in more
        else one
        for name, one in args.items()
    }
    document = {
        "integration": "suite",
        "effect": effect,
        "task_types": [TASK_TYPE],
        "contract": "contract.json",
        "manifest_hash": "sha256:" + "0" * 64,
        "args": args,
        "results": results,
        "untrusted": "show" if policy == "show" else "hide",
        "on_fail": "ask",
        "approvers": ["person"],
        "examples": {"allow": [], "deny": []},
    }
    return Tool.model_validate(_tuples(document))


def policy_name(function, args):
    """The tool that a call is of: an event with participants is another one than an event without."""
    with_people = function == "create_calendar_event" and args.get("participants")
    return f"{function}+participants" if with_people else function


def _tuples(value):
    if isinstance(value, dict):
        return {key: _tuples(one) for key, one in value.items()}
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value
