# SPDX-License-Identifier: Apache-2.0
"""The pages over the small world, as an application and as a running server with a clock that stands still."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import page_world as world
import uvicorn
from fresh_ledger import ledger_url
from starlette.applications import Starlette

from pilothouse.app.control_room import control_room
from pilothouse.app.pages import page_desk
from pilothouse.core.verdict.stability import DayRecord, Reset
from pilothouse.interfaces.web.controls import ControlsRoom
from pilothouse.interfaces.web.hand_out import HandOutRoom
from pilothouse.interfaces.web.incidents import IncidentRoom
from pilothouse.interfaces.web.pages import web_app
from pilothouse.interfaces.web.review import ReviewRoom
from pilothouse.interfaces.web.rollout import RolloutRoom
from pilothouse.interfaces.web.runs import RunRoom
from pilothouse.interfaces.web.section_pages import SectionRoom
from pilothouse.interfaces.web.signing import SigningRoom
from pilothouse.interfaces.web.waivers import WaiverRoom
from pilothouse.ledger.controls import SqlControls
from pilothouse.ledger.curation import SqlCuration
from pilothouse.ledger.incidents import SqlIncidents
from pilothouse.ledger.ledger import SqlLedger, open_ledger
from pilothouse.ledger.review_queue import SqlReviewQueue
from pilothouse.ledger.sessions import SqlSessions
from pilothouse.ledger.waiting_calls import SqlWaitingCalls
from pilothouse.ports.lake import LakeHealth
from pilothouse.ports.work import TickState
from pilothouse.runtime.runlog.recorder import Recorder, open_recorder
from pilothouse.settings import load_settings
from pilothouse.testing import FixedClock, MemoryLedger
from pilothouse.workflows.ground.installation import Installation
from pilothouse.workflows.people.people import Directory
from pilothouse.workflows.people.sign_in import Proxy, SignIn
from pilothouse.workflows.reports.show import Shows
from pilothouse.workflows.review.hand_out import HandOut
from pilothouse.workflows.review.queue import Workbench
from pilothouse.workflows.shows.desk import PageDesk
from pilothouse.workflows.verdict.assess import Assessment, assess
from pilothouse.workflows.verdict.stability import DAY

STRAY = "stray <b>agent</b>"


MINUTE = timedelta(minutes=1)

HEALTH = LakeHealth(
    counters=(("acked", 20_480), ("deduplicated", 32), ("received", 20_483), ("refused_busy", 4), ("rejected", 3)),
    rows=20_440, pending=8, gap=0, open_traces=5, waiting_bytes=9_000, uncommitted_s=0.4, freshness_s=0.21,
    wal_bytes=64 << 20, disk_free_bytes=71 << 30, busy_reason="", last_error="",
)  # fmt: skip
WORK = (
    TickState(name="prices", runs=12),
    TickState(name="verify", runs=7, failures=2, last_error=world.HOSTILE),
)


def judge(installation: Installation, agent: str, now: datetime) -> Assessment:
    return assess(installation, agent, now, freeze=False)


def write_days(ledger: MemoryLedger) -> None:
    """Write forty days for the stability clock: most count, a weekend pauses, one resets."""
    for number in range(1, 41):
        day = (world.NOW - timedelta(days=number)).date()
        resets = (Reset(reason="sev1", text="Incident 7 <b>was</b> sev1."),) if number == 30 else ()
        row = DayRecord(
            day=day,
            tasks=900,
            volume_share=0.2 if number in {12, 13} else 0.8,
            complete_share=1.0,
            resets=resets,
        )
        document = row.model_dump_json()
        ledger.record(kind=DAY, agent=world.AGENT, at=world.NOW, actor="test", document=document)


def make_installation(home: Path, *, empty: bool = False) -> Installation:
    clock = FixedClock(world.NOW)
    ledger = MemoryLedger()
    lake = world.PageLake()
    if not empty:
        charter = world.charter()
        ledger.accept_charter(
            agent=world.AGENT,
            digest=charter.digest,
            text=world.charter_text(),
            path="charter.yaml",
            at=world.NOW - timedelta(days=12),
        )
        tasks = world.make_tasks()
        lake.add(tasks)
        stray = [
            replace(task, agent=STRAY, trace_id=f"{n:032x}", input_preview=world.HOSTILE)
            for n, task in enumerate(tasks[:3])
        ]
        lake.add(stray)
        write_days(ledger)
        ledger.save_outcomes(tuple(world.make_outcomes(tasks).values()))
        ledger.add_evidence(
            [
                record
                for record in world.make_evidence(tasks, world.make_outcomes(tasks))
                if record.kind == "quality"
            ]
        )
    return Installation(settings=load_settings({}, home=home), clock=clock, lake=lake, ledger=ledger)


def make_site(home: Path, *, empty: bool = False) -> Starlette:
    installation = make_installation(home, empty=empty)
    shows = Shows(installation, health=lambda: HEALTH, work=lambda: WORK)
    return web_app(shows, rooms=(RolloutRoom(installation, shows),))


@contextmanager
def running(app: Starlette) -> Iterator[str]:
    """Serve on a free port of the loopback and yield the address."""
    # A browser that is still open holds streams; a server that waited for them would look into a ledger that is closed by then.
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="critical", lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
        if not thread.is_alive():
            raise RuntimeError("the server did not start")
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the server outlives what it reads"


@dataclass(frozen=True, kw_only=True)
class PeopleSite:
    """Pages with people: a ledger in a file, sign-in, and everything that is signed or reviewed."""

    app: Starlette
    sign_in: SignIn
    ledger: SqlLedger
    installation: Installation
    clock: MovingClock
    bench: Workbench
    queue: SqlReviewQueue
    desk: PageDesk

    def link(self, who: str) -> str:
        """Return the address of a link that signs a person in."""
        return f"/sign-in/{self.sign_in.issue_link(who, actor='test')[1]}"


def open_runs(home: Path) -> Recorder:
    """Open a run log in a folder of the site."""
    return open_recorder(home / "runs")


class MovingClock:
    """A clock that a test moves."""

    def __init__(self, now: datetime) -> None:
        self.moment = now

    def now(self) -> datetime:
        return self.moment

    def move(self, **by: float) -> None:
        self.moment += timedelta(**by)


@contextmanager
def people_site(
    home: Path,
    *,
    open_reading: bool = True,
    proxy: Proxy | None = None,
    has_charter: bool = True,
    has_tasks: bool = True,
) -> Iterator[PeopleSite]:
    """Open a site with people over a ledger in a file, so that a second one can be opened on the same file."""
    clock, memory = MovingClock(world.NOW), make_installation(home)
    with open_ledger(ledger_url(home)) as ledger, closing(open_runs(home)) as runs:
        in_force = memory.ledger.charter(world.AGENT)
        if has_charter:
            ledger.accept_charter(
                agent=in_force.agent,
                digest=in_force.digest,
                text=in_force.text,
                path=in_force.path,
                at=in_force.accepted_at,
            )
        lake = memory.lake if has_tasks else world.PageLake()
        controls = SqlControls(ledger.database)
        installation = replace(
            memory,
            ledger=ledger,
            clock=clock,
            lake=lake,
            controls=controls,
            incidents=SqlIncidents(ledger.database),
            reviews=SqlReviewQueue(ledger.database),
            calls=SqlWaitingCalls(ledger.database),
        )
        sign_in = SignIn(
            SqlSessions(ledger.database),
            Directory(ledger),
            ledger,
            clock,
            open_reading=open_reading,
            proxy=proxy,
        )
        queue = SqlReviewQueue(ledger.database)
        bench = Workbench(queue, SqlCuration(ledger.database), sign_in.directory, clock)
        shows = Shows(installation, health=lambda: HEALTH, work=lambda: WORK)
        room = control_room(installation, ledger)
        desk = page_desk(room, ledger, runs, shows=shows)
        rooms = (
            SigningRoom(ledger, sign_in.directory, clock),
            ReviewRoom(bench, clock),
            HandOutRoom(HandOut(queue, sign_in.directory, ledger), clock),
            RolloutRoom(installation, shows),
            IncidentRoom(room),
            ControlsRoom(desk, shows.forget),
            WaiverRoom(desk, shows.forget),
            RunRoom(desk, SqlCuration(ledger.database)),
            SectionRoom(desk),
        )
        app = web_app(
            shows, sign_in=sign_in, rooms=rooms, state=lambda: (ledger.database.state(), shows.now())
        )
        yield PeopleSite(
            app=app,
            sign_in=sign_in,
            ledger=ledger,
            installation=installation,
            clock=clock,
            bench=bench,
            queue=queue,
            desk=desk,
        )
