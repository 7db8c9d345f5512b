# SPDX-License-Identifier: Apache-2.0
import os

import pytest

from pilothouse.connectors.repository import (
    DEPTH_MAX,
    FILE_BYTES_MAX,
    SIGHTINGS_MAX,
    read_repository,
)
from pilothouse.core.charter.sighting import SightingKind


def write(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def found(folder, kind):
    return [(s.value, s.place) for s in read_repository(folder).of_kind(SightingKind(kind))]


def in_python(tmp_path, text, kind):
    (tmp_path / "agent.py").write_text(text)
    return found(tmp_path, kind)


@pytest.mark.parametrize(
    ("line", "framework"),
    [
        ("from pydantic_ai import Agent", "pydantic-ai"),
        ("from agents import Agent, Runner", "openai-agents"),
        ("from langgraph.graph import StateGraph", "langgraph"),
        ("import langchain_openai", "langchain"),
        ("from crewai import Crew", "crewai"),
        ("import openai", "openai"),
        ("from anthropic import AsyncAnthropic", "anthropic"),
        ("from google import genai", "google-genai"),
        ("from google.adk.agents import LlmAgent", "google-adk"),
        ("from mcp.server.fastmcp import FastMCP", "mcp"),
        ("import litellm", "litellm"),
    ],
)
def test_a_framework_is_known_by_its_import(tmp_path, line, framework):
    assert in_python(tmp_path, f"# one\n{line}\n", "framework") == [(framework, "agent.py:2")]


@pytest.mark.parametrize(
    "line", ["from agents import my_helper", "from .agents import Agent", "import json", "from . import x"]
)
def test_ordinary_imports_are_no_framework(tmp_path, line):
    assert in_python(tmp_path, line, "framework") == []


def test_a_framework_is_known_by_its_dependency(tmp_path):
    write(
        tmp_path,
        **{
            "pyproject.toml": '[project]\nname = "mailer"\ndependencies = [\n  "pydantic-ai-slim[openai]>=1",\n  "Open_AI.agents",\n]\n',
            "requirements.txt": "# x\nopenai-agents==0.1\n-r other.txt\n",
            "web__package.json": '{\n "dependencies": {"@langchain/core": "1", "left-pad": "1"},\n "devDependencies": []\n}',
        },
    )
    assert found(tmp_path, "framework") == [
        ("pydantic-ai", "pyproject.toml:4"),
        ("openai-agents", "requirements.txt:2"),
        ("langchain", "web/package.json:2"),
    ]
    assert read_repository(tmp_path).name == "mailer"


@pytest.mark.parametrize(
    ("text", "name"),
    [('{"name": "@corp/node-support"}', "node-support"), ('{"name": 7}', None), ("[]", None), ("{", None)],
)
def test_a_project_in_node_has_the_name_that_its_package_says(tmp_path, text, name):
    write(tmp_path, **{"package.json": text, "web__package.json": '{"name": "page"}'})
    assert read_repository(tmp_path).name == (name or tmp_path.name)


def test_poetry_dependencies_are_dependencies_too(tmp_path):
    write(tmp_path, **{"pyproject.toml": '[tool.poetry.dependencies]\npython = "^3.11"\ncrewai = "*"\n'})
    assert found(tmp_path, "framework") == [("crewai", "pyproject.toml:3")]


def test_models_are_found_in_python_scripts_and_configuration(tmp_path):
    write(
        tmp_path,
        **{
            "a.py": 'agent = Agent("openai:gpt-4o")\nx = "gpt-4o is a fine model"\n',
            "b.ts": "const model = 'claude-sonnet-4-20250514'\n// claude-opus-4-1 was nice\n",
            "c.yaml": "model: gemini-2.5-pro\n",
            "d.env": "MODEL=gpt-4.1-mini-2025-04-14\n",
            "e.json": '{"model": "o3-mini"}',
        },
    )
    assert found(tmp_path, "model") == [
        ("openai:gpt-4o", "a.py:1"),
        ("claude-sonnet-4-20250514", "b.ts:1"),
        ("gemini-2.5-pro", "c.yaml:1"),
        ("gpt-4.1-mini-2025-04-14", "d.env:1"),
        ("o3-mini", "e.json:1"),
    ]


TOOLS = """
@agent.tool
async def find_order(ctx: RunContext[Deps], order: str, *, deep: bool = False) -> str: ...

@function_tool(name_override="send_mail")
def mail(to: str): ...

@server.tool()
def listed(self, cls): ...

@property
def not_a_tool(self): ...

SCHEMAS = [
    {"type": "function", "function": {"name": "refund", "parameters": {"type": "object", "properties": {"amount": {}, "order": {}}}}},
    {"name": "lookup", "input_schema": SCHEMA},
    {"name": "plain"},
]
search = Tool(name="search", func=f)
made = StructuredTool.from_function(f, name="made")
other = Tool(func=f)
"""


def test_tools_are_decorated_functions_schemas_and_tool_objects(tmp_path):
    (tmp_path / "agent.py").write_text(TOOLS)
    tools = {s.value: s.names for s in read_repository(tmp_path).of_kind(SightingKind.TOOL)}
    assert tools == {
        "find_order": ("order", "deep"),
        "send_mail": ("to",),
        "listed": (),
        "refund": ("amount", "order"),
        "lookup": (),
        "search": (),
        "made": (),
    }


def test_tools_of_scripts_are_found_by_their_call(tmp_path):
    write(
        tmp_path,
        **{
            "agent.ts": "const t = tool({ name: 'findOrder' })\nserver.registerTool(\"send\", x)\nconst retool = untool('x')\n"
        },
    )
    assert found(tmp_path, "tool") == [("findOrder", "agent.ts:1"), ("send", "agent.ts:2")]


def test_tool_servers_are_found_in_code_and_configuration(tmp_path):
    write(
        tmp_path,
        **{
            "a.py": 'a = MCPServerStdio("files-server")\nb = MCPServerStreamableHTTP(url="https://tools.corp.test/mcp")\nc = MCPServerSse(x)\nd = stdio_client(x)\n',
            ".mcp.json": '{"mcpServers": {"erp": {"command": "x"}}}',
            "other.json": '{"mcpServers": []}',
        },
    )
    assert found(tmp_path, "mcp_server") == [
        ("erp", ".mcp.json:1"),
        ("files-server", "a.py:1"),
        ("tools.corp.test:443", "a.py:2"),
        ("MCPServerSse", "a.py:3"),
    ]


def test_hosts_are_found_without_their_passwords_and_without_documentation(tmp_path):
    write(
        tmp_path,
        **{
            "a.py": 'ERP = "https://erp.corp.test:8443/api"\nDOCS = "https://json-schema.org/x"\nL = "http://localhost:1"\n',
            "b.yaml": "db: postgresql://app:q8w7e6r5t4@db.corp.test/erp\n",
        },
    )
    report = read_repository(tmp_path)
    assert found(tmp_path, "host") == [("erp.corp.test:8443", "a.py:1"), ("db.corp.test:5432", "b.yaml:1")]
    assert "q8w7e6r5t4" not in repr(report)
    assert found(tmp_path, "secret") == [("password in an address", "b.yaml:1")]


def test_prompts_are_files_and_long_texts(tmp_path):
    long = "You are a careful clerk. " * 12
    write(
        tmp_path,
        **{
            "prompts__system.md": "You route supplier invoices.",
            "prompts__empty.md": "  ",
            "notes.md": "You are not a prompt. " * 20,
            "order_prompt.txt": "Find the order and answer.",
            "a.py": f'SYSTEM_PROMPT = """{long}"""\nAgent(instructions="{long}")\nx = """{long}"""\nPROMPT = "short"\nprompt_id: str\n',
        },
    )
    assert found(tmp_path, "prompt_file") == [
        ("order_prompt.txt", "order_prompt.txt:1"),
        ("prompts/system.md", "prompts/system.md:1"),
    ]
    assert [value for value, _ in found(tmp_path, "prompt_text")] == ["SYSTEM_PROMPT", "text", "instructions"]


def test_schemas_and_environment_names_are_found(tmp_path):
    write(
        tmp_path,
        **{
            "schemas__out.json": '{"$schema": "x", "properties": {}}',
            "answer.schema.json": '{"properties": {}}',
            "properties.json": '{"properties": {}}',
            "list.json": "[]",
            "broken.json": "{",
            "deep.json": "[" * 5_000,
            "a.py": 'import os\na = os.environ["ERP_URL"]\nb = os.getenv("ERP_USER")\nc = os.environ.get("ERP_ROLE", "x")\nd = {}.get("NOT_ONE")\ne = os.getenv(name)\nf = os.getenv()\n',
            "b.ts": "const k = process.env.API_BASE ?? process.env['API_ROLE']\n",
            ".env.example": "export ERP_TENANT=\nlower=1\nERP_HOST=https://erp.corp.test\n",
        },
    )
    assert [value for value, _ in found(tmp_path, "schema_file")] == [
        "answer.schema.json",
        "schemas/out.json",
    ]
    assert {value for value, _ in found(tmp_path, "environment")} == {
        "ERP_URL", "ERP_USER", "ERP_ROLE", "API_BASE", "API_ROLE", "ERP_TENANT", "ERP_HOST",
    }  # fmt: skip
    assert ("erp.corp.test:443", ".env.example:3") in found(tmp_path, "host")


def test_a_secret_is_told_by_its_place_and_never_carried(tmp_path):
    secret = "sk-ant-0123456789abcdef0123"
    write(
        tmp_path,
        **{
            "a.py": f'client = Client("{secret}")\nAPI_KEY = "q8w7e6r5t4z3"\n@tool(name="{secret}")\ndef f(): ...\n',
            ".env": "ERP_PASSWORD=q8w7e6r5t4z3\n",
            "prompts__p.md": f"You are a clerk with {secret} as key.",
            "mcp.json": f'{{"mcpServers": {{"{secret}": 1}}}}',
        },
    )
    report = read_repository(tmp_path)
    assert "0123456789" not in repr(report)
    assert "q8w7e6r5t4" not in repr(report)
    assert {(s.file, s.line) for s in report.of_kind(SightingKind.SECRET)} >= {
        ("a.py", 1),
        ("a.py", 2),
        (".env", 1),
        ("prompts/p.md", 1),
        ("mcp.json", 1),
    }


@pytest.mark.parametrize(
    "content",
    [
        b"def broken(:\n",
        b"x = '\xff\xfe'\n",
        b"print 'old'\n",
        b"(" * 5_000,
        b"x = " + b"-" * 50_000 + b"1",
        b"\xef\xbb\xbfimport os\n",
    ],
)
def test_broken_python_is_a_note_and_not_a_failure(tmp_path, content):
    write(tmp_path, **{"a.py": content, "b.py": "import openai\n"})
    report = read_repository(tmp_path)
    assert [s.value for s in report.of_kind(SightingKind.FRAMEWORK)] == ["openai"]


def test_broken_python_is_still_read_as_text(tmp_path):
    write(tmp_path, **{"a.py": 'def broken(:\n  url = "https://erp.corp.test"\n'})
    assert found(tmp_path, "host") == [("erp.corp.test:443", "a.py:2")]


def test_broken_toml_is_a_note(tmp_path):
    write(tmp_path, **{"pyproject.toml": "[project\n"})
    report = read_repository(tmp_path)
    assert report.notes == ("pyproject.toml: no valid TOML",)
    assert report.name == tmp_path.name


def test_a_project_without_a_name_has_the_folders(tmp_path):
    write(tmp_path, **{"pyproject.toml": "[project]\nname = 5\n[tool]\n"})
    assert read_repository(tmp_path).name == tmp_path.name


def test_other_peoples_code_links_and_binaries_are_not_read(tmp_path):
    outside = tmp_path / "outside"
    home = tmp_path / "home"
    for folder in (".git", "node_modules", ".venv", "tests", "odd-venv"):
        write(home, **{f"{folder}__a.py": "import openai\n"})
    (home / "odd-venv" / "pyvenv.cfg").write_text("")
    write(outside, **{"a.py": "import openai\n"})
    (home / "link").symlink_to(outside)
    (home / "link.py").symlink_to(outside / "a.py")
    write(
        home,
        **{
            "binary.py": b"import openai\0",
            "charter.yaml": "model: gpt-4o",
            "uv.lock": "gpt-4o",
            "notes.pdf": "x",
        },
    )
    report = read_repository(home)
    assert report.sightings == ()


def test_limits_are_told(tmp_path):
    deep = tmp_path
    for number in range(DEPTH_MAX + 2):
        deep = deep / f"d{number}"
    write(deep, **{"a.py": "import openai\n"})
    write(
        tmp_path,
        **{
            "big.py": b"#" * (FILE_BYTES_MAX + 1),
            "many.yaml": "\n".join(f"h: https://h{n}.corp.test" for n in range(SIGHTINGS_MAX + 5)),
        },
    )
    report = read_repository(tmp_path)
    assert len(report.sightings) == SIGHTINGS_MAX
    assert any("deeper than" in note for note in report.notes)
    assert any("big.py: larger than" in note for note in report.notes)
    assert "5 sightings more are not shown" in report.notes


def test_a_repository_too_large_is_read_in_part(tmp_path, monkeypatch):
    monkeypatch.setattr("pilothouse.connectors.repository.FILES_MAX", 2)
    write(tmp_path, **{f"{letter}.py": "import openai\n" for letter in "abc"})
    report = read_repository(tmp_path)
    assert report.files_read == 2
    assert report.notes == ("stopped after 2 files: name the agent's own folder to see the rest",)


def test_bytes_are_limited_too(tmp_path, monkeypatch):
    monkeypatch.setattr("pilothouse.connectors.repository.BYTES_MAX", 10)
    write(tmp_path, **{f"{letter}.py": "import openai\n" for letter in "ab"})
    assert read_repository(tmp_path).files_read == 1


def test_the_order_does_not_depend_on_the_file_system(tmp_path):
    write(tmp_path, **{"z.py": "import openai\n", "a.py": "import openai\n", "m__k.py": "import openai\n"})
    assert [place for _, place in found(tmp_path, "framework")] == ["a.py:1", "m/k.py:1", "z.py:1"]


@pytest.mark.parametrize(
    ("line", "models"),
    [
        ('MODEL = "acme-large-2026-04-12"', ["acme-large-2026-04-12"]),
        ('client.create(model="acme-large-2026-04-12")', ["acme-large-2026-04-12"]),
        ('self.llm_model: str = "acme/large-7b"', ["acme/large-7b"]),
        ('MODEL = os.environ.get("M", "acme-large-2026-04-12")', ["acme-large-2026-04-12"]),
        ('Agent(model=os.getenv("M", "acme-large-2026-04-12"))', ["acme-large-2026-04-12"]),
        ('model = os.getenv("M") or "acme-large-2026-04-12"', ["acme-large-2026-04-12"]),
        ('run(os.environ.get("ACME_MODEL", "acme-large-2026-04-12"))', ["acme-large-2026-04-12"]),
        ('MODEL = cache.get("M", "acme-large-2026-04-12")', []),
        ('MODEL = os.environ.get("M", "default")', []),
        ('MODEL = "default"', []),
        ('data_model = "user_id"', []),
        ('name = "acme-large-2026-04-12"', []),
        ('MODEL = "gpt-4o-2024-08-06"', ["gpt-4o-2024-08-06"]),
    ],
)
def test_a_model_that_nobody_lists_is_known_by_where_its_name_stands(tmp_path, line, models):
    assert [value for value, _ in in_python(tmp_path, line, "model")] == models


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('span.set_attribute("gen_ai.agent.name", "orders")', [("orders", "agent.py:1", "span")]),
        ('NAME = "orders"\nx = {"gen_ai.agent.name": NAME}', [("orders", "agent.py:2", "span")]),
        ('agent = Agent(MODEL, name="orders")', [("orders", "agent.py:1", "framework")]),
        ('app = graph.compile(name="orders")', [("orders", "agent.py:1", "framework")]),
        ('import re\nre.compile("name")\nTracker("gen_ai.agent.name")\nx = Agent(name=other())', []),
    ],
)
def test_the_name_of_the_agent_is_read_from_its_code(tmp_path, text, names):
    (tmp_path / "agent.py").write_text(text)
    seen = read_repository(tmp_path).of_kind(SightingKind.AGENT)
    assert [(one.value, one.place, one.detail) for one in seen] == names


