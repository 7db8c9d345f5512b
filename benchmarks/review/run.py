# SPDX-License-Identifier: Apache-2.0
"""How long a reviewer waits from the answer to the next item, in a browser, beside a form that does nothing.

The server is `pilothouse up` as a user starts it, with a full queue and past decisions to compare with. The limit is a
bare program in the same run that answers the same POST with the same redirect and serves a copy of the item's page
from memory: what browser, script, form and redirect cost without us. Both times run from the key that sends to the
paint of what comes next, by the browser's own clock.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn

from pilothouse.core.evidence.review import Answer, Label, ReviewItem, ReviewSource
from pilothouse.ledger.ledger import open_ledger
from pilothouse.ledger.review_queue import SqlReviewQueue
from pilothouse.settings import load_settings

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "pages"))

from run import CHROMIUM, cpu_s, free_port, repository, server  # noqa: E402 - the path above makes it importable

AGENT = "invoice-triage"
MEDIAN_MS, P95_MS = 150.0, 400.0
PAST = 200
"""Decisions that each page compares its item with: as many as it ever looks at."""

ARMED = """() => {
  const form = document.querySelector("form.review");
  let asked;
  addEventListener("keydown", () => { asked = performance.now(); }, { capture: true, once: true });
  window.painted = new Promise((done) => {
    const after = new MessageChannel();
    after.port1.onmessage = () => done(performance.now() - asked);
    new MutationObserver((_, watcher) => {
      const now = document.querySelector("form.review");
      if (!now || now === form) return;
      watcher.disconnect();
      requestAnimationFrame(() => after.port2.postMessage(0));
    }).observe(document.documentElement, { childList: true, subtree: true });
  });
}"""
"""A message sent within a frame arrives when that frame has been painted: the time is that of the paint, or later."""


def fill(home: Path, count: int) -> None:
    """Put items into the queue, and past decisions beside them."""
    now = datetime.now(UTC)
    words = [
        "invoice",
        "order",
        "supplier",
        "amount",
        "team",
        "steel",
        "paper",
        "travel",
        "rent",
        "north",
        "south",
        "credit",
        "note",
        "hours",
    ]
    items = [
        ReviewItem(
            item_id=f"{n:032x}",
            agent=AGENT,
            task_type="po_invoice",
            trace_id=f"{n:032x}",
            source=ReviewSource.SAMPLED,
            why="drawn with probability 0.050",
            input=" ".join(words[(n * k) % len(words)] for k in range(1, 180)) + f" number {n}",
            proposal=f'{{"team": "{words[n % 7]}", "invoice": {n}}}',
            used=tuple(f"erp.lookup: PO-{n}-{k}" for k in range(5)),
            call_digest=f"{n:064x}",
            confidence=0.61,
            error_cost=400.0,
            created_at=now,
            due_at=now + timedelta(hours=4, minutes=n),
        )
        for n in range(count + PAST)
    ]
    with open_ledger(load_settings(home=home).ledger_url) as ledger:
        queue = SqlReviewQueue(ledger.database)
        queue.add(items)
        for one in items[count:]:
            queue.answer(
                Label(
                    item_id=one.item_id,
                    agent=AGENT,
                    reviewer="oidc:sam@corp.example",
                    answer=Answer.ACCEPT,
                    at=now,
                )
            )


def sign_in_link(home: Path, person: str) -> str:
    command = [sys.executable, "-m", "pilothouse", "sign-in", person, "--home", str(home)]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"/sign-in/\S+", told.stdout + told.stderr)
    if found is None:
        raise SystemExit(f"no link in {told.stdout!r}")
    return found[0]


def answer(page: Any) -> float:
    """Accept the open item by keyboard; return milliseconds from the sending key until the next item is painted."""
    page.keyboard.press("1")
    page.evaluate(ARMED)
    page.keyboard.press("Control+Enter")
    return float(page.evaluate("window.painted"))


def bare(files: dict[str, tuple[str, bytes]], port: int) -> uvicorn.Server:
    """Serve files from memory; whatever is posted is answered by the way to the page, a draft by nothing."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        while scope["method"] == "POST" and (await receive()).get("more_body"):
            pass
        kind, body = files.get(scope["path"], ("text/plain", b""))
        headers, status = [(b"content-type", kind.encode())], 200
        if scope["method"] == "POST":
            body, status = b"", 204 if scope["path"].endswith("/draft") else 303
            headers = [(b"location", b"/review/next")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    made = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="off"))
    threading.Thread(target=lambda: asyncio.run(made.serve()), daemon=True).start()
    while not made.started:
        time.sleep(0.05)
    return made


def summary(times: list[float]) -> tuple[float, float]:
    return statistics.median(times), statistics.quantiles(times, n=20)[-1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100)
    count = parser.parse_args().items
    from playwright.sync_api import sync_playwright

    folder = Path(tempfile.mkdtemp(prefix="review-"))
    try:
        home, charter = folder / "home", repository(folder / "agent")
        with server(home, charter, folder / "server.log") as (port, pid), sync_playwright() as playwright:
            fill(home, count)
            chromium = playwright.chromium.launch(
                executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
            )
            page = chromium.new_context(viewport={"width": 1280, "height": 900}).new_page()
            address = f"http://127.0.0.1:{port}"
            page.goto(address + sign_in_link(home, "lee"))
            page.get_by_role("button", name="Sign in as").press("Enter")
            page.wait_for_url(f"{address}/")
            page.goto(f"{address}/review")
            page.get_by_role("button", name="Start reviewing").press("Enter")
            page.wait_for_selector("form.review")
            files = {"/review/next": ("text/html; charset=utf-8", page.content().encode())}
            for path in set(re.findall(r'="(/static/[^"]+)"', page.content())):
                got = page.request.get(address + path)
                files[path.partition("?")[0]] = got.headers["content-type"], got.body()
            began = cpu_s(pid)
            ours = [answer(page) for _ in range(count - 1)]
            cpu_ms = (cpu_s(pid) - began) * 1_000 / (count - 1)
            made = bare(files, other := free_port())
            page.goto(f"http://127.0.0.1:{other}/review/next")
            page.wait_for_selector("form.review")
            limit = [answer(page) for _ in range(count - 1)]
            made.should_exit = True
            chromium.close()
        (median, p95), (floor, floor_p95) = summary(ours), summary(limit)
        print(f"| {count - 1} answers | median ms | p95 ms |\n|---|---|---|")
        print(f"| ours, key to next item painted | {median:.0f} | {p95:.0f} |")
        print(f"| limit: the same page from memory | {floor:.0f} | {floor_p95:.0f} |")
        print(f"\nserver: {cpu_ms:.0f} ms CPU an answer, everything else it does included")
        print(f"ratio {median / floor:.2f}; allowed are {MEDIAN_MS:.0f} and {P95_MS:.0f} ms")
        return int(median > MEDIAN_MS or p95 > P95_MS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
