# SPDX-License-Identifier: Apache-2.0
"""A release verdict for machines and reviewers: JUnit XML, and Markdown for a pull request."""

from __future__ import annotations

import html
from xml.sax.saxutils import escape, quoteattr

from pilothouse.core.verdict.release_verdict import ReleaseVerdict
from pilothouse.core.verdict.verdict import ItemVerdict, Status
from pilothouse.reports.foreign import visible

__all__ = ["MARKER", "render_junit", "render_markdown"]

MESSAGE_CHARS_MAX = 8_000
"""CI systems cut longer messages in the middle."""

COMMENT_CHARS_MAX = 60_000
"""A comment on a pull request may have 65,536."""

FLIPS_SHOWN_MAX = 40

MARKER = "<!-- pilothouse-gate -->"
"""First line of the comment, so that a bot updates it instead of adding another."""

WORDS = {
    Status.HOLDS: "holds",
    Status.AT_RISK: "at risk",
    Status.BREACHED: "breached",
    Status.NO_EVIDENCE: "not enough evidence",
}


def render_junit(verdict: ReleaseVerdict) -> str:
    """Render JUnit XML: a breach is a failure, missing evidence an error (a skip would look green)."""
    cases = "".join(_junit_case(item) for item in verdict.items)
    failures = sum(item.status is Status.BREACHED for item in verdict.items)
    errors = sum(item.status is Status.NO_EVIDENCE for item in verdict.items)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuite name={quoteattr(visible("release gate " + verdict.dataset))} tests="{len(verdict.items)}" '
        f'failures="{failures}" errors="{errors}" time="{verdict.cost.seconds:.3f}" '
        f'timestamp="{verdict.as_of.isoformat()}">\n{cases}</testsuite>\n'
    )


def render_markdown(verdict: ReleaseVerdict) -> str:
    """Render a comment for a pull request; user text is data and is escaped."""
    lines = [
        MARKER,
        f"## Release gate: {WORDS[verdict.status]}",
        "",
        _safe(verdict.deciding),
        "",
        "| requirement | scope | status | result |",
        "|---|---|---|---|",
        *(
            f"| {_safe(item.requirement)} | {_safe(item.scope.label)} | {WORDS[item.status]} | {_safe(item.sentence)} |"
            for item in verdict.items
        ),
        "",
        (
            f"Candidate `{verdict.candidate[:12]}` against "
            f"`{(verdict.baseline or 'nothing')[:12]}` on {_safe(verdict.dataset)} (`{verdict.dataset_digest[:12]}`). "
            f"{verdict.cost.cases} of {verdict.cost.cases_planned} cases, {verdict.cost.calls} runs, "
            f"{verdict.cost.reused} reused, {_money(verdict)}, {verdict.cost.seconds:.0f} s."
        ),
    ]
    worse = [flip for flip in verdict.flips if flip.is_worse]
    if worse:
        lines += ["", f"### {len(worse)} cases got worse", "", "| case | what was wrong |", "|---|---|"]
        lines += [f"| {_safe(flip.case_id)} | {_safe(flip.reason)} |" for flip in worse[:FLIPS_SHOWN_MAX]]
        if len(worse) > FLIPS_SHOWN_MAX:
            lines.append(f"| and {len(worse) - FLIPS_SHOWN_MAX} more | |")
    lines += ["", *(f"- {_safe(note)}" for note in verdict.notes)]
    return "\n".join(lines)[:COMMENT_CHARS_MAX] + "\n"


def _junit_case(item: ItemVerdict) -> str:
    # Characters that XML cannot hold are among those that a reader cannot see.
    name = quoteattr(visible(f"{item.requirement} · {item.scope.label}"))
    sentence = visible(item.sentence)[:MESSAGE_CHARS_MAX]
    message = quoteattr(sentence)
    body = escape(visible(", ".join(item.items))[:MESSAGE_CHARS_MAX])
    inner = {
        Status.BREACHED: f"<failure message={message}>{body}</failure>",
        Status.NO_EVIDENCE: f"<error message={message}>{body}</error>",
    }.get(item.status, f"<system-out>{escape(sentence)}</system-out>")
    return f'  <testcase classname="release" name={name}>{inner}</testcase>\n'


def _safe(text: str) -> str:
    """Escape what Markdown and HTML would read as their own; characters that a reader cannot see become marks."""
    text = visible(text)
    for sign in "\\`*_[]|":
        text = text.replace(sign, "\\" + sign)
    return html.escape(text.replace("\n", " "), quote=False).replace("@", "&#64;")


def _money(verdict: ReleaseVerdict) -> str:
    unknown = f", {verdict.cost.unpriced} runs of unknown cost" if verdict.cost.unpriced else ""
    return f"${verdict.cost.spent_usd:.2f}{unknown}"
