# SPDX-License-Identifier: Apache-2.0
"""The closed place of a replay: it closes on a system with mounts of its own, and nothing outlives it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pilothouse.runtime.replay import inside
from pilothouse.runtime.replay.sandbox import UNSHARE, is_sandbox_supported, prepare_sandbox

pytestmark = pytest.mark.skipif(not is_sandbox_supported(), reason="this system gives no namespaces")


@pytest.fixture
def place(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "scratch").mkdir()
    return prepare_sandbox(tmp_path / "scratch", tmp_path / "source", 4318)


def processes_of(word):
    """Return the processes whose command line holds a word."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if word.encode() in (process / "cmdline").read_bytes():
                found.append(process.name)
    return found


def test_what_the_agent_left_behind_ends_with_it(place):
    word = str(place.folder)
    left = f"setsid sh -c 'sleep 61 & echo > begun; wait' {word} & until [ -e begun ]; do sleep 0.05; done; exit 7"
    assert place.run(["/bin/sh", "-c", left], os.environ, timeout_s=60) == 7
    assert not processes_of(word)


def test_an_agent_that_does_not_want_to_end_is_ended(place):
    deaf = "trap '' TERM; while :; do sleep 0.1; done"
    assert place.run(["/bin/sh", "-c", deaf, str(place.folder)], os.environ, timeout_s=0.5) == 124
    assert not processes_of(str(place.folder))


REACHING = """
import os, socket, sys

def tried(name, do):
    try:
        do()
        print(name)
    except OSError:
        pass

def connect():
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(sys.argv[2])

tried("signal", lambda: os.kill(int(sys.argv[1]), 15))
tried("memory", lambda: open("/dev/shm/" + sys.argv[3], "w").close())
tried("socket", connect)
tried("process", lambda: open(f"/proc/{sys.argv[1]}/oom_score_adj", "w").write("999"))
sys.exit(9)
"""


def test_a_program_without_our_hook_reaches_nobody_outside(place, tmp_path, capfd):
    (place.folder / "work/reach.py").write_text(REACHING)
    name = f"ph-{os.getpid()}"
    other = subprocess.Popen(["sleep", "60"])
    try:
        with tempfile.TemporaryDirectory(prefix="ph-") as short, socket.socket(socket.AF_UNIX) as server:
            server.bind(f"{short}/s")
            server.listen(1)
            words = [sys.executable, "-I", "reach.py", str(other.pid), f"{short}/s", name]
            assert place.run(words, os.environ, timeout_s=30) == 9
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
    # The memory is its own, and gone with it.
    assert capfd.readouterr().err.split() == ["memory"]
    assert not Path("/dev/shm", name).exists()


WRITING = """
import glob, os, stat

def is_open(name):
    try:
        os.close(os.open(name, os.O_WRONLY))
    except OSError:
        return False
    return True

names = ["/proc/sys/kernel/panic", "/proc/sys/vm/drop_caches", "/proc/self/oom_score_adj", "/sys/power/state", "/dev/kmsg"]
names += glob.glob("/sys/kernel/mm/*/enabled")
names += [name for name in glob.glob("/dev/*") if stat.S_ISBLK(os.stat(name).st_mode)]
print(*filter(is_open, names), "end", flush=True)
open("/dev/null", "wb").write(open("/dev/urandom", "rb").read(8) + open("/dev/zero", "rb").read(8))
open("/dev/stderr", "a").write("told")
"""


def test_root_inside_writes_to_no_disk_and_no_switch_of_the_kernel(place, capfd):
    (place.folder / "work/write.py").write_text(WRITING)
    assert place.run([sys.executable, "-I", "write.py"], os.environ, timeout_s=30) == 0
    assert capfd.readouterr().err.split() == ["end", "told"]


