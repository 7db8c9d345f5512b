# SPDX-License-Identifier: Apache-2.0
"""Runs at the start of an agent's Python process: records or plays back what it draws, watches or refuses what it reaches.

Python imports a module of this name by itself. Never replaced: `os.urandom`, `secrets`, `ssl`, monotonic clocks; event
loops and encryption depend on them. Imports little, and never raises: an agent must start whatever is wrong here.
"""

import binascii
import json
import os
import sys
import threading
from collections import deque

__all__ = ["EgressRefused"]

FLUSH_EVERY = 64
DRAWS_MAX = 200_000
"""Draws of one process; further ones are real."""

REFUSALS_MAX = 100
"""Destinations of one process that are told of; further ones are refused all the same."""

ADDRESSES_MAX = 10_000
"""Addresses that are remembered with their names; what is resolved later than so many is refused."""


PLACE = "PILOTHOUSE_PLACE"
"""Tells a command which one it is of those that its parent started."""


class _Hook:
    """State of the hook in one process."""

    def __init__(self, settings):
        self.settings = settings
        self.replays = settings.get("mode") == "replay"
        self.run = settings.get("run", "")
        self.lock = threading.RLock()
        self.lines = []
        self.ordinals = {}
        self.hosts = set()
        self.quiet = threading.local()
        self.library = os.path.dirname(os.__file__)
        self.recorded = {}
        self.alike = {}
        self.last = {}
        self.lineage = ""
        self.forks = 0
        self.flush_every = FLUSH_EVERY
        self.knows_forks = False
        self.knows_processes = False
        self.started = 0
        self.is_twin = False
        self.has_failed = False
        self.process, older = self.claim()
        self.open_file()
        if self.replays:
            with open(settings["draws"], encoding="utf-8") as file:
                for source, site, ordinal, value in json.load(file):
                    self.recorded[source, site, ordinal] = value
                    for kin in (_kin(site), site.partition("~")[0]):
                        self.alike.setdefault((source, kin), deque()).append((site, ordinal))
                    self.last.setdefault(source, value)
                    self.knows_forks = self.knows_forks or "@" in site
                    self.knows_processes = self.knows_processes or "#" in site
            if not any("-" in site.partition("#")[2] for _, site, _ in self.recorded):
                self.process = (
                    older  # a record from before commands had a place has them numbered as they came up
                )

    def claim(self):
        """Return what tells the draws of this process from those of others of its run, now and of old; empty for the first one.

        Commands that a run starts have equal places that draw. Each is named by its words, by its place among those that its
        parent started, and by how many with both equal came up before it. One of these that still runs is a twin: which
        of the two came up first may be chance.
        """
        path = self.settings.get("processes")
        if path is None:
            return "", ""
        words = json.dumps([os.path.basename(word) for word in _words()[1:]])
        place = os.environ.get(PLACE, "")
        mine = {
            "kind": "process",
            "id": f"{os.getpid()} {os.urandom(8).hex()}",
            "words": words,
            "place": place,
        }
        with open(path, "ab", buffering=0) as file:
            file.write(json.dumps(mine).encode() + b"\n")
        before = []
        with open(path, encoding="utf-8") as file:
            for line in file:
                entry = json.loads(line)
                if entry["id"] == mine["id"]:
                    break
                before.append(entry)
        if not before:
            return "", ""
        alike = [entry for entry in before if entry["words"] == words]
        twins = [entry for entry in alike if entry["place"] == place]
        self.is_twin = any(_runs(int(entry["id"].split()[0])) for entry in twins)
        named = binascii.crc32((words + place).encode())
        return f"#{named:08x}-{len(twins)}", f"#{binascii.crc32(words.encode()):08x}.{len(alike)}"

    def start(self, environment):
        """Tell a command that is about to be started which one it is, by the environment that it gets.

        Threads start theirs in no order, so all of a process have one place.
        """
        number = ""
        if threading.current_thread() is threading.main_thread():
            self.started += 1
            number = str(self.started)
        given = os.environ if environment is None else environment
        try:
            if "PILOTHOUSE_TAPS" in given:
                given[PLACE] = f"{self.process}{self.lineage}/{number}"
        except TypeError:
            pass  # it cannot be changed, and the command is counted as it comes up

    def open_file(self):
        """Open the file that this process writes."""
        spool = self.settings["spool"]
        path = spool if self.replays else f"{spool}.{os.getpid()}"
        self.file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def write(self, entry, now=False):
        """Keep a line; written in groups."""
        entry["run"] = self.run
        with self.lock:
            self.lines.append(json.dumps(entry))
            if now or len(self.lines) >= self.flush_every:
                self.flush()

    def fork(self):
        """Count the processes that this one forks: each has draws of its own, and the same number in a replay."""
        self.forks += 1

    def leave(self):
        """Begin anew in a forked process: what waits is its parent's to write, and so is who holds the lock.

        It has a file of its own, which its parent's end does not take from it, and each line is there at once: such a
        process often ends without a word.
        """
        self.lineage = f"{self.lineage or '@'}{'.' if self.lineage else ''}{self.forks}"
        self.forks = 0
        self.started = 0
        self.ordinals = {}
        self.lines = []
        self.lock = threading.RLock()
        self.flush_every = 1
        self.open_file()

    def open(self, entry):
        """Write a line before what waits: setting the taps has drawn already."""
        entry["run"] = self.run
        with self.lock:
            self.lines.insert(0, json.dumps(entry))
            self.flush()

    def flush(self):
        """Write what waits."""
        if self.lines:
            lines, self.lines = self.lines, []
            os.write(self.file, ("\n".join(lines) + "\n").encode())

    def draw(self, source, real, write, read, depth=2):
        """Return what the agent's code draws, so many calls above: the recorded value, or a real one that is recorded."""
        frame = sys._getframe(depth)
        name = frame.f_code.co_filename
        if name.startswith(
            (self.library + "/asyncio", self.library + "/logging", self.library + "/threading", "<frozen")
        ):
            return real()
        place = f"{os.path.basename(name)}:{frame.f_lineno}"
        # A record from before processes and forks were told apart has one name for the draws of all.
        if not self.replays or self.knows_processes:
            place += self.process
        site = place if self.replays and not self.knows_forks else place + self.lineage
        mine = site + _thread()
        with self.lock:
            ordinal = self.ordinals.get((source, mine), 0)
            self.ordinals[source, mine] = ordinal + 1
            if self.replays:
                value = self.take(source, site, mine, ordinal)
                return real() if value is None else read(value)
        value = real()
        if ordinal < DRAWS_MAX:
            self.write(
                {"kind": "draw", "source": source, "site": mine, "ordinal": ordinal, "value": write(value)}
            )
        return value

    def take(self, source, site, mine, ordinal):
        """Return what this thread drew there, else what is left of others of its pool or of all, else one again, or None."""
        value = self.recorded.pop((source, mine, ordinal), None)
        for kin in (_kin(mine), site):
            others = self.alike.get((source, kin), ())
            while value is None and others:
                value = self.recorded.pop((source, *others.popleft()), None)
        if value is not None:
            self.last[source] = value
        return self.last.get(source)


