# SPDX-License-Identifier: Apache-2.0
"""A gateway behind a real server on a free port, with keys, providers and policies that a test chooses."""

from __future__ import annotations

import socket
import threading
import time
from datetime import UTC, datetime, timedelta

import uvicorn

from pilothouse.interfaces.http.gateway import gateway_app
from pilothouse.interfaces.http.joined_writes import JoinedWritesProtocol
from pilothouse.interfaces.http.recall import with_recall
from pilothouse.interfaces.http.server import KEEP_ALIVE_S
from pilothouse.ports.controls import NO_CONTROLS
from pilothouse.ports.gateway import Provider, VirtualKey, WireProtocol
from pilothouse.runtime.gateway.gateway import Gateway
from pilothouse.runtime.gateway.keys import make_key
from pilothouse.runtime.gateway.policy import AgentPolicy, Directory, Pin
from pilothouse.runtime.gateway.upstream import Upstream
from pilothouse.runtime.runlog.call_sink import RunLogSink

AGENT = "invoice-triage"
MODEL = "m-2026-01-01"
SPARE = "s-2026-02-02"
SECRET = "sk-canary-7f3a9c51e2"


class Kept:
    """A sink that keeps every call."""

    def __init__(self):
        self.calls, self.begun = [], []
        self.trouble = ""

    def problem(self, call):
        return self.trouble

    def begin(self, call):
        self.begun.append(call)

    def keep(self, call):
        self.calls.append(call)


class GatewaySite:
    """Use it as a context manager.

    Args:
        providers: Addresses by name; a name that starts with `anthropic` speaks that protocol.
        policy: What holds for `AGENT`; None for no charter.
        log: Run log that keeps the calls too, and gives back what edits took out of them.
    """

    def __init__(
        self, providers, policy=None, *, key_models=(), environment=None, cost_of=None, log=None, **gateway
    ):
        key, prefix, digest = make_key()
        now = datetime.now(UTC)
        self.key = key
        self.virtual_key = VirtualKey(
            prefix=prefix,
            digest=digest,
            agent=AGENT,
            models=tuple(key_models),
            environment=environment,
            created_at=now,
            created_by="test",
            expires_at=now + timedelta(days=1),
        )
        self.providers = {
            name: Provider(
                name=name,
                url=url,
                credential_variable="STUB_KEY",
                protocol=WireProtocol.ANTHROPIC if name.startswith("anthropic") else WireProtocol.OPENAI,
            )
            for name, url in providers.items()
        }
        self.policies = {} if policy is None else {AGENT: policy}
        self.keys = {prefix: self.virtual_key}
        self.controls = NO_CONTROLS
        self.kept = Kept()
        upstream = Upstream({"STUB_KEY": SECRET})
        self.gateway = Gateway(
            self.directory,
            self,
            upstream,
            cost_of or (lambda *_: None),
            sinks=(self.kept,) if log is None else (self.kept, RunLogSink(log)),
            **gateway,
        )
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(128)
        self.port = self._socket.getsockname()[1]
        app = gateway_app(self.gateway)
        config = uvicorn.Config(
            app if log is None else with_recall(app, self.gateway.keys, log),
            http=JoinedWritesProtocol,
            log_level="error",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        self._server = _Server(config, upstream)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )

    def directory(self):
        return Directory(keys=self.keys, providers=self.providers, policies=self.policies)

    def state(self):
        return self.controls

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.port}/gw"

    def wait_for(self, count, timeout_s=10.0):
        """Return the calls kept once there are `count` of them."""
        end = time.monotonic() + timeout_s
        while len(self.kept.calls) < count:
            assert time.monotonic() < end, f"{len(self.kept.calls)} of {count} calls were kept"
            time.sleep(0.01)
        return self.kept.calls

    def __enter__(self):
        self._thread.start()
        while not self._server.started:
            time.sleep(0.005)
        return self

    def __exit__(self, *_):
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)
        self._socket.close()
        guardian = self.gateway._guardian
        if guardian is not None:
            guardian.close()


class _Server(uvicorn.Server):
    def __init__(self, config, upstream):
        super().__init__(config)
        self._upstream = upstream

    async def shutdown(self, sockets=None):
        await super().shutdown(sockets)
        await self._upstream.close()


def taken_from(untold):
    """Return what waited to be told."""
    seen = []
    untold.tell(seen.append)
    return seen


def pinned(*pins, **fields):
    """Return a policy with this chain of (provider, model)."""
    return AgentPolicy(
        agent=AGENT, charter="c", chain=tuple(Pin(provider=p, model=m) for p, m in pins), **fields
    )
