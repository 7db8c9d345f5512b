# SPDX-License-Identifier: Apache-2.0
"""Runs at the start of an agent's Python process: records or plays back what it draws, watches or refuses what it reaches.

Python imports a module of this name by itself. Never replaced: `os.urandom`, `secrets`, `ssl`, monotonic clocks; event
loops and encryption depend on them. Imports little, and never raises: an agent must start whatever is wrong here.
"""

import json
import os
import sys
import threading

__all__ = ["EgressRefused"]

FLUSH_EVERY = 64
DRAWS_MAX = 200_000
"""Draws of one process; further ones are real and counted."""


REFUSALS_MAX = 100
"""Destinations of one process that are told of; further ones are refused all the same."""

ADDRESSES_MAX = 10_000
"""Addresses that are remembered with their names; what is resolved later than so many is refused."""


class _Hook:
    """State of the hook in one process."""

    def __init__(self, settings):
        self.settings = settings
        self.replays = settings.get("mode") == "replay"
        self.run = settings.get("run", "")
        self.lock = threading.Lock()
        self.lines = []
        self.ordinals = {}
        self.missing = 0
        self.hosts = set()
        self.quiet = threading.local()
        self.library = os.path.dirname(os.__file__)
        self.recorded = {}
        self.last = {}
        path = f"{settings['spool']}" if self.replays else f"{settings['spool']}.{os.getpid()}"
        self.file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        if self.replays:
            with open(settings["draws"], encoding="utf-8") as file:
                for source, site, ordinal, value in json.load(file):
                    self.recorded[source, site, ordinal] = value
                    self.last.setdefault(source, value)

    def write(self, entry, now=False):
        """Keep a line; written in groups."""
        entry["run"] = self.run
        with self.lock:
            self.lines.append(json.dumps(entry))
            if now or len(self.lines) >= FLUSH_EVERY:
                self.flush()

    def flush(self):
        """Write what waits."""
        if self.lines:
            lines, self.lines = self.lines, []
            os.write(self.file, ("\n".join(lines) + "\n").encode())

    def draw(self, source, real, write, read):
        """Return what the caller's caller draws: the recorded value, or a real one that is recorded."""
        frame = sys._getframe(2)
        name = frame.f_code.co_filename
        if name.startswith(
            (self.library + "/asyncio", self.library + "/logging", self.library + "/threading", "<frozen")
        ):
            return real()
        site = f"{os.path.basename(name)}:{frame.f_lineno}"
        key = (source, site)
        ordinal = self.ordinals.get(key, 0)
        self.ordinals[key] = ordinal + 1
        if self.replays:
            value = self.recorded.get((source, site, ordinal))
            if value is None:
                self.missing += 1
                value = self.last.get(source)
                return real() if value is None else read(value)
            self.last[source] = value
            return read(value)
        value = real()
        if ordinal < DRAWS_MAX:
            self.write(
                {"kind": "draw", "source": source, "site": site, "ordinal": ordinal, "value": write(value)}
            )
        return value


def _tap_clock(hook):
    import copyreg
    import datetime
    import time

    real_time, real_ns, real = time.time, time.time_ns, datetime.datetime

    def clock():
        return hook.draw("clock.time", real_time, repr, float)

    def clock_ns():
        return hook.draw("clock.time_ns", real_ns, repr, int)

    class Kind(type):
        """Lets ordinary datetimes be instances of the substitute."""

        def __instancecheck__(cls, value):
            return isinstance(value, real)

        def __subclasscheck__(cls, kind):
            return issubclass(kind, real)

    def read_aware(zone):
        return lambda text: real.fromtimestamp(float(text), zone)

    class Substitute(real, metaclass=Kind):
        """Makes ordinary datetimes; only the present moment is drawn."""

        def __new__(cls, *args, **kwargs):
            return real(*args, **kwargs)

        @classmethod
        def now(cls, tz=None):
            return hook.draw(
                "clock.now", lambda: real.now(tz), lambda at: repr(at.timestamp()), read_aware(tz)
            )

        @classmethod
        def utcnow(cls):
            utc = datetime.UTC
            return hook.draw(
                "clock.utcnow",
                lambda: real.now(utc).replace(tzinfo=None),
                lambda at: repr(at.replace(tzinfo=utc).timestamp()),
                lambda text: real.fromtimestamp(float(text), utc).replace(tzinfo=None),
            )

        @classmethod
        def today(cls):
            return hook.draw("clock.today", real.now, lambda at: repr(at.timestamp()), read_aware(None))

    def pass_on(name):
        def method(cls, *args, **kwargs):
            return getattr(real, name)(*args, **kwargs)

        return classmethod(method)

    for name in (
        "fromtimestamp",
        "utcfromtimestamp",
        "fromisoformat",
        "strptime",
        "combine",
        "fromordinal",
        "fromisocalendar",
    ):
        setattr(Substitute, name, pass_on(name))
    Substitute.__name__ = Substitute.__qualname__ = "datetime"
    Substitute.__module__ = "datetime"
    for name in ("min", "max", "resolution"):
        setattr(Substitute, name, getattr(real, name))
    copyreg.pickle(real, lambda at: (Substitute, *at.__reduce__()[1:]))
    time.time, time.time_ns, datetime.datetime = clock, clock_ns, Substitute


def _tap_uuid(hook):
    import uuid

    for name in ("uuid1", "uuid4"):
        real = getattr(uuid, name)

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
        if event == "socket.connect":
            address = args[1]
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
    taps = (
        {source.split(".")[0] for source, _, _ in hook.recorded}
        if hook.replays
        else set(hook.settings["taps"])
    )
    if not hook.replays:
        names = sorted(os.environ) if "env" in taps else []
        kept = {"LANG", "LC_ALL", "TZ", "PYTHONHASHSEED", "VIRTUAL_ENV_PROMPT"}
        hook.write(
            {
                "kind": "open",
                "agent": hook.settings.get("agent", "unknown"),
                "version": hook.settings.get("version"),
                "taps": sorted(taps),
                "environment": {name: os.environ[name] if name in kept else None for name in names},
            },
            now=True,
        )
    for name, tap in (("clock", _tap_clock), ("uuid", _tap_uuid), ("random", _tap_random)):
        if name in taps:
            tap(hook)
    if hook.replays or "egress" in taps:
        _watch(hook)
    import atexit

    def end():
        if not hook.replays:
            hook.write({"kind": "end"}, now=True)
        hook.flush()

    atexit.register(end)


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