def _runs(pid):
    """Whether a process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _thread():
    """Return what tells the draws of a thread from those of others at the same place; empty for the main one."""
    thread = threading.current_thread()
    if thread is threading.main_thread():
        return ""
    return "~" + "".join(each if each.isalnum() else "." for each in thread.name[:64])


def _kin(site):
    """Return the place of a draw with the name of its thread but for numbers, which are those of its pool."""
    place, _, name = site.partition("~")
    return f"{place}~" + "".join(each for each in name if not each.isdigit())


def _words():
    """Return the words that this process was started with; older interpreters do not say them yet."""
    if hasattr(sys, "orig_argv"):
        return sys.orig_argv
    with open("/proc/self/cmdline", encoding="utf-8", errors="replace") as file:
        return file.read().split("\0")


class _Function:
    """Stands for a function of C: no class that keeps it makes a method of it."""

    __slots__ = ("_do",)

    def __init__(self, do):
        self._do = do

    def __call__(self, *given):
        return self._do(*given)


def _tap_clock(hook):
    import datetime
    import time

    real_time, real_ns, kind = time.time, time.time_ns, datetime.datetime
    real_now, utc = kind.now, datetime.timezone.utc  # noqa: UP017 - the agent's interpreter may be older than ours

    def clock():
        return hook.draw("clock.time", real_time, repr, float, depth=3)

    def present(real):
        def told(*given):
            return real(*given) if given else real(hook.draw("clock.time", real_time, repr, float, depth=3))

        return told

    def formatted(real, local):
        def told(form, *given):
            if given:
                return real(form, *given)
            return real(form, local(hook.draw("clock.time", real_time, repr, float, depth=3)))

        return told

    def now(cls, tz=None):
        return _of(
            cls,
            kind,
            hook.draw(
                "clock.now",
                lambda: real_now(tz),
                lambda at: repr(at.timestamp()),
                lambda text: kind.fromtimestamp(float(text), tz),
            ),
        )

    def utcnow(cls):
        return _of(
            cls,
            kind,
            hook.draw(
                "clock.utcnow",
                lambda: real_now(utc).replace(tzinfo=None),
                lambda at: repr(at.replace(tzinfo=utc).timestamp()),
                lambda text: kind.fromtimestamp(float(text), utc).replace(tzinfo=None),
            ),
        )

    _give(kind, now)
    _give(kind, utcnow)
    time.strftime = _Function(formatted(time.strftime, time.localtime))
    for name in ("localtime", "gmtime", "ctime"):
        setattr(time, name, _Function(present(getattr(time, name))))
    time.time = _Function(clock)
    time.time_ns = _Function(lambda: hook.draw("clock.time_ns", real_ns, repr, int, depth=3))


def _of(cls, kind, at):
    """Return a moment as the class that was asked for it."""
    if cls is kind:
        return at
    return cls(*at.timetuple()[:6], at.microsecond, at.tzinfo, fold=at.fold)


def _give(kind, function):
    """Give a class of C another class method: a class in its place would not be the one that libraries know its values by."""
    import ctypes
    import gc

    name = function.__name__
    (members,) = gc.get_referents(kind.__dict__)
    members[name] = classmethod(function)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))
    if getattr(getattr(kind, name), "__func__", None) is not function:
        raise RuntimeError(f"{kind.__name__}.{name} stays as it is in this interpreter")


def _tap_uuid(hook):
    import uuid

    for name in ("uuid1", "uuid4", "uuid6", "uuid7"):
        real = getattr(uuid, name, None)
        if real is None:
            continue  # older than the interpreter's own

        def drawn(*args, _real=real, _name=name, **kwargs):
            return hook.draw(f"uuid.{_name}", lambda: _real(*args, **kwargs), str, uuid.UUID)

        setattr(uuid, name, drawn)


def _tap_random(hook):
    import random

    real = random.Random.seed

    def seed(self, a=None, *args, **kwargs):
        if a is None and not isinstance(self, random.SystemRandom):
            a = hook.draw("random.seed", lambda: int.from_bytes(os.urandom(16), "big"), repr, int)
        return real(self, a, *args, **kwargs)

    random.Random.seed = seed
    random.seed = random._inst.seed
    random.seed()


def _site(hook):
    """Return the innermost place outside the standard library."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith((hook.library, "<", __file__)) or "site-packages" in name:
            return f"{name}:{frame.f_lineno}"
        frame = frame.f_back
    return "?"


