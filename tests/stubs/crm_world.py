# SPDX-License-Identifier: Apache-2.0
"""A small CRM over HTTP, two tools that speak to it, their contracts and a charter; each can be given one defect."""

from __future__ import annotations

import json
import shutil
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pilothouse.connectors.charter_file import read_charter_file
from pilothouse.core.charter.contract import file_digest

GOLDEN = Path(__file__).parents[1] / "golden" / "charters"

TOOLS = """
import json, os, time, urllib.error, urllib.request
import pilothouse

DEFECT = {defect!r}

def ask(path, body=None, headers=None, timeout=10):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(os.environ["CRM_URL"] + path, data=data, headers={{"Content-Type": "application/json", **(headers or {{}})}})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return json.loads(answer.read())

def read(path):
    if DEFECT == "timeout":
        try:
            return ask(path, timeout=0.1)
        except TimeoutError:
            return {{"id": "1", "name": "unknown", "as_of": time.time(), "env": "production"}}
    if DEFECT == "429":
        while True:
            try:
                return ask(path)
            except urllib.error.HTTPError as error:
                if error.code != 429 or time.monotonic() % 7 < 0:
                    raise
                time.sleep(0.01)
    if DEFECT == "5xx":
        for attempt in range(3):
            try:
                return ask(path)
            except urllib.error.HTTPError as error:
                if error.code < 500 or attempt == 2:
                    raise
    if DEFECT == "expired credential":
        for attempt in range(6):
            try:
                return ask(path)
            except urllib.error.HTTPError as error:
                if error.code != 401 or attempt == 5:
                    raise
    if DEFECT == "malformed":
        try:
            return ask(path)
        except ValueError:
            return {{"id": "1", "name": "", "as_of": time.time(), "env": "production"}}
    return ask(path)

@pilothouse.tool("crm.find@1")
def find(customer: str):
    return read("/customers/" + customer)

@pilothouse.tool("crm.note@1")
def note(customer: str, text: str):
    key = None if DEFECT == "duplicate" else pilothouse.current_call_key()
    return ask("/notes", {{"customer": customer, "text": text}}, {{"Idempotency-Key": key}} if key else {{}})
"""

FIND = {
    "name": "crm.find",
    "version": 1,
    "description": "Find a customer.",
    "input": {
        "type": "object",
        "required": ["customer"],
        "additionalProperties": False,
        "properties": {"customer": {"type": "string"}},
    },
    "output": {
        "type": "object",
        "required": ["id", "name", "as_of"],
        "properties": {"id": {"type": "string"}, "name": {"type": "string"}, "env": {"type": "string"}},
    },
    "timeout_s": 0.8,
    "slots": 64,
    "breaker": {"slow_after_s": 0.3, "window": 10},
    "freshness": {"at": "as_of", "max_age_s": 600},
    "environment_at": "env",
    "examples": [
        {
            "args": {"customer": "1"},
            "result": {"id": "1", "name": "Ann", "as_of": 0, "env": "production"},
            "live": True,
        },
        {"args": {"customer": "secret"}, "error": "permission", "live": True},
    ],
}
NOTE = {
    "name": "crm.note",
    "version": 1,
    "description": "Write a note.",
    "input": {
        "type": "object",
        "required": ["customer", "text"],
        "additionalProperties": False,
        "properties": {"customer": {"type": "string"}, "text": {"type": "string"}},
    },
    "output": {"type": "object", "required": ["note"], "properties": {"note": {"type": "string"}}},
    "idempotency": "key",
    "timeout_s": 0.8,
    "slots": 64,
    "breaker": {"slow_after_s": 0.3, "window": 10},
    "examples": [{"args": {"customer": "1", "text": "hello"}, "result": {"note": "n1"}}],
}


class Crm:
    """The real system."""

    def __init__(self, *, environment="production", age_s=0.0, open_doors=False):
        self.notes, self.environment, self.age_s, self.open_doors = [], environment, age_s, open_doors
        crm = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if self.path == "/customers/secret" and not crm.open_doors:
                    return self.answer(403, {})
                return self.answer(
                    200,
                    {
                        "id": "1",
                        "name": "Ann",
                        "as_of": datetime.now(UTC).timestamp() - crm.age_s,
                        "env": crm.environment,
                    },
                )

            def do_POST(self):
                crm.notes.append(self.rfile.read(int(self.headers["content-length"])))
                return self.answer(200, {"note": f"n{len(crm.notes)}"})

            def answer(self, status, document):
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def host(self):
        return f"127.0.0.1:{self.server.server_port}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def write_world(folder, crm, *, defect="", find=None, note=None, integration=None):
    """Write charter, contracts and tools; return the charter's path."""
    (folder / "contracts").mkdir(parents=True)
    document = json.loads(json.dumps(read_charter_file(GOLDEN / "ap-invoice-triage.yaml").value))
    for name in ("docs", "prompts", "runbooks", "schemas"):
        shutil.copytree(GOLDEN / name, folder / name)
    pins = {}
    for contract in ({**FIND, **(find or {})}, {**NOTE, **(note or {})}):
        text = json.dumps(contract)
        (folder / "contracts" / f"{contract['name']}.json").write_text(text, encoding="utf-8")
        pins[contract["name"]] = file_digest(text)
    document["integrations"] = {
        "crm": {
            **document["integrations"]["erp"],
            "hosts": [crm.host],
            "rate_limit": {"per_s": 50},
            "freshness": {"max_age": "15m", "probe": "crm.find"},
            **(integration or {}),
        }
    }
    document["target_volume"]["per_day"] = 1200
    for phase in document["phases"].values():
        phase["integrations"] = ["crm"]
    customer = {"role": "target", "type": "id", "origins": ["request"]}
    given = {"customer": {"value": "1", "origin": "request"}}
    wrong = {"customer": {"value": "1", "origin": "field"}}
    texted = {"text": {"value": "hi", "origin": "model"}}

    def policy(name, effect, args, more):
        extra = {"budget": {"per_task": 3, "per_day": 100}} if effect != "read" else {}
        rules = ["entitled", "customer", *(["budget"] if extra else [])]
        denies = {
            "entitled": {"task_type": "unknown", "args": {**given, **more}},
            "customer": {"args": {**wrong, **more}},
            "budget": {"used": 3, "args": {**given, **more}},
        }
        return {
            "integration": "crm",
            "effect": effect,
            "task_types": ["po_invoice"],
            "contract": f"contracts/{name}.json",
            "manifest_hash": pins[name],
            "args": args,
            **extra,
            "examples": {
                "allow": [{"rule": rule, "given": {"args": {**given, **more}}} for rule in rules],
                "deny": [{"rule": rule, "given": denies[rule]} for rule in rules],
            },
        }

    document["tools"] = {
        "crm.find@1": policy("crm.find", "read", {"customer": customer}, {}),
        "crm.note@1": policy(
            "crm.note",
            "external",
            {"customer": customer, "text": {"role": "payload", "type": "text", "max": 200}},
            texted,
        ),
    }
    path = folder / "charter.yaml"
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
    (folder / "crm_tools.py").write_text(TOOLS.format(defect=defect), encoding="utf-8")
    return path
