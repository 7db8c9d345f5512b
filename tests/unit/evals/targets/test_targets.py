# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import web
from failing_model import FailingModel

from pilothouse.core.evidence.task import TaskResult
from pilothouse.demo.model_script import ToolCall as ScriptCall
from pilothouse.demo.model_script import Turn
from pilothouse.demo.model_server import ModelServer
from pilothouse.errors import MalformedRecord, UsageError
from pilothouse.evals.case import Case
from pilothouse.evals.targets import python_function
from pilothouse.evals.targets.address import open_target
from pilothouse.evals.targets.recorded import RecordedTraces
from pilothouse.evals.targets.target import AgentFailed, TargetUnreachable, as_reply
from pilothouse.evals.trial import Reply, ToolCall, TrialContext
from pilothouse.ports.lake import TraceView
from pilothouse.testing import example_task

pytestmark = pytest.mark.slow

TRACE = "a" * 32


def context(index=0, deadline_s=5.0):
    return TrialContext(run_id="r", key="ab" * 32, index=index, deadline_s=deadline_s, seed=7)


def case(value="q", **fields):
    return Case(id="c", task_type="t", input=value, **fields)


def ask(target, one, *, times=1):
    async def go():
        try:
            return [await target.run(one, context()) for _ in range(times)]
        finally:
            await target.close()

    return asyncio.run(go())[-1]


def serve(handler, use):
    async def go():
        app = web.Application()
        app.router.add_post("/run", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        target = open_target(f"http://127.0.0.1:{port}/run")
        try:
            return await use(target)
        finally:
            await target.close()
            await runner.cleanup()

    return asyncio.run(go())


def test_a_function_plain_or_async_with_one_argument_or_two(tmp_path, monkeypatch):
    (tmp_path / "agents_here.py").write_text(
        "from pilothouse.evals.trial import Reply\n"
        "def plain(q): return q + '!'\n"
        "async def later(q, context): return Reply(output=context.index, cost_usd=0.5)\n"
        "def broken(q): raise KeyError('po')\n"
    )
    monkeypatch.chdir(tmp_path)
    assert ask(open_target("python:agents_here:plain"), case()).output == "q!"
    assert ask(open_target("python:agents_here:later"), case()) == Reply(output=0, cost_usd=0.5)
    with pytest.raises(AgentFailed, match="KeyError"):
        ask(open_target("python:agents_here:broken"), case())
    one, other = (open_target(f"python:agents_here:{name}").spec for name in ("plain", "later"))
    assert one.version != other.version


def test_a_server_that_failed_the_function_is_no_fault_of_it_however_it_is_wrapped(tmp_path, monkeypatch):
    """An outage of the pinned model would be a version that answers badly."""
    (tmp_path / "agents_asking.py").write_text(
        "from types import SimpleNamespace\n"
        "class Told(Exception):\n"
        "    def __init__(self, **said): self.__dict__ |= said\n"
        "def down(q): raise Told(status_code=500)\n"
        "def busy(q): raise Told(response=SimpleNamespace(status_code=429))\n"
        "def wrapped(q):\n"
        "    try: down(q)\n"
        "    except Told: raise RuntimeError('no answer')\n"
        "def wrong(q): raise Told(status_code=400)\n"
        "def its_own(q):\n"
        "    try: down(q)\n"
        "    except Told: raise Told(status_code=400) from None\n"
        "def circle(q):\n"
        "    one, other = Told(), Told()\n"
        "    one.__cause__, other.__cause__ = other, one\n"
        "    raise one\n"
    )
    monkeypatch.chdir(tmp_path)
    for name, is_pressure in (("down", False), ("busy", True), ("wrapped", False)):
        with pytest.raises(TargetUnreachable) as found:
            ask(open_target(f"python:agents_asking:{name}"), case())
        assert found.value.is_pressure is is_pressure, name
    for name in ("wrong", "its_own", "circle"):
        with pytest.raises(AgentFailed, match="Told"):
            ask(open_target(f"python:agents_asking:{name}"), case())


def test_a_function_that_ends_its_program_or_cancels_itself_fails_and_ends_nothing_of_ours(
    tmp_path, monkeypatch
):
    (tmp_path / "agents_leaving.py").write_text(
        "import asyncio, sys\n"
        "def leaves(q): sys.exit(0)\n"
        "async def leaves_later(q): sys.exit(0)\n"
        "def cancels(q): raise asyncio.CancelledError\n"
        "async def cancels_later(q): raise asyncio.CancelledError\n"
        "async def waits(q): await asyncio.sleep(9)\n"
    )
    monkeypatch.chdir(tmp_path)
    for name in ("leaves", "leaves_later", "cancels", "cancels_later"):
        with pytest.raises(AgentFailed, match=r"SystemExit|CancelledError"):
            ask(open_target(f"python:agents_leaving:{name}"), case())

    (tmp_path / "agents_never_there.py").write_text("import sys\nsys.exit(0)\n")
    with pytest.raises(UsageError, match="SystemExit"):
        open_target("python:agents_never_there:run")

    async def cut_off():
        async with asyncio.timeout(0.01):
            await open_target("python:agents_leaving:waits").run(case(), context())

    with pytest.raises(TimeoutError):
        asyncio.run(cut_off())


@pytest.mark.parametrize(
    "address",
    ["python:no_such_module:f", "python:json:no_such", "exec:no-such-program-here", "ftp://x", "recorded:lake", "recorded:absent.jsonl", "openai:http://x/v1", "openai:http://x/v1?model=m&colour=1"],
)  # fmt: skip
def test_what_cannot_be_opened_is_a_usage_error_before_anything_runs(address):
    with pytest.raises(UsageError):
        open_target(address)


def test_http_carries_the_trial_and_reads_a_reply():
    async def handler(request):
        body = await request.json()
        return web.json_response(
            {
                "output": [
                    body["input"],
                    body["trial"],
                    body["seed"],
                    request.headers["Idempotency-Key"][:4],
                ],
                "tool_calls": [{"name": "find", "arguments": {"id": 1}}],
                "cost_usd": 0.01,
            }
        )

    async def use(target):
        return await target.run(case(), context(index=3))

    reply = serve(handler, use)
    assert reply.output == ["q", 3, 7, "abab"]
    assert reply.tool_calls == (ToolCall(name="find", arguments={"id": 1}),)
    assert reply.cost_usd == 0.01


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [(503, "{}", TargetUnreachable), (429, "{}", TargetUnreachable), (500, "x", TargetUnreachable), (401, "{}", TargetUnreachable), (403, "{}", TargetUnreachable), (404, "{}", TargetUnreachable), (400, "{}", AgentFailed), (422, "no", AgentFailed), (200, "prose", AgentFailed), (200, "x" * 1_300_000, AgentFailed)],
)  # fmt: skip
def test_http_tells_the_worlds_faults_from_the_agents(status, body, error):
    async def handler(request):
        return web.Response(status=status, text=body, headers={"Retry-After": "3"})

    async def use(target):
        with pytest.raises(error) as caught:
            await target.run(case(), context())
        return caught.value

    found = serve(handler, use)
    if status == 429:
        assert (found.retry_after_s, found.is_pressure) == (3.0, True)