def _watch(hook):
    """Report or refuse what goes outside, by the interpreter's own events."""
    inside = tuple(hook.settings.get("inside", ("127.0.0.1", "localhost", "::1")))
    allowed = set(hook.settings.get("allowed", ()))
    scratch = hook.settings.get("scratch", "")
    dev = ("/dev/",)

    def seen(what, target, outside, port=None):
        if hook.replays:
            if outside:
                hook.write({"kind": "refused", "what": what, "target": target, "site": _site(hook)}, now=True)
                raise PermissionError(f"a replay does not {what}: {target}")
            return
        if "egress" in hook.settings.get("taps", ()) and (target, port) not in hook.hosts:
            hook.hosts.add((target, port))
            hook.write({"kind": "egress", "host": target, "port": port, "inside": not outside}, now=True)

    def within(path):
        text = os.path.abspath(os.fsdecode(path)) if isinstance(path, (str, bytes, os.PathLike)) else ""
        return not text or text.startswith((scratch, *dev))

    def audit(event, args):
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            address = args[1]
            if address is None:
                return  # it goes where the socket was connected to
            if isinstance(address, tuple):
                port = address[1]
                outside = address[0] not in inside or (hook.replays and port != hook.settings["port"])
                seen("connect", f"{address[0]}:{port}" if hook.replays else str(address[0]), outside, port)
            elif hook.replays:
                seen("connect", os.fsdecode(address) if address else "", True)
        elif event == "socket.getaddrinfo":
            host = args[0]
            if host:
                name = host.decode() if isinstance(host, bytes) else str(host)
                seen("look-up", name, name not in inside)
        elif hook.replays and event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"):
            program = os.path.basename(
                os.fsdecode(args[0] if event != "subprocess.Popen" else (args[0] or args[1][0]))
            )
            seen("start", program, program not in allowed)
        elif hook.replays and event in ("os.remove", "os.rmdir", "shutil.rmtree", "os.truncate"):
            seen("delete", os.fsdecode(args[0]) if not isinstance(args[0], int) else "?", not within(args[0]))

    sys.addaudithook(audit)


