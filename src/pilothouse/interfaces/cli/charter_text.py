# SPDX-License-Identifier: Apache-2.0
"""How a check, a difference and a draft of a charter read in a terminal and as JSON."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from pilothouse.core.charter.findings import CharterCheck, Finding, FindingKind
from pilothouse.interfaces.cli.consoles import hint_console, result_console

if TYPE_CHECKING:
    from pilothouse.core.charter.diff import CharterDiff
    from pilothouse.core.charter.draft import Draft
    from pilothouse.core.charter.sighting import Sighting
    from pilothouse.interfaces.cli.base_urls import BaseUrls

__all__ = ["as_record", "draft_record", "print_check", "print_diff", "print_draft"]

TITLES = {
    FindingKind.ERROR: ("■", "red", "Errors: no verdict while one stands"),
    FindingKind.QUESTION: ("○", "cyan", "Open questions, by who must answer"),
    FindingKind.WARNING: ("▲", "yellow", "Warnings: shown, nothing is blocked"),
}
"""Mark, colour and title of each kind. The mark tells them apart without colour."""

EFFECT_STYLES = {"looser": "yellow", "wider": "yellow", "tighter": "green", "narrower": "green"}
"""Colour by effect; the word itself tells them apart without colour."""

SIGHTING_TITLES = {
    "agent": "Name of the agent",
    "framework": "Framework",
    "model": "Models",
    "tool": "Tools",
    "mcp_server": "Tool servers",
    "host": "Hosts",
    "prompt_file": "Prompt files",
    "prompt_text": "Prompts in the code",
    "schema_file": "Output schemas",
    "environment": "Environment variables",
    "secret": "Secrets (not shown)",
}
"""Title by kind of sighting, in the order of the screen."""

NEXT_STEP = (
    "An open question stops nothing: what it asks for is a requirement without evidence. "
    "Go on with `pilothouse up`, and answer as you learn."
)
"""Said once, below the questions, to somebody who has just met eighty of them."""

FIRST = (
    "owner",
    "sponsor",
    "people",
    "purpose",
    "function",
    "task_types",
    "integrations",
    "tools",
    "model.pin",
    "target_volume",
)
"""What the first verdict rests on: who answers for the agent, what it is for, what it touches, and which model answers."""

PLACES_SHOWN = 3

SHOWN_MAX = 12
"""Values of one kind on the screen; the JSON has all of them."""


def as_record(check: CharterCheck, *, file: str, diff: CharterDiff | None) -> dict[str, Any]:
    """Return a check as plain data.

    Args:
        check: The check.
        file: The file.
        diff: What changed since a revision, or None.
    """
    charter = check.charter
    return {
        "file": file,
        "agent": charter.agent if charter else None,
        "digest": charter.digest if charter else None,
        "sections": charter.section_digests if charter else None,
        "errors": len(check.of_kind(FindingKind.ERROR)),
        "questions": len(check.of_kind(FindingKind.QUESTION)),
        "warnings": len(check.of_kind(FindingKind.WARNING)),
        "findings": [_finding_record(finding) for finding in check.findings],
        "hidden": check.hidden,
        "diff": asdict(diff) if diff else None,
    }


def print_check(check: CharterCheck, *, file: str, every: bool = False) -> None:
    """Print findings by kind; the result on stdout, one line of what to do next on stderr.

    Args:
        check: The check.
        file: The file.
        every: Whether to print every open question; else of many those that come first, and how many more there are.
    """
    out = result_console()
    for kind in FindingKind:
        findings = check.of_kind(kind)
        if not findings:
            continue
        mark, colour, title = TITLES[kind]
        out.print(f"[bold {colour}]{mark}[/] [bold]{title}[/bold] ({len(findings)})")
        if kind is FindingKind.QUESTION:
            first = findings if every else _first(findings)
            _print_questions(out, first)
            if rest := len(findings) - len(first):
                out.print(f"  and {rest} more: pilothouse check {escape(shlex.quote(file))} --all")
        else:
            for finding in findings:
                out.print(
                    f"  [bold]{escape(str(finding.place))}[/bold] {escape(finding.message)}. [dim]\\[{finding.rule}][/dim]"
                )
                out.print(f"    [dim]→ {escape(finding.remedy)}[/dim]")
        out.print()
    if check.hidden:
        out.print(f"{check.hidden} findings more are not shown.\n")
    out.print(_summary(check, file))
    if check.charter is not None and check.of_kind(FindingKind.QUESTION):
        hint_console().print(NEXT_STEP)


def _first(questions: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return what is answered first of many questions; all of them where they are few, or none is of the first."""
    if len(questions) <= SHOWN_MAX:
        return questions
    first = [one for one in questions if f"{one.path}.".startswith(tuple(f"{name}." for name in FIRST))]
    return tuple(first or questions)[:SHOWN_MAX]


def _print_questions(out: Console, findings: tuple[Finding, ...]) -> None:
    by_person = sorted(findings, key=lambda finding: finding.asked)
    for asked, questions in groupby(by_person, key=lambda finding: finding.asked):
        out.print(f"  [bold]{escape(asked)}[/bold]")
        for finding in questions:
            words = (
                finding.path if finding.rule == "open-question" else f"{finding.message}. {finding.remedy}"
            )
            out.print(f"    [dim]{escape(str(finding.place))}[/dim] {escape(words)}")