def test_a_machine_that_does_not_answer_a_knock_is_unreachable_and_no_slow_agent():
    with socket.socket() as full, socket.socket() as one, socket.socket() as two:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for other in (one, two):
            other.setblocking(False)
            other.connect_ex(full.getsockname())

        async def go():
            target = open_target(f"http://127.0.0.1:{full.getsockname()[1]}/run")
            try:
                await target.run(case(), context(deadline_s=0.4))
            finally:
                await target.close()

        with pytest.raises(TargetUnreachable, match="no connection"):
            asyncio.run(go())


def test_an_endpoint_that_is_not_there_is_unreachable():
    with pytest.raises(TargetUnreachable):
        ask(open_target("http://127.0.0.1:9/run"), case())


WORKER = """
import json, os, signal, sys
count = 0
for line in sys.stdin:
    asked = json.loads(line)
    count += 1
    if asked["input"] == "die":
        print("out of memory", file=sys.stderr)
        sys.exit(3)
    if asked["input"] in ("SIGKILL", "SIGTERM", "SIGSEGV"):
        os.kill(os.getpid(), getattr(signal, asked["input"]))
    if asked["input"] == "prose":
        print("hello", flush=True)
    elif asked["input"] == "other":
        print(json.dumps({"id": "x", "output": 1}), flush=True)
    else:
        print(json.dumps({"id": asked["id"], "output": count}), flush=True)
"""


@pytest.fixture
def worker(tmp_path):
    path = tmp_path / "worker.py"
    path.write_text(WORKER)
    return f"exec:{sys.executable} {path}"


def test_a_worker_lives_on_from_case_to_case(worker):
    assert ask(open_target(worker), case(), times=3).output == 3


@pytest.mark.parametrize(
    ("value", "message"),
    [("die", "status 3: out of memory"), ("prose", "no JSON"), ("other", "id of its case")],
)
def test_a_worker_that_dies_or_talks_nonsense_fails_its_case_and_the_next_one_is_served(
    worker, value, message
):
    async def go():
        target = open_target(worker)
        try:
            await target.run(case(), context())
            with pytest.raises(AgentFailed, match=message):
                await target.run(case(value), context())
            return await target.run(case(), context())
        finally:
            await target.close()

    assert asyncio.run(go()).output >= 1