class EgressRefused(PermissionError):
    """A connection that the charter does not declare; nothing was sent."""

    kind = "permission"

    def __init__(self, host, port):
        super().__init__(
            13,
            f"the charter declares no integration at {host}{f':{port}' if port else ''}, so nothing was sent. "
            "Do without it; the owner declares it under `integrations:` and runs `pilothouse check`",
        )
        self.host, self.port = host, port

    def as_tool_result(self):
        """Return what an agent can reason about, as tools of the charter say it."""
        return {"error": "permission", "side_effect": "none", "retryable": False, "detail": self.strerror}


def _bar(settings):
    """Let connections go only to declared hosts: by name, and to the addresses that a declared name was resolved to."""
    import socket

    inside, declared = set(settings["inside"]), settings["declared"]
    resolved, told, lock = {}, set(), threading.Lock()
    real = socket.getaddrinfo

    def fits(name, port):
        if name in inside:
            return True
        ports = declared.get(name.lower().rstrip("."))
        return ports is not None and (not ports or port is None or port in ports)

    def refuse(name, port):
        with lock:
            is_new = (name, port) not in told and len(told) < REFUSALS_MAX
            told.add((name, port))
            number = len(told)
        if is_new:
            line = {"agent": settings["agent"], "version": settings["version"], "host": name, "port": port}
            path = f"{settings['refusals']}.{os.getpid()}.{number}"
            with open(f"{path}.part", "w", encoding="utf-8") as file:
                json.dump(line, file)
            os.replace(f"{path}.part", f"{path}.json")
        raise EgressRefused(name, port)

    def getaddrinfo(host, port, *args, **kwargs):
        found = real(host, port, *args, **kwargs)
        if host and len(resolved) < ADDRESSES_MAX:
            name = host.decode() if isinstance(host, bytes) else str(host)
            for one in found:
                resolved.setdefault(one[4][0], set()).add(name)
        return found

    def audit(event, args):
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            address = args[1]
            if isinstance(address, tuple):
                name, port = str(address[0]), address[1]
                if not fits(name, port) and not any(fits(one, port) for one in resolved.get(name, ())):
                    refuse(name, port)
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            host = args[0]
            name = host.decode() if isinstance(host, bytes) else str(host or "localhost")
            if not fits(name, None) and not _is_address(socket, name):
                refuse(name, None)
        elif event in ("socket.gethostbyaddr", "socket.getnameinfo"):
            # Whoever answers for a name, or for a range of addresses, hears what is asked for.
            host = args[0] if event == "socket.gethostbyaddr" else args[0][0]
            name = host.decode() if isinstance(host, bytes) else str(host)
            is_ours = name == socket.gethostname() or any(fits(one, None) for one in resolved.get(name, ()))
            if not fits(name, None) and not is_ours:
                refuse(name, None)

    socket.getaddrinfo = getaddrinfo
    sys.addaudithook(audit)