def test_the_agent_inside_gets_no_credential_and_no_other_way_to_a_model(place):
    inherited = {
        "PATH": "/bin",
        "DATABASE_URL": "postgres://crm:s3cr3t-of-crm@db.example/crm",
        "CI_DEPLOY": "ghp_" + "a1B2" * 9,
        "HTTPS_PROXY": "http://proxy.example:3128",
        "http_proxy": "http://proxy.example:3128",
        "OPENAI_API_BASE": "https://elsewhere.example/v1",
    }
    env = place.environment(inherited, "ab" * 16, ())
    assert env["PATH"] == "/bin"
    assert {"HTTPS_PROXY", "http_proxy", "OPENAI_API_BASE"}.isdisjoint(env)
    assert (env["DATABASE_URL"], env["CI_DEPLOY"]) == ("ph-canary-database_url", "ph-canary-ci_deploy")


def test_an_agent_that_is_asked_to_end_may_say_so(place):
    polite = "trap 'echo bye > said; exit 0' TERM; touch begun; while :; do sleep 0.05; done"
    assert place.run(["/bin/sh", "-c", polite], os.environ, timeout_s=1.0) == 124
    assert (place.folder / "work/said").read_text() == "bye\n"


def closed_after(mounts, place, seen):
    """Close the place on a system that has mounts of its own, and run a line of shell in it."""
    within = [*UNSHARE, sys.executable, "-I", inside.__file__, "--socket", str(place.socket_file)]
    within += ["--port", "4318", "--scratch", str(place.folder), "--cwd", str(place.folder / "work"), "--"]
    outer = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", f'{mounts}exec "$@"', "sh"]
    words = [*outer, *within, "/bin/sh", "-c", seen]
    return subprocess.run(words, check=False, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("masked", ["", "mount --bind /dev/null /proc/uptime && "])
def test_a_mount_below_run_is_hidden_and_in_nobodys_way(masked, place):
    """And a container that masks a part of `/proc` lets nobody mount another one: then it is read-only."""
    seen = "ls -A /run | wc -l; touch /usr/mine 2>/dev/null || echo closed; "
    seen += (
        "echo 9 2>/dev/null > /proc/self/oom_score_adj || echo closed"
        if masked
        else "kill -0 $PPID && echo own"
    )
    mounts = (
        "mount -t tmpfs x /run && mkdir /run/user && mount -t tmpfs x /run/user && touch /run/user/bus && "
        + masked
    )
    done = closed_after(mounts, place, seen)
    assert (done.stderr, done.stdout.split(), done.returncode) == (
        "",
        ["0", "closed", "closed" if masked else "own"],
        0,
    )


@pytest.mark.parametrize(
    "name", ["größe", "a b", "back\\\\slash", "next\u2028line", os.fsdecode(b"latin-\xf6")]
)
def test_a_mount_is_closed_whatever_it_is_called(name, place, tmp_path):
    """One with a letter outside ASCII stayed open for writing: the kernel's line was read as if it were Latin-1."""
    outside = tmp_path / name
    outside.mkdir()
    done = closed_after(f"mount -t tmpfs x '{outside}' && ", place, f"touch '{outside}/mine' || echo closed")
    assert (done.stdout, done.returncode) == ("closed\n", 0), done.stderr


def test_sockets_and_pipes_in_the_agents_folder_are_in_nobodys_way(tmp_path):
    with tempfile.TemporaryDirectory(prefix="ph-") as source, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{source}/s")
        os.mkfifo(f"{source}/pipe")
        Path(source, "agent.py").write_text("pass")
        Path(source, "link").symlink_to("agent.py")
        made = prepare_sandbox(tmp_path, Path(source), 4318)
    assert sorted(one.name for one in (made.folder / "work").iterdir()) == ["agent.py", "link"]


def test_what_the_agent_writes_beside_the_hook_is_no_refusal(place):
    said = b'{"kind": "refused", "what": "start", "target": "mail", "site": "agent.py:3"}\n'
    lines = (b"\xff\n", b"null\n", b"7\n", b'{"kind": "refused"}\n', b"[" * 200_000 + b"\n", said, said[:40])
    (place.folder / "hook.jsonl").write_bytes(b"".join(lines))
    assert [(one.what, one.target) for one in place.refusals()] == [("start", "mail")]