@pytest.mark.parametrize(
    ("value", "raises", "message"),
    [
        ("SIGKILL", TargetUnreachable, "killed from outside, status -9"),
        ("SIGTERM", TargetUnreachable, "killed from outside, status -15"),
        ("SIGSEGV", AgentFailed, "status -11"),
        ("die", AgentFailed, "status 3"),
    ],
)
def test_a_worker_that_the_system_kills_says_nothing_of_the_agent(worker, value, raises, message):
    with pytest.raises(raises, match=message) as found:
        ask(open_target(worker), case(value))
    assert getattr(found.value, "is_pressure", True)


def test_a_shell_whose_agent_is_killed_is_a_killed_worker(worker):
    words = f"exec:sh -c '{worker.removeprefix('exec:')}; exit $?'"
    with pytest.raises(TargetUnreachable, match="status 137"):
        ask(open_target(words), case("SIGKILL"))


@pytest.mark.parametrize(("value", "message"), [("prose", "no JSON"), ("other", "id of its case")])
def test_a_program_that_never_answered_in_form_is_an_error_of_the_command_and_none_of_the_agent(
    worker, value, message
):
    with pytest.raises(UsageError, match=message) as found:
        ask(open_target(worker), case(value))
    assert '{"id": ..., "output": ...}' in found.value.remedy


