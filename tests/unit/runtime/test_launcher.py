# SPDX-License-Identifier: Apache-2.0
"""The environment of an agent process."""

from __future__ import annotations

import pytest

from pilothouse.runtime.launcher import Launch, agent_environment, command_name

LAUNCH = Launch(endpoint="http://127.0.0.1:4318", agent="triage")


def test_traces_go_to_the_endpoint_over_http():
    env = agent_environment(LAUNCH, {})
    assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:4318"
    assert env["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
    assert env["OTEL_SEMCONV_STABILITY_OPT_IN"] == "gen_ai_latest_experimental"


def test_variables_that_would_overrule_the_endpoint_are_dropped():
    env = agent_environment(LAUNCH, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://elsewhere/v1/traces"})
    assert "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" not in env


def test_a_parent_from_outside_is_dropped():
    assert "TRACEPARENT" not in agent_environment(LAUNCH, {"TRACEPARENT": "00-aa-bb-01"})


def test_resource_attributes_of_the_user_are_kept_and_ours_are_escaped():
    launch = Launch(endpoint="http://h", agent="a,b=c", version="4f1c", environment="pilot")
    env = agent_environment(launch, {"OTEL_RESOURCE_ATTRIBUTES": "team=ap%20eu,pilothouse.agent=old"})
    assert env["OTEL_RESOURCE_ATTRIBUTES"].split(",") == [
        "team=ap%20eu",
        "pilothouse.agent=a%2Cb%3Dc",
        "pilothouse.version=4f1c",
        "deployment.environment.name=pilot",
    ]


def test_how_much_content_is_captured_stays_the_users_choice():
    name = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
    assert agent_environment(LAUNCH, {})[name] == "SPAN_ONLY"
    assert agent_environment(LAUNCH, {name: "NO_CONTENT"})[name] == "NO_CONTENT"


def test_model_addresses_stay_the_users_without_a_base_url():
    env = agent_environment(LAUNCH, {"OPENAI_BASE_URL": "http://mine/v1"})
    assert env["OPENAI_BASE_URL"] == "http://mine/v1"
    assert "ANTHROPIC_BASE_URL" not in env


def test_a_base_url_is_given_to_both_clients_in_their_own_form():
    launch = Launch(endpoint="http://h", agent="a", base_url="http://127.0.0.1:8089/v1/")
    env = agent_environment(launch, {"OPENAI_BASE_URL": "http://mine/v1"})
    assert env["OPENAI_BASE_URL"] == "http://127.0.0.1:8089/v1"
    assert env["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:8089"


def test_what_would_send_model_calls_past_the_gateway_is_dropped():
    elsewhere = {
        "OPENAI_API_BASE": "https://x/v1",
        "ANTHROPIC_API_URL": "https://y",
        "OPENAI_PROXY": "http://p",
    }
    launch = Launch(endpoint="http://h", agent="a", base_url="http://127.0.0.1:8089/v1", key="ph_1")
    assert elsewhere.keys().isdisjoint(agent_environment(launch, elsewhere))
    assert elsewhere.items() <= agent_environment(LAUNCH, elsewhere).items()
    token = {"ANTHROPIC_AUTH_TOKEN": "t"}
    assert "ANTHROPIC_AUTH_TOKEN" not in agent_environment(launch, token)
    assert agent_environment(LAUNCH, token)["ANTHROPIC_AUTH_TOKEN"] == "t"


@pytest.mark.parametrize("given", [{}, {"no_proxy": "10.0.0.0/8,.corp"}, {"NO_PROXY": "10.0.0.0/8, .corp"}])
def test_a_proxy_of_the_user_gets_nothing_that_is_ours(given):
    launch = Launch(endpoint="http://127.0.0.1:4318", agent="a", base_url="http://localhost:4318/gw/v1")
    env = agent_environment(launch, {"HTTPS_PROXY": "http://proxy:3128", **given})
    assert env["no_proxy"] == env["NO_PROXY"]
    kept = ["10.0.0.0/8", ".corp"] if given else []
    assert env["no_proxy"].split(",") == [*kept, "127.0.0.1", "localhost"]
    assert "NO_PROXY" not in agent_environment(launch, {})


def test_the_inherited_environment_is_not_changed():
    inherited = {"PATH": "/bin"}
    agent_environment(LAUNCH, inherited)
    assert inherited == {"PATH": "/bin"}


@pytest.mark.parametrize(
    ("command", "name"),
    [(["python", "bot.py"], "bot"), (["uv", "run", "agents/x.py", "-v"], "x"), (["node"], "node")],
)
def test_a_nameless_agent_is_called_after_its_command(command, name):
    assert command_name(command) == name


def test_a_task_type_is_the_resources_so_that_a_span_may_still_say_its_own():
    launch = Launch(endpoint="http://127.0.0.1:4318", agent="orders", task_type="order_status")
    assert (
        agent_environment(launch, {})["OTEL_RESOURCE_ATTRIBUTES"]
        == "pilothouse.agent=orders,pilothouse.task.type=order_status"
    )
