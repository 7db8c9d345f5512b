# SPDX-License-Identifier: Apache-2.0
"""An agent small enough to read: which queue an invoice goes to, as it is released and as it shall be."""

QUEUES = {"invoice": "payables", "credit note": "corrections", "reminder": "dunning"}


def released(document):
    """The version in service."""
    for word, queue in QUEUES.items():
        if word in document["text"].lower():
            return {"queue": queue}
    return {"queue": "people"}


def run(document):
    """The version of this branch."""
    text = document["text"].lower()
    return {"queue": next((queue for word, queue in QUEUES.items() if word in text), "people")}