@pytest.mark.parametrize(
    ("text", "remedy"), [("import absent_thing", "own interpreter"), (None, "Run from the folder")]
)
def test_a_module_that_imports_what_is_not_here_and_one_that_is_not_there_are_told_apart(
    tmp_path, monkeypatch, text, remedy
):
    if text is not None:
        (tmp_path / "lonely_agent.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError) as found:
        open_target("python:lonely_agent:run")
    assert remedy in found.value.remedy


def test_what_a_worker_started_ends_with_it_and_holds_up_no_run(tmp_path):
    (tmp_path / "agent.sh").write_text(f"sh -c 'echo $$ > {tmp_path}/pid; sleep 60; true'\ntrue\n")

    async def go():
        target = open_target(f"exec:sh {tmp_path / 'agent.sh'}")
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await target.run(case(), context())
        await target.close()
        return time.monotonic() - began

    assert asyncio.run(go()) < 10
    pid = (tmp_path / "pid").read_text().strip()

    def is_running():
        try:
            return (Path("/proc") / pid / "stat").read_text().rpartition(") ")[2][:1] not in {"Z", "X"}
        except OSError:
            return False

    for _ in range(100):
        if not is_running():
            break
        time.sleep(0.02)
    assert not is_running()


def test_five_deaths_in_a_row_mean_that_the_program_is_broken(worker):
    async def go():
        target = open_target(worker)
        for _ in range(5):
            with pytest.raises(AgentFailed):
                await target.run(case("die"), context())
        with pytest.raises(TargetUnreachable, match="5 workers died"):
            await target.run(case(), context())
        await target.close()

    asyncio.run(go())


def test_a_changed_script_is_another_version(worker, tmp_path):
    before = open_target(worker).spec.version
    (tmp_path / "worker.py").write_text(WORKER + "# changed\n")
    assert open_target(worker).spec.version != before


def test_a_chat_model_answers_with_text_tools_and_a_price(tmp_path):
    (tmp_path / "system.md").write_text("Be short.")
    seen = []

    def script(conversation):
        seen.append(conversation)
        return Turn(
            text='{"queue": "ap-1"}',
            tool_calls=(ScriptCall(name="find", arguments={"id": 1}),),
            model=conversation.model,
        )

    with ModelServer(script) as server:
        address = f"openai:{server.base_url}?model=m-1&system={tmp_path / 'system.md'}"
        priced = f"{address}&usd_per_million_input=1&usd_per_million_output=2"
        reply = ask(open_target(priced), case({"invoice": 7}))
        unpriced = ask(open_target(address), case([{"role": "user", "content": "hi"}]))
    assert reply.output == {"queue": "ap-1"}
    assert reply.tool_calls[0].name == "find"
    assert reply.model == "m-1"
    assert reply.cost_usd > 0
    assert unpriced.cost_usd is None
    assert "Be short." in str(seen[0])
    with FailingModel(script) as server:
        server.serve_as("m-2")
        with pytest.raises(TargetUnreachable, match="asked 'm-1', 'm-2' answered"):
            ask(open_target(f"openai:{server.base_url}?model=m-1"), case("hi"))
        served = open_target(f"openai:{server.base_url}?model=m-1&served_as=m-2")
        assert ask(served, case("hi")).model == "m-2"
        with pytest.raises(TargetUnreachable, match="asked 'm-1', 'm-2' answered"):
            ask(open_target(f"openai:{server.base_url}?model=m-1&served_as=m-3"), case("hi"))


def test_a_recorded_file_is_scored_and_its_bad_lines_are_named(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text('{"id": "c", "output": 1}\n{"id": "c", "trial": 1, "output": 2}\n')
    target = open_target(f"recorded:{path}")
    assert ask(target, case()).output == 1
    assert not target.spec.makes_calls
    path.write_text('{"id": "c"}\n')
    with pytest.raises(MalformedRecord, match=r"r\.jsonl:1"):
        open_target(f"recorded:{path}")
    path.write_text('{"id": "c", "output": "wrong"}\n{"id": "c", "output": "right"}\n')
    with pytest.raises(MalformedRecord, match=r"r\.jsonl:2.*stands in it twice"):
        open_target(f"recorded:{path}")


class OneTrace:
    """A lake with one trace."""

    def __init__(self, *, output='"ap-1"', cut_bytes=0, **fields):
        self.task = example_task(trace_id=TRACE, **fields)
        self.said = SimpleNamespace(operation="invoke_agent", output=output, cut_bytes=cut_bytes)

    def trace(self, trace_id, *, limit=2_000):
        return TraceView(task=self.task, spans=(self.said,), spans_total=1) if trace_id == TRACE else None


def test_a_recorded_trace_answers_the_case_it_was_taken_from():
    lake = OneTrace(claim=json.dumps({"queue": "ap-1"}))
    reply = ask(RecordedTraces(lake), case(source=f"production:{TRACE}"))
    assert (reply.claim, reply.output) == ({"queue": "ap-1"}, "ap-1")
    assert reply.trace_id == TRACE
    assert reply.tool_calls == ()


@pytest.mark.parametrize("kept", [{"output": ""}, {"output": "a very lo", "cut_bytes": 9}])
def test_an_answer_that_was_cut_or_emptied_is_not_scored_as_the_agents(kept):
    with pytest.raises(TargetUnreachable, match="not recorded whole"):
        ask(RecordedTraces(OneTrace(**kept)), case(source=f"production:{TRACE}"))


def test_a_trace_that_is_missing_or_of_another_version_says_nothing_and_a_failed_task_failed():
    lake = OneTrace()
    for target, one in (
        (RecordedTraces(lake), case()),
        (RecordedTraces(lake), case(source=f"production:{'b' * 32}")),
        (RecordedTraces(lake, version="other"), case(source=f"production:{TRACE}")),
        (
            RecordedTraces(OneTrace(models=("b-1", "m-1")), stand_ins=frozenset({"b-1"})),
            case(source=f"production:{TRACE}"),
        ),
    ):
        with pytest.raises(TargetUnreachable):
            ask(target, one)
    failed = OneTrace()
    failed.task = replace(failed.task, result=TaskResult.FAILED, error_type="tool_error")
    with pytest.raises(AgentFailed, match="tool_error"):
        ask(RecordedTraces(failed), case(source=f"production:{TRACE}"))


def test_a_reply_that_is_malformed_is_the_agents_fault():
    for bad in (
        {"output": 1, "cost_usd": "much"},
        {"output": 1, "tool_calls": [{"no": "name"}]},
        {"output": 1, "tool_calls": 3},
    ):
        with pytest.raises(AgentFailed):
            as_reply(bad)


ALONE = """
import threading
owner = threading.get_ident()

def tell(question):
    if threading.get_ident() != owner:
        raise RuntimeError("another thread")
    return question

def other(question):
    return tell(question)

def hang(question):
    threading.Event().wait(30)
"""


def test_where_no_two_trials_run_at_once_one_thread_imports_and_makes_every_call(tmp_path, monkeypatch):
    monkeypatch.setattr(python_function, "_ONE_THREAD", [])
    (tmp_path / "bound_to_its_thread.py").write_text(ALONE)
    tell, other, hang = (
        python_function.PythonFunction(f"bound_to_its_thread:{name}", folder=tmp_path, is_alone=True)
        for name in ("tell", "other", "hang")
    )

    async def go():
        told = [(await one.run(case(), context())).output for one in (tell, other, tell)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await hang.run(case(), context())
        with pytest.raises(AgentFailed, match="another thread"):
            await tell.run(case(), context())
        return told

    assert asyncio.run(go()) == ["q"] * 3
