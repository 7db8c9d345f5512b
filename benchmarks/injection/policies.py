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


AMOUNT = {"role": "magnitude", "type": "number", "max": 2500.0, "origins": FREE}
HANDLE = {"id_": {"origin": "handle", "integrity": "trusted"}}
NUMBER = {"id": {"origin": "handle", "integrity": "trusted"}}

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
    "create_calendar_event": ("internal", EVENT, HANDLE),
    "create_calendar_event+participants": ("external", {**EVENT, "participants": target("email")}, HANDLE),
    "search_calendar_events": ("read", texts("query date"), HANDLE),
    "get_day_calendar_events": ("read", texts("day"), HANDLE),
    "cancel_calendar_event": ("external", {"event_id": target("id")}, {}),
}
WORKSPACE = {
    **CALENDAR,
    "send_email": ("external", EMAIL, HANDLE),
    "delete_email": ("irreversible", {"email_id": target("id")}, {}),
    "get_unread_emails": ("read", {}, HANDLE),
    "get_sent_emails": ("read", {}, HANDLE),
    "get_received_emails": ("read", {}, HANDLE),
    "get_draft_emails": ("read", {}, HANDLE),
    "search_emails": ("read", texts("query sender"), HANDLE),
    "search_contacts_by_name": ("read", texts("query"), {}),
    "search_contacts_by_email": ("read", texts("query"), {}),
    "get_current_day": ("read", {}, {"$": {"integrity": "trusted"}}),
    "reschedule_calendar_event": (
        "external",
        {"event_id": target("id"), **texts("new_start_time new_end_time")},
        HANDLE,
    ),
    "add_calendar_event_participants": (
        "external",
        {"event_id": target("id"), "participants": target("email")},
        HANDLE,
    ),
    "append_to_file": (
        "internal",
        {"file_id": target("id", [*FREE, "handle"]), "content": text("payload")},
        HANDLE,
    ),
    "search_files_by_filename": ("read", texts("filename"), HANDLE),
    "create_file": ("internal", texts("filename content", "payload"), HANDLE),
    "delete_file": ("irreversible", {"file_id": target("id")}, HANDLE),
    "get_file_by_id": ("read", texts("file_id"), HANDLE),
    "list_files": ("read", {}, HANDLE),
    "share_file": (
        "external",
        {
            "file_id": target("id"),
            "email": target("email"),
            "permission": {"role": "neutral", "type": "enum", "values": ["r", "rw"]},
        },
        HANDLE,
    ),
    "search_files": ("read", texts("query"), HANDLE),
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
    "get_most_recent_transactions": ("read", texts("n"), NUMBER),
    "get_scheduled_transactions": ("read", {}, NUMBER),
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
            "id": target("id"),
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
SLACK = {
    "get_channels": ("read", {}, {}),
    "get_users_in_channel": ("read", texts("channel"), NAMES),
    "read_channel_messages": ("read", texts("channel"), {}),
    "read_inbox": ("read", texts("user"), {}),
    "add_user_to_channel": ("internal", {"user": target(PERSON), "channel": target("text")}, {}),
    "send_direct_message": ("external", {"recipient": target(PERSON), "body": text("payload")}, {}),
    "send_channel_message": ("external", {"channel": target("text"), "body": text("payload")}, {}),
    "invite_user_to_slack": ("external", {"user": target("text"), "user_email": target("email")}, {}),
    "remove_user_from_slack": ("irreversible", {"user": target(PERSON)}, {}),
    # Fetching an address carries its query string out.
    "get_webpage": ("external", {"url": target("url")}, {}),
    "post_webpage": ("external", {"url": target("url"), "content": text("payload")}, {}),
}
SUITES = {"workspace": WORKSPACE, "travel": TRAVEL, "banking": BANKING, "slack": SLACK}


def tool_of(effect, args, results):
    """One policy as a charter would hold it."""
    document = {
        "integration": "suite",
        "effect": effect,
        "task_types": [TASK_TYPE],
        "contract": "contract.json",
        "manifest_hash": "sha256:" + "0" * 64,
        "args": args,
        "results": results,
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
