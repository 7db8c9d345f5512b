# SPDX-License-Identifier: Apache-2.0
"""The start-up hook records what a process draws and whom it contacts, and a replay draws the same again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from pilothouse.core.evidence.run_log import Draw, HostContacted
from pilothouse.errors import UnknownName
from pilothouse.runtime.launcher import Launch, agent_environment, gateway_address, read_taps
from pilothouse.runtime.runlog.recorder import Recorder
from pilothouse.runtime.taps.spool import absorb

RUN = "ab" * 16
CODE = """
import copy, datetime, io, logging, os, pickle, random, secrets, socket, sqlite3, ssl, time, uuid, warnings
warnings.simplefilter("ignore", DeprecationWarning)
for _ in range(2):
    print(time.time(), time.time_ns(), uuid.uuid4(), random.random(), random.Random().random())
    print(datetime.datetime.now(), datetime.datetime.now(datetime.timezone.utc), datetime.date.fromtimestamp(0))
moment = datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.timezone.utc)
assert isinstance(moment, datetime.datetime) and isinstance(datetime.datetime.now(), datetime.date)
assert pickle.loads(pickle.dumps(moment)) == moment == copy.deepcopy(moment)
assert datetime.datetime.fromtimestamp(0, datetime.timezone.utc).year == 1970
assert datetime.datetime.fromisoformat("2026-01-02T03:00:00+00:00") == moment
assert issubclass(datetime.datetime, datetime.date) and os.urandom(8) != os.urandom(8)
assert secrets.token_hex() != secrets.token_hex() and time.monotonic() > 0 and random.SystemRandom().random() < 1
print(time.strftime("%H:%M:%S"), time.ctime(), time.localtime().tm_sec, time.gmtime().tm_sec, datetime.date.today())
print(datetime.datetime.utcnow(), datetime.datetime.today())
now = datetime.datetime.now()
assert type(now) is type(moment) is datetime.datetime
assert time.strftime("%Y", time.gmtime(0)) == "1970" and time.ctime(0).endswith("1970")
assert sqlite3.connect(":memory:").execute("SELECT ?", (now,)).fetchone()

class Own(datetime.datetime):
    timer, converter = time.time, time.localtime

assert type(Own.now(datetime.timezone.utc)) is type(Own.utcnow()) is type(Own(2026, 1, 2)) is Own
assert Own(2026, 1, 2).timer() > 0 and Own(2026, 1, 2).converter(0).tm_year in (1969, 1970)
logging.basicConfig(format="%(asctime)s %(message)s", stream=io.StringIO())
logging.warning("said")
if os.environ.get("REACH"):
    try:
        socket.create_connection(("127.0.0.1", 9), timeout=1)
    except OSError:
        pass
    try:
        socket.getaddrinfo("telemetry.example.invalid", 443)
    except OSError:
        pass
"""


def start(environment, **more):
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**environment, **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def recording(tmp_path, *taps):
    spool = tmp_path / "spool"
    spool.mkdir(exist_ok=True)
    launch = Launch(endpoint="http://127.0.0.1:1", agent="orders", run=RUN, taps=taps, spool=spool / "l1")
    return agent_environment(launch, os.environ)


def playing(tmp_path, draws):
    """Return the environment in which recorded draws are played."""
    (tmp_path / "draws.json").write_text(json.dumps([[d.source, d.site, d.ordinal, d.value] for d in draws]))
    taps = {"mode": "replay", "draws": str(tmp_path / "draws.json"), "spool": str(tmp_path / "h"), "port": 1}
    taps |= {"processes": str(tmp_path / "processes"), "allowed": ["sh", Path(sys.executable).name]}
    return {**recording(tmp_path, "clock"), "PILOTHOUSE_TAPS": json.dumps(taps)}


def test_a_process_draws_again_what_it_drew(tmp_path):
    first = start(recording(tmp_path, "clock", "uuid", "random"))
    with Recorder(tmp_path / "runs") as log:
        absorb(tmp_path / "spool", log)
        recorded = log.read(RUN)
        assert list((tmp_path / "spool").iterdir()) == []
    draws = [each.event for each in recorded.events if isinstance(each.event, Draw)]
    assert {each.source.split(".")[0] for each in draws} == {"clock", "uuid", "random"}
    (tmp_path / "draws.json").write_text(json.dumps([[d.source, d.site, d.ordinal, d.value] for d in draws]))
    taps = {"mode": "replay", "draws": str(tmp_path / "draws.json"), "spool": str(tmp_path / "h"), "port": 1}
    replayed = {**recording(tmp_path, "clock"), "PILOTHOUSE_TAPS": json.dumps(taps)}
    assert start(replayed) == first
    assert start(recording(tmp_path, "clock", "uuid", "random")) != first


THREADS = """
import os, threading, time, uuid
drawn, turns = {}, [threading.Event() for _ in range(3)]