@pytest.mark.parametrize(
    "text",
    [
        'span.set_attribute("pilothouse.task.type", "refund")',
        'KIND = "refund"\nx = {"pilothouse.task.type": KIND}',
        '@pilothouse.agent(task_type="refund")\ndef run(): ...',
    ],
)
def test_task_types_are_read_from_the_code(tmp_path, text):
    assert [value for value, _ in in_python(tmp_path, text, "task_type")] == ["refund"]


@pytest.mark.parametrize(
    "name", ["a\nagent: evil\n#.py", os.fsdecode(b"na\xffme.py"), "a\u2028b.py", "a\x1b[2J.py"]
)
def test_a_name_that_would_write_lines_of_its_own_is_left_out_and_told(tmp_path, name):
    (tmp_path / name).write_text('model = "gpt-4o"')
    (tmp_path / "good.py").write_text('model = "gpt-4o"')
    report = read_repository(tmp_path)
    assert {seen.file for seen in report.sightings} == {"good.py"}
    assert report.notes == (f"{name!a}: a name that cannot be shown",)


def test_half_a_character_in_code_is_no_part_of_what_was_seen(tmp_path):
    text = 'from pydantic_ai import Agent\nAgent("openai:gpt-4o", name="half\\ud800")\nTool(name="t\\udfff")'
    (tmp_path / "agent.py").write_text(text)
    report = read_repository(tmp_path)
    assert ["half?"] == [seen.value for seen in report.of_kind(SightingKind("agent"))]
    for seen in report.sightings:
        assert f"{seen.value} {seen.detail} {seen.names}".encode()
