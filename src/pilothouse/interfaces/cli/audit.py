# SPDX-License-Identifier: Apache-2.0
"""`pilothouse audit`: verify the log, anchor it, prove a record, hand it to an auditor, erase a person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pilothouse.core.dates import second
from pilothouse.errors import ExitStatus, UsageError
from pilothouse.interfaces.cli.consoles import print_json, say
from pilothouse.interfaces.cli.controls import command_line_actor
from pilothouse.interfaces.cli.options import AsJson, Home
from pilothouse.interfaces.past_moment import past_moment
from pilothouse.settings import load_settings

if TYPE_CHECKING:
    from pilothouse.interfaces.cli.services import Services

__all__ = ["register"]


def register(cli: typer.Typer, services: Services) -> None:
    """Add `audit` to the command tree."""
    group = typer.Typer(help="Prove what was decided: verify, anchor, export, erase.", no_args_is_help=True)
    cli.add_typer(group, name="audit")

    @group.command("verify")
    def verify(
        *,
        against: Annotated[
            list[Path] | None,
            typer.Option(help="A checkpoint from an anchor or an auditor; may be repeated."),
        ] = None,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Read the whole log, hold it against every checkpoint, and write the evidence of MON-10."""
        from pilothouse.reports.words import plural
        from pilothouse.workflows.reports.audit import ANCHOR_OUTSIDE, verify_log

        with services.open_boundary(load_settings(home=home)) as room:
            check = verify_log(room, services.clock.now(), against=tuple(against or ()))
        if as_json:
            print_json(
                {
                    "holds": check.holds,
                    "records": check.records,
                    "checkpoints": check.checkpoints,
                    "anchored": check.anchored,
                    "anchored_outside": check.outside,
                    "rows": check.rows,
                    "payloads": check.payloads,
                    "erased": check.erased,
                    "problems": list(check.problems),
                }
            )
        elif not check.records and check.holds:
            typer.echo("The log is empty: nothing was decided here yet, so nothing is proven.")
            typer.echo("  $ pilothouse verdict AGENT --charter charter.yaml")
        else:
            word = "verified" if check.holds else "TAMPERED"
            say(
                f"{word}: {plural(check.records, 'record')} against {plural(check.checkpoints, 'checkpoint')}; "
                f"payloads that match: {check.payloads:,}, erased: {check.erased:,}"
            )
            say(
                f"  prices, outcomes, questions, labels, approvals, incidents, pauses, faults, keys, providers, sessions and contacts as the log has them: {check.rows:,}"
            )
            for problem in check.problems:
                say(f"  ✗ {problem}")
            if not check.holds:
                typer.echo(
                    "  Keep this ledger as it is. A backup can be held against the last checkpoint outside:"
                )
                typer.echo("  $ pilothouse audit verify --against CHECKPOINT --home RESTORED-FOLDER")
            else:
                if check.anchored is not None:
                    say(f"  anchored to record {check.anchored:,}")
                if check.outside is None:
                    typer.echo(
                        "  No anchor under other rights: whoever may write the ledger may rewrite it whole."
                    )
                    say(f"  $ {ANCHOR_OUTSIDE}")
        if not check.holds:
            raise typer.Exit(ExitStatus.BREACHED)
        raise typer.Exit(ExitStatus.HOLDS if check.records else ExitStatus.NOT_ENOUGH_EVIDENCE)

    @group.command("checkpoint")
    def checkpoint(*, home: Home = None) -> None:
        """Sign the present state and print the checkpoint, a C2SP signed note."""
        with services.open_boundary(load_settings(home=home)) as room:
            typer.echo(room.log.sign().note, nl=False)

    @group.command("key")
    def key(*, home: Home = None) -> None:
        """Print the public key of the log, and how it replaced each one before it; give it to auditors by another way than the log itself."""
        with services.open_boundary(load_settings(home=home)) as room:
            room.log.signing_keys()  # an auditor is given no key that a wrong file holds
            say(str(room.log.key_history()))

    @group.command("rotate-key")
    def rotate_key(
        *,
        reason: Annotated[str, typer.Option(help="Why, for the record.")],
        home: Home = None,
    ) -> None:
        """Replace the key that signs the log, in a record that the old and the new key sign; what was signed stays proven."""
        from pilothouse.ledger.key_rotation import replace_signer
        from pilothouse.workflows.reports.audit import ANCHOR_OUTSIDE

        with services.open_boundary(load_settings(home=home)) as room:
            position = replace_signer(
                room.log, actor=command_line_actor(), reason=reason, now=services.clock.now()
            )
            present = room.log.keys.verifier
        say(f"Record {position:,} replaces the key; the new one is {present}")
        say("  Give auditors what `pilothouse audit key` prints now, and anchor the log under the new key:")
        say(f"  $ {ANCHOR_OUTSIDE}")
        say("  Backups from before hold the old key, which signs nothing longer than this.")

    @group.command("anchor")
    def anchor(
        folder: Annotated[Path, typer.Argument(help="Folder for the checkpoint.")],
        *,
        outside: Annotated[
            bool, typer.Option("--outside", help="Say that it is under other rights than the ledger.")
        ] = False,
        home: Home = None,
    ) -> None:
        """Sign the present state and put the checkpoint into a folder, best on another machine's disk; then verify, for MON-10."""
        from pilothouse.workflows.reports.audit import anchor_log, verify_log

        with services.open_boundary(load_settings(home=home)) as room:
            signed, path = anchor_log(
                room, folder, outside=outside, actor=command_line_actor(), now=services.clock.now()
            )
            holds = verify_log(room, services.clock.now()).holds
        say(f"{signed.size:,} records anchored in {path}")
        if not holds:
            typer.echo("The log does not verify, which an anchor does not mend:")
            say("  $ pilothouse audit verify")
            raise typer.Exit(ExitStatus.BREACHED)

    @group.command("prove")
    def prove(
        position: Annotated[int | None, typer.Argument(min=0, help="Number of the record.")] = None,
        *,
        since: Annotated[
            Path | None,
            typer.Option(
                help="An earlier checkpoint: that the log goes on from it, or that the record was in it then."
            ),
        ] = None,
        home: Home = None,
    ) -> None:
        """Print a proof that `pilothouse-verify` checks: a record is in the signed log, or the log goes on from a checkpoint."""
        from pilothouse.workflows.reports.log_proofs import prove_growth, prove_record

        with services.open_boundary(load_settings(home=home)) as room:
            if position is not None:
                text = prove_record(room, position, earlier=since)
            elif since is not None:
                text = prove_growth(room, since)
            else:
                raise UsageError(
                    "what is to be proved: one record or the growth of the log?",
                    remedy="Name one: `pilothouse audit prove NUMBER` or `pilothouse audit prove --since CHECKPOINT`.",
                )
        typer.echo(text, nl=False)

    @group.command("list")
    def records(
        agent: Annotated[str | None, typer.Argument(help="Agent id; all when left out.")] = None,
        *,
        kind: Annotated[str | None, typer.Option(help="Kind of record, for example call.decided.")] = None,
        limit: Annotated[int, typer.Option(min=1, max=1000, help="Records to print.")] = 20,
        until: Annotated[
            str | None,
            typer.Option(metavar="TIME", help="Newest records up to a past moment, or a day's end."),
        ] = None,
        home: Home = None,
        as_json: AsJson = False,
    ) -> None:
        """Print the newest records."""
        end = None if until is None else past_moment(until, services.clock.now(), option="--until")
        with services.open_boundary(load_settings(home=home)) as room:
            found = room.log.search(agent=agent, kind=kind, limit=limit, until=end)
        if as_json:  # each as it is signed, all in one document
            records_text = ",\n".join(record.text for record in found)
            typer.echo("[" + records_text + "]")
            return
        for record in found:
            say(
                f"{record.position:>8}  {second(record.at)}  {record.agent or '–'}  "
                f"{record.kind}{_by(record.text)}"
            )
        if not found:
            say(
                "No record yet: the first charter, call or verdict makes one."
                if agent is None and kind is None and until is None
                else "No record of that agent, kind or time. `pilothouse audit list` shows the newest of all."
            )

    @group.command("export")
    def export(
        target: Annotated[Path, typer.Argument(help="Zip file to write.")], *, home: Home = None
    ) -> None:
        """Write one file for an auditor, who runs `pilothouse-verify` on it without Pilothouse or a network."""
        from pilothouse.workflows.reports.audit import export_bundle

        with services.open_boundary(load_settings(home=home)) as room:
            signed = export_bundle(room, target, actor=command_line_actor(), now=services.clock.now())
        say(f"{signed.size:,} records in {target}")
        say(f"  $ pilothouse-verify {target} --key KEY-FROM-ANOTHER-WAY --checkpoint ANCHOR")

    @group.command("erase")
    def erase(
        person: Annotated[
            str,
            typer.Argument(
                help="The person, as tasks name their requester or `contact list` their identity."
            ),
        ],
        *,
        reason: Annotated[str, typer.Option(help="Why, for the record.")],
        home: Home = None,
    ) -> None:
        """Destroy the key of a person's payloads, and the addresses at which they are reached; every proof of the log goes on verifying."""
        with services.open_boundary(load_settings(home=home)) as room:
            position = room.log.erase(person, actor=command_line_actor(), reason=reason)
        if position is None:
            say(f"Nothing that belongs to {person} is kept: no payload in the log, no approval, no address.")
        else:
            say(
                f"The payloads of {person} cannot be read any more, and no address of theirs is kept; record {position:,} says so."
            )


def _by(text: str) -> str:
    """Return who acted, as the record says it; empty for one that names nobody."""
    actor = json.loads(text).get("actor", "")
    return f"  by {actor}" if actor else ""