def tool(number):
    place = os.environ["ORDER"].index(str(number))
    if place:
        turns[place - 1].wait()
    drawn[number] = [str(uuid.uuid4()), time.time()]
    turns[place].set()

first = int(os.environ.get("FIRST", "0"))
threads = [threading.Thread(target=tool, args=(number,), name=f"{os.environ.get('POOL', 'tools@#~_')}{number + first}") for number in range(3)]
for one in threads:
    one.start()
for one in threads:
    one.join()
drawn["main"] = str(uuid.uuid4())
print(sorted(drawn.items(), key=str))
"""


def test_threads_draw_again_what_each_drew_whoever_comes_first(monkeypatch, tmp_path):
    """Tools that run at once go on when their answers come, which a replay brings in another order."""
    monkeypatch.setattr(sys.modules[__name__], "CODE", THREADS)
    first = start(recording(tmp_path, "clock", "uuid"), ORDER="012")
    with Recorder(tmp_path / "runs") as log:
        absorb(tmp_path / "spool", log)
        draws = [each.event for each in log.read(RUN).events if isinstance(each.event, Draw)]
    for order in ("012", "120", "210"):
        assert start(playing(tmp_path, draws), ORDER=order) == first
    # Threads of a pool that are numbered or named otherwise draw what is left of it or of all, in its order.
    for other in ({"FIRST": "7"}, {"POOL": "other"}):
        assert start(playing(tmp_path, draws), ORDER="012", **other) == first
    # A record from before threads were told apart gives its draws in their order.
    counts, old = Counter(), []
    for one in draws:
        site = one.site.partition("~")[0]
        old.append(replace(one, site=site, ordinal=counts[one.source, site]))
        counts[one.source, site] += 1
    assert start(playing(tmp_path, old), ORDER="012") == first


def test_hosts_and_names_of_the_environment_are_reported_without_values(tmp_path):
    start(recording(tmp_path, "env", "egress"), REACH="1", ERP_TOKEN="secret-value-1")
    with Recorder(tmp_path / "runs") as log:
        absorb(tmp_path / "spool", log)
        events = [each.event for each in log.read(RUN).events]
    hosts = {(each.host, each.inside) for each in events if isinstance(each, HostContacted)}
    assert hosts >= {("127.0.0.1", True), ("telemetry.example.invalid", False)}
    assert events[0].environment["ERP_TOKEN"] is None
    assert not any(isinstance(each, Draw) for each in events)


def test_a_forked_process_does_not_write_what_its_parent_drew(tmp_path):
    code = (
        "import os, sys, time\ntime.time()\npid = os.fork()\nif not pid:\n    sys.exit()\nos.waitpid(pid, 0)"
    )
    subprocess.run([sys.executable, "-c", code], env=recording(tmp_path, "clock"), check=True, timeout=60)
    with Recorder(tmp_path / "runs") as log:
        absorb(tmp_path / "spool", log)
        assert [one.event.source for one in log.read(RUN).events if isinstance(one.event, Draw)] == [
            "clock.time"
        ]


FORKING = """
import multiprocessing, os, sys, time, uuid
def draw():
    return f"{time.time()} {uuid.uuid4()}"
def work(pipe):
    pipe.send([draw() for _ in range(3)])
print(draw())
context = multiprocessing.get_context("fork")
for _ in range(2):
    ours, theirs = context.Pipe()
    child = context.Process(target=work, args=(theirs,))
    child.start()
    print(ours.recv(), draw())
    child.join()
