# SPDX-License-Identifier: Apache-2.0
"""Falsify an audit log a thousand times, in every kind, and look whether `audit verify` sees it from an outside checkpoint.

`make bench-tamper`, or `python benchmarks/audit/run.py --trials 1005`. Between the trials one person is erased and every
proof is made again.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parent))
from tampering import KINDS, tamper

from pilothouse.ledger.audit import SqlAuditLog
from pilothouse.ledger.audit_keys import load_keys
from pilothouse.ledger.ledger import open_ledger
from pilothouse.workflows.reports.audit import verify_log
from pilothouse_verify.tree import inclusion_root

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
RECORDS = 40


class Clock:
    def now(self):
        return NOW


def make_log(folder):
    """Write a log with several people's payloads, one erasure and three checkpoints; return its outside anchor."""
    with open_ledger(f"sqlite:///{folder / 'ledger.sqlite'}") as ledger:
        log = SqlAuditLog(ledger.database, load_keys(folder / "keys"), Clock())
        for number in range(RECORDS):
            log.append(
                "call.decided",
                "triage",
                {"decision": "deny", "tool": "bank.pay@1", "number": number},
                payloads={"arguments": f'{{"amount": {number}}}'},
                subject=("ana", "bo", "cy")[number % 3],
            )
            if number in (10, 25):
                log.sign()
        log.erase("cy", actor="officer", reason="asked")
        anchor = folder / "outside.checkpoint"
        anchor.write_text(log.sign().note, encoding="utf-8")
    return anchor


def problems(folder, anchor):
    """Return what `audit verify --against ANCHOR` finds."""
    with open_ledger(f"sqlite:///{folder / 'ledger.sqlite'}") as ledger:
        log = SqlAuditLog(ledger.database, load_keys(folder / "keys"), Clock())
        room = SimpleNamespace(log=log, installation=SimpleNamespace(ledger=ledger), agents=list)
        return verify_log(room, NOW, against=(anchor,)).problems


def proofs_hold(folder):
    """Whether every record proves that it is in the tree, the erased person's too."""
    with open_ledger(f"sqlite:///{folder / 'ledger.sqlite'}") as ledger:
        log = SqlAuditLog(ledger.database, load_keys(folder / "keys"), Clock())
        tree, texts = log.tree(), log.texts()
        return all(
            inclusion_root(text.encode(), position, len(tree), list(tree.inclusion(position, len(tree))))
            == tree.root()
            for position, text in texts
        ), len(texts)


def trials(count, *, seed, folder):
    """Tamper `count` times, every kind in turn; return how often each was tried and seen."""
    source, anchor = folder / "source", None
    source.mkdir()
    anchor = make_log(source)
    keys = load_keys(source / "keys")
    if problems(source, anchor):
        raise AssertionError(f"the untouched log does not verify: {problems(source, anchor)}")
    tried, seen = Counter(), Counter()
    target = folder / "target"
    shutil.copytree(source, target)
    for number in range(count):
        kind = list(KINDS)[number % len(KINDS)]
        for file in target.glob("ledger.sqlite*"):
            file.unlink()
        for file in source.glob("ledger.sqlite*"):
            shutil.copy(file, target / file.name)
        tamper(target / "ledger.sqlite", kind, random.Random(f"{seed}/{number}"), keys=keys)
        tried[kind] += 1
        seen[kind] += bool(problems(target, anchor))
    return tried, seen, proofs_hold(source)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1_005)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        tried, seen, (holds, proofs) = trials(asked.trials, seed=asked.seed, folder=Path(folder))
    for kind in KINDS:
        print(f"{kind}: {seen[kind]}/{tried[kind]} detected")
    print(
        f"{seen.total()}/{tried.total()} detected, {len(tried)} kinds; after an erasure {proofs} of {proofs} proofs "
        f"{'verify' if holds else 'do NOT all verify'}; {time.process_time() - began:.0f} s CPU"
    )
    sys.exit(seen != tried or not holds)


if __name__ == "__main__":
    main()
