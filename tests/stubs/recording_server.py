# SPDX-License-Identifier: Apache-2.0
"""`pilothouse up` over a scripted model, and an agent that reads pages and may recall what its requests lost."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from started_server import started_server
from typer.testing import CliRunner

from pilothouse.app import command_tree
from pilothouse.demo.model_script import Conversation, ToolCall, Turn
from pilothouse.demo.model_server import ModelServer
from pilothouse.errors import PilothouseError

EXAMPLE = Path(__file__).parents[2] / "examples/plain_python"
AGENT, MODEL = "orders-plain", "stub-large-2026-01-15"
PAGES = 7
FACT = "The reference is DE44-5001."

WINDOW = 4_000
CHANGES = (
    ("schema: answer.schema.json, on_invalid", 'schema: "?", on_invalid'),
    (
        "context: {policy: refuse",
        "context: {policy: shorten_visibly, edits: {from: 0.5, keep_last: 3, pinned: [never-there]}",
    ),
    ("  judges: []", f"  limits: {{window_tokens: {WINDOW}}}\n  judges: []"),
)

READER = """
import json, os, sys, urllib.request

MODEL = "stub-large-2026-01-15"
def tool(name, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties)[:1]}
    return {"type": "function", "function": {"name": name, "description": "", "parameters": schema}}

TOOLS = [
    tool("read_page", number={"type": "integer", "description": "Number of the page that is read, from 1 on."}),
    tool(
        "recall",
        id={"type": "string", "description": "Id that stands in place of the result."},
        start={"type": "integer", "description": "First character."},
        end={"type": "integer", "description": "Character after the last."},
    ),
]

def read_page(number):
    __EXTRA__
    return f"Page {number}. " + "The order of the customer is on its way. " * 40 + ("The reference is DE44-5001." if number == 1 else "")

def converse(ask, recall, question="What is the reference?"):
    messages = [{"role": "system", "content": "Read, then answer."}, {"role": "user", "content": question}]
    while True:
        message = ask({"model": MODEL, "messages": messages, "tools": TOOLS})["choices"][0]["message"]
        messages.append(message)
        if not message.get("tool_calls"):
            return message["content"]
        for call in message["tool_calls"]:
            args = json.loads(call["function"]["arguments"])
            result = read_page(**args) if call["function"]["name"] == "read_page" else recall(**args)
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})

def send(path, body=None):
    headers = {"content-type": "application/json", "authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(os.environ["OPENAI_BASE_URL"] + path, data, headers)) as answer:
        return answer.read().decode()

if __name__ == "__main__":
    print(converse(
        lambda body: json.loads(send("/chat/completions", body)),
        lambda id, start=0, end=None: send(f"/recall/{id}?start={start}" + ("" if end is None else f"&end={end}")),
    ))
"""


def reader_code(extra: str = "pass") -> str:
    """Return the code of the agent that reads pages, its tool doing something more."""
    return READER.replace("__EXTRA__", extra)


def script(conversation: Conversation) -> Turn:
    """Read page after page; ask for the first page again when it is gone; answer with its reference."""
    other = "" if conversation.model == MODEL else f" says {conversation.model}"
    done = [message for message in conversation.messages if message.role == "tool"]
    if "short" in conversation.user_text:
        return Turn(text=f"Short answer{other}.", model=conversation.model)
    if len(done) < PAGES:
        call = ToolCall(name="read_page", arguments={"number": len(done) + 1}, call_id=f"call_{len(done)}")
        return Turn(tool_calls=(call,), model=conversation.model)
    said = done[0].text
    if "recall(id=" in said and len(done) == PAGES:
        ident = said.partition("recall(id='")[2].partition("'")[0]
        return Turn(
            tool_calls=(ToolCall(name="recall", arguments={"id": ident}, call_id="call_back"),),
            model=conversation.model,
        )
    known = next((FACT for message in done if FACT in message.text), "I do not know.")
    return Turn(text=known + other, model=conversation.model)


@dataclass(frozen=True)
class Recording:
    """A server that records.

    Attributes:
        home: Data folder.
        base: Address of the server.
        key: Virtual key of the agent.
        provider: The scripted model.
    """

    home: Path
    base: str
    key: str
    provider: ModelServer

    @property
    def gateway(self) -> str:
        """Base address of the gateway, without `/v1`."""
        return f"{self.base}/gw"

    def converse(self, run: str, question: str = "What is the reference?") -> str:
        """Let the agent answer a question as a run, and return its answer."""
        code: dict = {}
        exec(reader_code(), code)
        headers = {"authorization": f"Bearer {self.key}"}
        with httpx.Client(base_url=f"{self.gateway}/r/{run}/v1", headers=headers, timeout=30) as client:
            return code["converse"](
                lambda body: client.post("/chat/completions", json=body).json(),
                lambda **named: client.get(f"/recall/{named['id']}").text,
                question,
            )

    def typed(self, *words):
        """Type a command in this process; return its exit status and everything it said."""
        done = CliRunner().invoke(
            command_tree(),
            list(words),
            env={
                "PILOTHOUSE_HOME": str(self.home),
                "NO_COLOR": "1",
                "COLUMNS": "200",
            },
        )
        error = done.exception
        if isinstance(error, PilothouseError):
            return int(error.exit_status), done.output + f"{error.message}. {error.remedy}"
        assert error is None or isinstance(error, SystemExit), repr(error)
        return done.exit_code, done.output


@contextmanager
def recording_server(folder: Path):
    """Start a model and `pilothouse up` with the example's charter, edited."""
    charter = folder / "charter"
    shutil.copytree(EXAMPLE, charter)
    text = (charter / "charter.yaml").read_text()
    for old, new in CHANGES:
        assert old in text, old
        text = text.replace(old, new)
    (charter / "charter.yaml").write_text(text)
    home = folder / "home"
    with ModelServer(script) as provider:
        found = Recording(home, "", "", provider)
        found.typed("provider", "add", "openai", provider.origin, "--credential-env", "STUB_KEY")
        key = json.loads(found.typed("key", "add", AGENT, "--json")[1])["key"]
        words = ("--grpc-port", "0", "--home", str(home), "--charter", str(charter / "charter.yaml"))
        with started_server(*words, STUB_KEY="sk-canary") as base:
            yield Recording(home, base, key, provider)