"""


def test_a_forked_process_draws_again_what_it_drew_and_not_what_its_parent_did(tmp_path):
    def drawn(environment):
        words = [sys.executable, "-W", "ignore", "-c", FORKING]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout

    first = drawn(recording(tmp_path, "clock", "uuid"))
    with Recorder(tmp_path / "runs") as log:
        absorb(tmp_path / "spool", log)
        draws = [each.event for each in log.read(RUN).events if isinstance(each.event, Draw)]
    assert len({(one.source, one.site, one.ordinal) for one in draws}) == len(draws)
    (tmp_path / "draws.json").write_text(json.dumps([[d.source, d.site, d.ordinal, d.value] for d in draws]))
    taps = {"mode": "replay", "draws": str(tmp_path / "draws.json"), "spool": str(tmp_path / "h"), "port": 1}
    assert drawn({**recording(tmp_path, "clock"), "PILOTHOUSE_TAPS": json.dumps(taps)}) == first


COMMANDS = """
import subprocess, sys, time, uuid
print(uuid.uuid4(), time.time())
for word in ("a", "a", "b"):
    print(subprocess.check_output([sys.executable, "-c", "import uuid, time; print(uuid.uuid4(), time.time())", word]))
"""


def test_commands_that_a_run_starts_draw_again_what_each_drew(tmp_path):
    """Equal commands draw at equal places: the later one's draws stood for both, and a replay parted from its record."""

    def drawn(environment):
        words = [sys.executable, "-c", COMMANDS]
        return subprocess.run(
            words, env=environment, capture_output=True, text=True, check=True, timeout=60
        ).stdout

    first = drawn(recording(tmp_path, "clock", "uuid"))
    with Recorder(tmp_path / "runs") as log:
        absorb(tmp_path / "spool", log)
        draws = [each.event for each in log.read(RUN).events if isinstance(each.event, Draw)]
        assert list((tmp_path / "spool").iterdir()) == []
    assert len({(one.source, one.site, one.ordinal) for one in draws}) == len(draws) == 8
    taps = {"mode": "replay", "draws": str(tmp_path / "draws.json"), "spool": str(tmp_path / "h"), "port": 1}
    taps |= {"processes": str(tmp_path / "processes"), "allowed": [Path(sys.executable).name]}
    playing = {**recording(tmp_path, "clock"), "PILOTHOUSE_TAPS": json.dumps(taps)}
    (tmp_path / "draws.json").write_text(json.dumps([[d.source, d.site, d.ordinal, d.value] for d in draws]))
    assert drawn(playing) == first
    # Of a record from before commands were told apart one of them is played for all, as it was.
    (tmp_path / "draws.json").write_text(
        json.dumps([[d.source, d.site.partition("#")[0], d.ordinal, d.value] for d in draws])
    )
    older = drawn(playing).splitlines()
    assert (older[0], len(set(older[1:]))) == (first.splitlines()[0], 1)


AT_ONCE = """
import os, subprocess, sys
code = "import uuid; print(uuid.uuid4())"
started = [
    subprocess.Popen(
        ["sh", "-c", 'sleep $0; exec "$@"', "0.5" if os.environ["LATE"] == name else "0", sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env=None if name == "a" else dict(os.environ),
    )
    for name in ("a", "b")
]
print([one.communicate()[0] for one in started])
"""


@pytest.mark.parametrize("late", ["a", "b"])
def test_equal_commands_that_start_at_once_draw_again_what_each_drew_whichever_is_slow(late, tmp_path):
    """Each was counted when it came up, so the machine decided which of the two was played which."""
    other = {"a": "b", "b": "a"}[late]

    def drawn(environment):
        words = [sys.executable, "-W", "ignore", "-c", AT_ONCE]
        return subprocess.run(
            words, env=environment, capture_output=True, text=True, check=True, timeout=60
        ).stdout

    first = drawn({**recording(tmp_path, "uuid"), "LATE": late})
    with Recorder(tmp_path / "runs") as log:
        absorb(tmp_path / "spool", log)
        draws = [each.event for each in log.read(RUN).events if isinstance(each.event, Draw)]
    assert not any(one.is_order for one in draws)
    assert drawn({**playing(tmp_path, draws), "LATE": other}) == first