def _summary(check: CharterCheck, file: str) -> str:
    errors, questions, warnings = (len(check.of_kind(kind)) for kind in FindingKind)
    counts = ", ".join(
        f"{n} {word}{'' if n == 1 else 's'}"
        for n, word in ((errors, "error"), (questions, "open question"), (warnings, "warning"))
        if n
    )
    if errors:
        return f"{escape(file)}: [bold]invalid[/bold], {counts}"
    agent = check.charter.agent if check.charter else ""
    digest = check.charter.digest[:12] if check.charter else ""
    return f"{escape(file)}: [bold]valid[/bold]{', ' + counts if counts else ''} · {escape(agent)} · {digest}"


def print_diff(diff: CharterDiff, *, revision: str) -> None:
    """Print what changed since a revision, what that reopens, and who must agree."""
    out = result_console()
    out.print(f"\n[bold]Since {escape(revision)}[/bold] {diff.old_digest[:12]} → {diff.new_digest[:12]}")
    if not diff.changes:
        out.print("  nothing changed")
        return
    for change in diff.changes:
        style = EFFECT_STYLES.get(change.effect.value, "dim")
        old = "(new)" if change.old is None else change.old
        new = "(gone)" if change.new is None else change.new
        moved = new if change.effect.value == "changed" and change.old is None else f"{old} → {new}"
        out.print(f"  {escape(change.path)}: {escape(_cut(moved))} [{style}]{change.effect.value}[/]")
    out.print("\n[bold]Reopens[/bold]")
    for reopened in diff.reopens:
        out.print(f"  {escape(reopened.because)} → {', '.join(reopened.items)}")
    if not diff.reopens:
        out.print("  nothing")
    out.print("\n[bold]Needs[/bold]")
    for approval in diff.approvals:
        out.print(
            f"  {escape(approval.who)}: {escape(approval.because)} ({escape(', '.join(approval.paths[:SHOWN_MAX]))})"
        )
    if not diff.approvals:
        out.print("  no further agreement: it takes effect at once")


def draft_record(draft: Draft, *, target: str, urls: BaseUrls) -> dict[str, Any]:
    """Return a draft and what it rests on as plain data; secrets were never in it."""
    report = draft.report
    return {
        "agent": draft.agent,
        "file": target,
        "name": report.name,
        "files_read": report.files_read,
        "sightings": [
            {
                "kind": s.kind.value,
                "value": s.value,
                "file": s.file,
                "line": s.line,
                "detail": s.detail,
                "names": list(s.names),
            }
            for s in report.sightings
        ],
        "notes": list(report.notes),
        "base_urls": urls.variables,
    }


def print_draft(draft: Draft, *, target: str, urls: BaseUrls) -> None:
    """Print what was found, where the draft stands, and what to type next."""
    out = result_console()
    report = draft.report
    read = "1 file" if report.files_read == 1 else f"{report.files_read} files"
    out.print(f"[bold]{escape(draft.agent)}[/bold]: {read} read\n")
    if not report.sightings:
        out.print(
            "[yellow]▲[/yellow] No framework, model or tool was found here. Is it the folder of the agent's code?"
        )
    for kind, title in SIGHTING_TITLES.items():
        sightings = [sighting for sighting in report.sightings if sighting.kind.value == kind]
        if not sightings:
            continue
        out.print(f"[bold]{title}[/bold]")
        places: dict[str, list[Sighting]] = {}
        for sighting in sightings:
            places.setdefault(sighting.value, []).append(sighting)
        for value, seen in list(places.items())[:SHOWN_MAX]:
            where = ", ".join(s.place for s in seen[:3]) + (
                f" and {len(seen) - 3} more" if len(seen) > 3 else ""
            )
            out.print(f"  {escape(value)} [dim]{escape(where)}[/dim]")
        if len(places) > SHOWN_MAX:
            out.print(f"  and {len(places) - SHOWN_MAX} more")
    for note in report.notes[:SHOWN_MAX]:
        out.print(f"[yellow]▲[/yellow] {escape(note)}")
    _print_urls(out, urls)
    out.print(f"\nDraft written to [bold]{escape(target)}[/bold]. Answer its open questions:")
    out.print(f"  pilothouse check {escape(target)}")


def _print_urls(out: Console, urls: BaseUrls) -> None:
    if urls.variables:
        out.print("[bold]Base URL of the gateway[/bold] [dim](`pilothouse run` sets it by itself)[/dim]")
        for name, value in urls.variables.items():
            out.print(f"  {name}={escape(value)}")
        more = f" and {len(urls.places) - PLACES_SHOWN} more" if len(urls.places) > PLACES_SHOWN else ""
        where = ", ".join(urls.places[:PLACES_SHOWN])
        out.print(f"  [dim]a base URL in the code wins over it: look at {escape(where)}{more}[/dim]")
    if urls.unanswered:
        out.print(
            f"[yellow]▲[/yellow] The gateway does not answer the protocol of {', '.join(urls.unanswered)}: such calls are neither pinned nor recorded"
        )


def _finding_record(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "kind": finding.kind.value,
        "path": finding.path,
        "file": finding.place.file,
        "line": finding.place.line,
        "column": finding.place.column,
        "message": finding.message,
        "remedy": finding.remedy,
        "asked": finding.asked,
    }


def _cut(text: str) -> str:
    return text if len(text) <= 160 else text[:159] + "…"
