# SPDX-License-Identifier: Apache-2.0
"""Five troubles of a pager: what happens is defined, command and page show it, and no page is lost.

Dead SMTP, a webhook that answers 500, a slow webhook, a person whom nobody knows, and a clock that changes while the time
to acknowledge runs.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

import pytest
from control_rooms import AGENT, NOW, Hands, control_room_at, reach, run
from sinks import mail_sink, web_sink
from starlette.testclient import TestClient
from typer.testing import CliRunner

from pilothouse.app import command_tree
from pilothouse.core.action.incident import IncidentState
from pilothouse.core.dates import minute
from pilothouse.errors import Denied, UnknownName
from pilothouse.interfaces.web.incidents import IncidentRoom
from pilothouse.interfaces.web.pages import web_app
from pilothouse.ports.contacts import Message
from pilothouse.workflows.ground.work import BACKOFF_S, Delivery
from pilothouse.workflows.incidents.alerts import Firing, raise_alert
from pilothouse.workflows.incidents.incidents import hand_over, move
from pilothouse.workflows.incidents.pager import Pager
from pilothouse.workflows.reports.show import Shows
from pilothouse.workflows.verdict.accept import accept_file

TREE = command_tree()


def fire(room):
    return raise_alert(
        room,
        Firing(agent=AGENT, metric="completion", sentence="Completion fell to 79 %."),
        room.work.now(),
    )


def shown(room):
    """The incident as `pilothouse incident show` prints it, after a look that its page says the same."""
    home = room.installation.settings.home
    done = CliRunner().invoke(TREE, ["incident", "show", "1", "--home", str(home)])
    assert done.exit_code == 0, done.output
    said = " ".join(done.stdout.split())
    client = TestClient(
        web_app(Shows(room.installation), rooms=(IncidentRoom(room),)), base_url="http://localhost"
    )
    page = client.get("/incidents/1.json").json()
    for event in page["events"]:
        text = " ".join(event["text"].split())
        assert text in said
        assert event["loud"] is (re.search(rf"! [^,]+, \S+ UTC {re.escape(text)}", said) is not None)
    return said


def states(room):
    return {job.key: job.state for job in room.work.jobs("INC-1")}


def try_again(room, clock, times):
    """Let the pauses between tries pass, and a worker look after each."""
    for pause in BACKOFF_S[:times]:
        clock.move(seconds=pause)
        run(room)


def dead_mail(who):
    return f"mailto://127.0.0.1:9/?from=p@corp.example&to={who}@corp.example&mode=insecure"


class TestDeadSmtp:
    def test_a_dead_mail_server_is_tried_five_times_then_the_next_level_is_called_at_once(
        self, room, clock, web
    ):
        for who in ("sam", "kim"):
            reach(room, who, dead_mail(who), channel="mail")
        reach(room, "dana", web.url)
        fire(room)
        run(room)
        assert set(states(room).values()) == {"ready"}, "they wait for their second try"
        try_again(room, clock, len(BACKOFF_S))
        said = shown(room)
        assert "S. Ortega cannot be reached: mail:" in said
        assert "Nobody on level 1 can be reached." in said
        assert "D. Ruiz was reached by chat." in said
        assert states(room) == {
            "INC-1/r0/L1/sam": "dead",
            "INC-1/r0/L1/kim": "dead",
            "INC-1/r0/L2/dana": "done",
        }

    def test_a_mail_server_that_comes_back_gets_the_page_once_under_its_key(self, room, clock):
        with mail_sink() as mail:
            working, mail_port = mail.url, str(mail.port)
            reach(room, "sam", working.replace(mail_port, "9"), channel="mail")
            fire(room)
            run(room)
            assert mail.messages == []
            reach(room, "sam", working, channel="mail")
            try_again(room, clock, 2)
            assert [one["Idempotency-Key"] for one in mail.messages] == ["INC-1/r0/L1/sam"]
        assert "S. Ortega was reached by mail." in shown(room)


class TestWebhook500:
    def test_the_next_channel_of_the_person_takes_the_page(self, room, web):
        web.status = 500
        with mail_sink() as mail:
            reach(room, "sam", web.url)
            reach(room, "sam", mail.url, channel="mail")
            fire(room)
            run(room)
            assert [one["Idempotency-Key"] for one in mail.messages] == ["INC-1/r0/L1/sam"]
        assert "S. Ortega was reached by mail." in shown(room)

    def test_without_another_channel_the_page_waits_and_arrives_once(self, room, clock, web):
        web.status = 500
        reach(room, "sam", web.url)
        fire(room)
        run(room)
        (waiting,) = [job for job in room.work.jobs("INC-1") if job.key.endswith("sam")]
        assert (waiting.state, waiting.attempts) == ("ready", 1)
        web.status = 200
        try_again(room, clock, 2)
        assert web.keys == ["INC-1/r0/L1/sam"]
        assert "S. Ortega was reached by chat." in shown(room)


class TestSlowWebhook:
    def test_it_holds_up_nobody_else_and_its_own_page_is_repeated_under_the_same_key(
        self, room, clock, web, monkeypatch
    ):
        monkeypatch.setattr("pilothouse.connectors.apprise_notifier.READ_TIMEOUT_S", 0.2)
        web.delay_s = 0.6
        with web_sink() as quick:
            reach(room, "sam", web.url)
            reach(room, "kim", quick.url)
            fire(room)
            run(room)
            assert quick.keys == ["INC-1/r0/L1/kim"]
        said = shown(room)
        assert "K. Adeyemi was reached by chat." in said
        assert "S. Ortega was reached" not in said
        assert states(room)["INC-1/r0/L1/sam"] == "ready"
        web.delay_s = 0.0
        try_again(room, clock, 1)
        # It may have taken the first one after we gave up: whoever counts by key counts one page.
        assert set(web.keys) == {"INC-1/r0/L1/sam"}
        assert "S. Ortega was reached by chat." in shown(room)

    def test_one_that_sends_a_byte_now_and_then_holds_a_sender_for_its_time_and_no_longer(
        self, room, web, monkeypatch
    ):
        """Each byte began the time anew: eight such pages held all senders, and the server when it was to stop."""
        monkeypatch.setattr("pilothouse.connectors.apprise_notifier.READ_TIMEOUT_S", 0.3)
        monkeypatch.setattr("pilothouse.connectors.apprise_notifier.SEND_TIMEOUT_S", 0.6)
        web.drip_s = 3.0
        began = time.monotonic()
        said = room.notifier.send(web.url, Message(key="k", title="t", body="b"))
        assert said == "no answer within 0.6 s"
        assert time.monotonic() - began < 2.5


class TestWebhookBehindASignIn:
    def test_a_page_that_is_led_to_a_sign_in_page_has_reached_nobody(self, room, web):
        """The redirect was followed with a GET, which the sign-in page answered well: "S. Ortega was reached by chat"."""
        web.status = 302
        with mail_sink() as mail:
            reach(room, "sam", web.url)
            reach(room, "sam", mail.url, channel="mail")
            fire(room)
            run(room)
            assert [one["Idempotency-Key"] for one in mail.messages] == ["INC-1/r0/L1/sam"]
        assert web.keys == []
        assert "S. Ortega was reached by mail." in shown(room)


class TestUnknownPerson:
    def test_who_is_gone_from_the_charter_while_the_page_waits_is_passed_over_loudly(
        self, room, clock, web, tmp_path
    ):
        web.status = 500
        reach(room, "sam", web.url)
        reach(room, "dana", web.url)
        fire(room)
        run(room)
        path = tmp_path / "repository" / "ap-invoice-triage.yaml"
        path.write_text(re.sub(r"\bsam\b", "tom", path.read_text(encoding="utf-8")), encoding="utf-8")
        accept_file(room.installation.ledger, path, clock(), actor="test")
        web.status = 200
        try_again(room, clock, len(BACKOFF_S))
        said = shown(room)
        assert "sam cannot be reached: nobody is called 'sam' in the charter in force" in said
        assert "K. Adeyemi cannot be reached: no address is known: `pilothouse contact set kim URL`" in said
        assert "D. Ruiz was reached by chat." in said
        assert web.keys == ["INC-1/r0/L2/dana"]

    def test_nobody_unknown_gets_an_address_or_takes_an_incident(self, room, clock):
        with pytest.raises(UnknownName, match=r"no person 'samm'.*Did you mean 'sam'"):
            reach(room, "samm", "json://127.0.0.1:9/")
        fire(room)
        with pytest.raises(Denied, match="mallory has no part in incidents"):
            move(room, 1, IncidentState.ACKNOWLEDGED, person="mallory", text="", now=clock())
        assert "nobody yet; level 1, round 1" in shown(room)


class TestClockChange:
    """Berlin goes back on 25 October 2026 and forward on 28 March 2027, both in the night to Sunday."""

    @pytest.mark.parametrize(
        ("opened", "due"),
        [
            ("2026-10-23T15:50+00:00", "2026-10-26T08:15+00:00"),
            ("2027-03-26T16:50+00:00", "2027-03-29T07:15+00:00"),
        ],
        ids=["back", "forward"],
    )
    def test_a_quarter_of_an_hour_of_business_hours_ends_at_a_quarter_past_nine(
        self, tmp_path, web, opened, due
    ):
        clock, moment = Hands(datetime.fromisoformat(opened)), datetime.fromisoformat(due)
        with control_room_at(tmp_path, clock) as room:
            reach(room, "sam", web.url, zone="Europe/Berlin")
            reach(room, "dana", web.url, zone="Europe/Berlin")
            fire(room)
            run(room)
            assert f"to be acknowledged by {minute(moment)}" in shown(room)
            clock.moment = moment
            clock.move(seconds=-1)
            run(room)
            assert "did not answer in time" not in shown(room)
            clock.move(seconds=2)
            run(room)
            assert "Level 1 did not answer in time." in shown(room)
            assert web.keys == ["INC-1/r0/L1/sam", "INC-1/r0/L2/dana"]

    def test_the_time_to_resolve_is_real_time_through_the_hour_that_comes_twice(self, tmp_path):
        clock = Hands(datetime(2026, 10, 24, 23, 0, tzinfo=UTC))
        with control_room_at(tmp_path, clock) as room:
            alert = Firing(agent=AGENT, metric="quality", sentence="Quality fell to 79 %.")
            assert raise_alert(room, alert, clock()).incident.severity == "sev1"
            clock.move(hours=4, seconds=-1)
            run(room)
            assert "time to resolve" not in shown(room)
            clock.move(seconds=2)
            run(room)
            assert "The time to resolve a sev1 has passed." in shown(room)


class TestIncidentThatIsOver:
    """Jobs that wait while no worker runs, or between two tries, are about something that people ended meanwhile."""

    def end(self, room, person="kim"):
        for state in (IncidentState.ACKNOWLEDGED, IncidentState.RESOLVED):
            move(room, 1, state, person=person, text="", now=room.work.now())

    def test_nobody_is_called_and_nothing_paused_for_it_after_a_downtime(self, room, clock, web):
        reach(room, "sam", web.url)
        firing = Firing(agent=AGENT, metric="discrepancy", sentence="4 % of claims are contradicted.")
        raise_alert(room, firing, room.work.now())
        waiting = {key for key, state in states(room).items() if state == "ready"}
        assert {"INC-1/pause", "INC-1/r0/L1/sam"} <= waiting
        self.end(room)
        clock.move(hours=9)
        run(room)
        assert web.received == []
        assert room.controls.read().refusal_of(AGENT) is None
        assert set(states(room).values()) == {"done"}
        said = shown(room)
        why = "for INC-1 ended before its turn came."
        assert f"No longer needed: S. Ortega is not called any more, {why}" in said
        assert f"No longer needed: {AGENT} is not paused, {why}" in said

    def test_a_page_that_failed_is_not_tried_again_for_it_and_no_substitute_is_called(self, room, clock):
        for who in ("sam", "kim"):
            reach(room, who, dead_mail(who), channel="mail")
        fire(room)
        run(room)
        assert "ready" in states(room).values(), "a try has failed, the next one waits"
        self.end(room)
        try_again(room, clock, len(BACKOFF_S))
        assert set(states(room).values()) == {"done"}
        assert "cannot be reached" not in shown(room)

    def test_what_is_taken_up_again_pauses_as_before_and_calls_nobody_else(self, room, web):
        reach(room, "sam", web.url)
        firing = Firing(agent=AGENT, metric="discrepancy", sentence="4 % of claims are contradicted.")
        raise_alert(room, firing, room.work.now())
        self.end(room)
        move(room, 1, IncidentState.ACKNOWLEDGED, person="kim", text="", now=room.work.now())
        run(room)
        assert web.keys == []
        assert room.controls.read().refusal_of(AGENT) is not None


class TestIncidentInHand:
    """Somebody took it while pages of its level waited, or were tried again: nobody else is called for it."""

    def take(self, room, person="kim"):
        move(room, 1, IncidentState.ACKNOWLEDGED, person=person, text="", now=room.work.now())

    def test_the_rest_of_the_level_is_not_called_after_a_downtime(self, room, clock, web):
        for who in ("sam", "kim"):
            reach(room, who, web.url)
        fire(room)
        self.take(room)
        clock.move(hours=9)
        run(room)
        assert web.received == []
        assert set(states(room).values()) == {"done"}
        assert (
            "No longer needed: S. Ortega is not called any more, for K. Adeyemi has INC-1 in hand."
            in shown(room)
        )

    def test_no_substitute_stands_in_for_who_cannot_be_reached(self, room, clock, web):
        fire(room)  # nobody knows how sam can be reached
        worker = Pager(room).worker()
        worker.beat()
        lease, (job, *_) = worker.lease, [one for one in room.work.jobs("INC-1") if one.key.endswith("/sam")]
        self.take(room)
        Pager(room).settle(job, Delivery(ok=False, final=True, said="no address"), lease)
        worker.stop()
        assert list(states(room)) == ["INC-1/r0/L1/kim", "INC-1/r0/L1/sam"]
        assert "S. Ortega cannot be reached: no address" in shown(room)

    def test_who_gets_it_handed_over_is_called_all_the_same(self, room, web):
        reach(room, "dana", web.url)
        fire(room)
        self.take(room)
        hand_over(room, 1, "dana", person="kim", now=room.work.now())
        run(room)
        assert [title.partition(":")[0] for title in web.titles] == [f"sev2 · {AGENT}"]

    def test_who_takes_it_up_again_has_it_and_its_time_to_resolve_goes_on(self, room, clock):
        fire(room)
        self.take(room)
        move(room, 1, IncidentState.RESOLVED, person="kim", text="", now=clock())
        clock.move(hours=1)
        self.take(room, "sam")
        incident = room.incidents.incident(1)
        assert (incident.acknowledged_by, incident.acknowledged_at) == ("sam", NOW)
        clock.move(days=2)
        run(room)
        assert "The time to resolve a sev2 has passed." in shown(room)


class TestIncidentThatBecomesWorse:
    """An alert of a worse rule within the hour: what would have followed had the incident opened so."""

    def mild(self, room):
        return raise_alert(
            room,
            Firing(agent=AGENT, metric="escalation", sentence="Escalation rose."),
            room.work.now(),
        )

    def grave(self, room):
        return raise_alert(
            room, Firing(agent=AGENT, metric="quality", sentence="Quality fell."), room.work.now()
        )

    def test_its_time_to_resolve_is_that_of_the_worse_severity_and_is_said_once(self, room, clock):
        assert self.mild(room).incident.severity == "sev3"
        clock.move(minutes=30)
        assert self.grave(room).incident.severity == "sev1"
        move(room, 1, IncidentState.ACKNOWLEDGED, person="kim", text="", now=clock())
        clock.move(hours=4, seconds=1)
        run(room)
        assert shown(room).count("The time to resolve a sev1 has passed.") == 1
        clock.move(days=10)
        run(room)
        assert shown(room).count("The time to resolve a sev1 has passed.") == 1

    def test_who_has_it_in_hand_is_told_once(self, room, clock, web):
        reach(room, "kim", web.url)
        self.mild(room)
        run(room)
        move(room, 1, IncidentState.ACKNOWLEDGED, person="kim", text="", now=clock())
        clock.move(minutes=30)
        self.grave(room)
        self.grave(room)
        run(room)
        assert len(web.received) == 2
        assert "It became a sev1: Quality fell." in web.received[-1][1]["message"]
        assert web.titles[-1] == f"sev1 · {AGENT}: Escalation rose."
        assert "K. Adeyemi is told that it became a sev1." in shown(room)

    def test_a_severity_that_starts_higher_calls_its_level_at_once(self, tmp_path, clock, web):
        with control_room_at(tmp_path, clock) as room:
            file = tmp_path / "repository" / "ap-invoice-triage.yaml"
            text = file.read_text(encoding="utf-8")
            file.write_text(
                text.replace("pause: true,  start_level: 1", "pause: true,  start_level: 2"), encoding="utf-8"
            )
            accept_file(room.installation.ledger, file, clock(), actor="test")
            for who in ("dana", "vp"):
                reach(room, who, web.url)
            self.mild(room)
            clock.move(minutes=5)
            assert self.grave(room).incident.level == 2
            run(room)
            assert web.keys == ["INC-1/r0/L2/dana"]
            assert "INC-1/r0/L2/kim" not in states(room), "who stands in for sam was called on level 1"
            clock.move(minutes=16)
            run(room)
            assert room.incidents.incident(1).level == 2, "the clock of level 1 is stopped"
            clock.move(minutes=15)
            run(room)
            assert room.incidents.incident(1).level == 3