def test_equal_commands_whose_order_nobody_knows_are_marked(tmp_path):
    """A shell is not watched, so nothing says which of its commands began first."""
    one = f"{sys.executable} -c 'import time, uuid; uuid.uuid4(); time.sleep(1)'"
    for script, twins in ((f"{one} & {one} & wait", 1), (f"{one}; {one}", 0)):
        environment = recording(tmp_path, "uuid")
        code = f"import subprocess; subprocess.run({script!r}, shell=True, check=True)"
        subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
        with Recorder(tmp_path / f"runs{twins}") as log:
            absorb(tmp_path / "spool", log)
            draws = [each.event for each in log.read(RUN).events if isinstance(each.event, Draw)]
        assert (len(draws), sum(one.is_order for one in draws)) == (2 + twins, twins)


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("pass", "completed"),
        ("import sys; sys.exit()", "completed"),
        ("import sys; sys.exit(3)", "failed"),
        ("import sys; sys.exit('no order')", "failed"),
        ("1 / 0", "failed"),
        ("import os; os._exit(0)", "open"),
        ("import subprocess, sys; subprocess.run([sys.executable, '-c', '1 / 0'])", "completed"),
    ],
)
def test_a_run_ends_as_its_process_did(code, state, tmp_path):
    """Nobody wrote it: each run that was over for an hour was abandoned."""
    environment = recording(tmp_path, "uuid")
    subprocess.run(
        [sys.executable, "-c", code], env=environment, check=False, capture_output=True, timeout=60
    )
    with Recorder(tmp_path / "runs") as log:
        absorb(tmp_path / "spool", log)
        log.flush()
        assert log.read(RUN).summary.state == state


def test_what_goes_out_without_a_connection_is_reported_too(tmp_path):
    code = (
        "import socket\nout = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "for host in ('192.0.2.7', '127.0.0.1'):\n    try:\n        out.sendto(b'x', (host, 8125))\n    except OSError:\n        pass\n"
    )
    subprocess.run([sys.executable, "-c", code], env=recording(tmp_path, "egress"), check=True, timeout=60)
    with Recorder(tmp_path / "runs") as log:
        absorb(tmp_path / "spool", log)
        events = [each.event for each in log.read(RUN).events]
    hosts = {(each.host, each.port, each.inside) for each in events if isinstance(each, HostContacted)}
    assert hosts == {("192.0.2.7", 8125, False), ("127.0.0.1", 8125, True)}


def test_a_torn_line_and_a_process_that_still_runs_are_left_alone(tmp_path):
    alive = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / f"l1.{alive.pid}").write_text("{}\n")
    line = {
        "kind": "draw",
        "run": RUN,
        "source": "clock.time",
        "site": "a.py:1",
        "ordinal": 0,
        "value": "1.0",
    }
    (spool / "l2.999999999").write_text(json.dumps(line) + '\n{"kind": "dr')
    with Recorder(tmp_path / "runs") as log:
        assert absorb(spool, log) == 1
        assert absorb(tmp_path / "none", log) == 0
    assert [file.name for file in spool.iterdir()] == [f"l1.{alive.pid}"]
    alive.communicate(b"\n")


def test_two_commands_take_each_file_once(tmp_path, monkeypatch):
    spool = tmp_path / "spool"
    spool.mkdir()
    line = json.dumps(
        {"kind": "egress", "host": "erp.example", "port": 443, "inside": False, "run": "ab" * 16}
    )
    for name in ("launch.999999991", "launch.999999992.999999993"):
        (spool / name).write_text(line + "\n")
    with Recorder(tmp_path / "runs") as log:
        append = log.append

        def append_beside_another(run, event, **more):
            monkeypatch.setattr(log, "append", append)
            with monkeypatch.context() as patch:
                patch.setattr(os, "getpid", lambda: 1)
                assert absorb(spool, log) == 1
            append(run, event, **more)

        monkeypatch.setattr(log, "append", append_beside_another)
        assert absorb(spool, log) == 1
        assert len(log.read("ab" * 16).events) == 2
    assert list(spool.iterdir()) == []


def test_the_gateway_takes_the_place_of_the_provider_and_its_key():
    base = gateway_address("http://127.0.0.1:4318", run=RUN, launch="l1")
    launch = Launch(endpoint="http://127.0.0.1:4318", agent="orders", base_url=base, key="ph_x")
    environment = agent_environment(launch, {"OPENAI_API_KEY": "sk-provider"})
    assert environment["OPENAI_BASE_URL"] == f"http://127.0.0.1:4318/gw/r/{RUN}/v1"
    assert environment["ANTHROPIC_BASE_URL"] == f"http://127.0.0.1:4318/gw/r/{RUN}"
    assert environment["OPENAI_API_KEY"] == environment["ANTHROPIC_API_KEY"] == "ph_x"
    assert "PILOTHOUSE_TAPS" not in environment
    with pytest.raises(UnknownName, match="no tap 'clok'"):
        read_taps("clok")