def _is_address(socket, text):
    """Whether a text is an address already, which is judged when it is connected to."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text.partition("%")[0])
        except (OSError, ValueError):
            continue
        return True
    return False


def _start():
    barred = os.environ.get("PILOTHOUSE_EGRESS")
    if barred:
        _bar(json.loads(barred))
    given = os.environ.get("PILOTHOUSE_TAPS")
    if not given:
        return
    hook = _Hook(json.loads(given))
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=hook.fork, after_in_child=hook.leave)
    taps = (
        {source.split(".")[0] for source, _, _ in hook.recorded}
        if hook.replays
        else set(hook.settings["taps"])
    )
    for name, tap in (("clock", _tap_clock), ("uuid", _tap_uuid), ("random", _tap_random)):
        if name in taps:
            try:
                tap(hook)
            except Exception as error:
                taps.discard(name)  # what is not watched must not be said to be
                sys.stderr.write(
                    f"pilothouse: the tap {name} cannot be set: {type(error).__name__}: {error}\n"
                )
    if not hook.replays:
        names = sorted(os.environ) if "env" in taps else []
        kept = {"LANG", "LC_ALL", "TZ", "PYTHONHASHSEED", "VIRTUAL_ENV_PROMPT"}
        hook.open(
            {
                "kind": "open",
                "agent": hook.settings.get("agent", "unknown"),
                "version": hook.settings.get("version"),
                "taps": sorted(taps),
                "environment": {name: os.environ[name] if name in kept else None for name in names},
            }
        )
        if hook.is_twin:
            number = hook.process.rpartition("-")[2]
            drawn = {"source": "process.order", "site": hook.process, "ordinal": 0, "value": number}
            hook.write({"kind": "draw", **drawn}, now=True)
    sys.addaudithook(
        lambda event, args: (
            hook.start(args[3] if event == "subprocess.Popen" else None)
            if event in ("subprocess.Popen", "os.system")
            else None
        )
    )
    if hook.replays or "egress" in taps:
        _watch(hook)
    import atexit

    def end():
        if not hook.replays:
            is_first = "processes" in hook.settings and not (hook.process or hook.lineage)
            ended = {"failed": hook.has_failed or hasattr(sys, "last_type")} if is_first else {}
            hook.write({"kind": "end", **ended}, now=True)
        hook.flush()

    atexit.register(end)
    _watch_exit(hook)


def _watch_exit(hook):
    """Note with which status the process ends: nothing at its end says so, only an exception that nobody caught."""
    real = sys.exit

    def leave(status=None):
        if threading.current_thread() is threading.main_thread():
            hook.has_failed = status not in (None, 0)
        real(status)

    sys.exit = _Function(leave)


def _next():
    """Import the module of this name that the user has, which ours stands before."""
    import importlib.machinery
    import importlib.util

    here = os.path.dirname(os.path.abspath(__file__))
    paths = [path for path in sys.path if os.path.abspath(path or ".") != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", paths)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


try:
    _start()
except Exception as error:
    if os.environ.get("PILOTHOUSE_EGRESS"):
        raise SystemExit(f"pilothouse: connections cannot be held to the charter: {error}") from error
    sys.stderr.write(f"pilothouse: the taps could not be set: {type(error).__name__}: {error}\n")
_next()
