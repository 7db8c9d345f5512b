# SPDX-License-Identifier: Apache-2.0
"""Write the golden files again; the difference is read in review like code."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "stubs")]

from rendering import decide_story, plan_text, read_story, verdict_text  # noqa: E402 - the path comes first
from situations import domain_text, verdicts  # noqa: E402 - the path comes first
from stories import NOW, STORIES, load_charter  # noqa: E402 - the path comes first

from pilothouse.core.verdict.framework import DOMAINS  # noqa: E402 - the path comes first


def write_inputs(story, folder):
    """Write what a story gives to the verdict."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "charter.yaml").write_text(story.charter_text(), encoding="utf-8")
    charter = load_charter(folder / "charter.yaml")
    records = [record.model_dump_json(exclude_defaults=True) for record in story.tell(charter)]
    (folder / "evidence.jsonl").write_text("".join(f"{line}\n" for line in records), encoding="utf-8")
    (folder / "now.txt").write_text(
        f"{NOW.isoformat()}\nphase: {story.phase}\nversion: {story.version or 'unnamed'}\n", encoding="utf-8"
    )
    waivers = [waiver.model_dump_json() for waiver in story.waive(charter)]
    if waivers:
        (folder / "waivers.jsonl").write_text("".join(f"{line}\n" for line in waivers), encoding="utf-8")


def write_outputs(folder):
    """Write what the verdict makes of a folder."""
    story = read_story(folder)
    verdict = decide_story(story)
    (folder / "verdict.txt").write_text(verdict_text(verdict), encoding="utf-8")
    (folder / "plan.txt").write_text(plan_text(verdict, story["charter"]), encoding="utf-8")


if __name__ == "__main__":
    for one in STORIES:
        path = HERE / "readiness" / one.name
        write_inputs(one, path)
        write_outputs(path)
        sys.stdout.write(f"wrote {path.relative_to(HERE.parent.parent)}\n")
    found = verdicts()
    (HERE / "situations").mkdir(exist_ok=True)
    for domain in (*DOMAINS, "Q", "PROD"):
        (HERE / "situations" / f"{domain}.txt").write_text(domain_text(domain, found), encoding="utf-8")
        sys.stdout.write(f"wrote tests/golden/situations/{domain}.txt\n")
