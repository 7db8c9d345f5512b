# SPDX-License-Identifier: Apache-2.0
"""Rules about the form of a charter: what can be said before anybody looks at its meaning."""

from __future__ import annotations

from pilothouse.core.charter.rules.rule import Rule, error, question, warning

__all__ = [
    "BAD_TYPE",
    "BAD_UNIT",
    "MISSING_KEY",
    "OLD",
    "OPEN_QUESTION",
    "RULES",
    "SECRET",
    "TOO_NEW",
    "UNKNOWN_KEY",
    "YAML",
]

YAML = error(
    "yaml", "not readable: {problem}", "Fix this line: plain YAML, no aliases or tags, at most 1 MiB."
)
UNKNOWN_KEY = error("unknown-key", "unknown key {key} under {parent}", "{hint}")
MISSING_KEY = error("missing-key", "{path} is required", 'Add it, or write "?" if nobody knows yet.')
BAD_TYPE = error("bad-type", "{path}: {value} is no {type}", "Write for example {example}.")
BAD_UNIT = error("bad-unit", "{path}: {value} is no {type}", "Write for example {example}.")
OPEN_QUESTION = question(
    "open-question", "{path} is open; asked of {who}", "Answer, then run `pilothouse check`."
)
SECRET = error(
    "secret-in-charter",
    "{path} looks like a secret ({kind})",
    "Write the name of a credential instead, and rotate the secret: it has been seen.",
)
TOO_NEW = error(
    "too-new", "apiVersion {version} is not known", "Upgrade Pilothouse, or write `apiVersion: {known}`."
)
OLD = warning(
    "old", "apiVersion {version} is read as {known}", "Write `apiVersion: {known}`; no other key changed."
)

RULES: tuple[Rule, ...] = (
    YAML,
    UNKNOWN_KEY,
    MISSING_KEY,
    BAD_TYPE,
    BAD_UNIT,
    OPEN_QUESTION,
    SECRET,
    TOO_NEW,
    OLD,
)
