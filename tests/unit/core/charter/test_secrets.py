# SPDX-License-Identifier: Apache-2.0
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.core.charter.secrets import (
    MARKS,
    REDACTED,
    SECRET_FORMS,
    assigned_secret,
    forms_in,
    redacted,
    secret_kind,
    secrets_replaced,
    without_credentials,
)

SECRETS = [
    "sk-proj-abcdefghijklmnopqrstuvwx",
    "sk-ant-api03-0123456789abcdef",
    "AKIAABCDEFGHIJKLMNOP",
    "AIza" + "a" * 35,
    "ghp_" + "a" * 36,
    "glpat-" + "a" * 20,
    "xoxb-1234567890-abc",
    "hf_" + "a" * 34,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
    "Bearer abcdefghijklmnopqrstuvwx",
    "postgresql://app:hunter2@db.corp.example/erp",
    "-----BEGIN RSA PRIVATE KEY-----",
    "password: correcthorsebattery",
    "ph_ab12cd34_" + "0f" * 32,
    "OPENAI_API_KEY=abcdefghijklmnop",
    "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG",
    "DB_PASSWORD: correcthorsebattery",
    '"access_token": "ya29.a0AfH6SMBx"',
    '\\"client_secret\\": \\"abcdefghijklmnop',
    "SECRET_KEY='abcdefghijklmnop",
    "accessToken=abcdefghijklmnop",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIEvQIBADANBg\n-----END RSA PRIVATE KEY-----",
    r"-----BEGIN EC PRIVATE KEY-----\nMIIEvQIBADANBg",
]
HARMLESS = [
    "erp-read",
    "oidc:dana@corp.example",
    "runbooks/quality.md",
    "sha256:" + "a" * 64,
    "skip-this",
    "task tokens: 400",
    "https://corp.example/a",
    "next_page_token=CAUQAAabcdefghij",
    "MAX_TOKENS=100000000000",
    "graph_abcdef",
]


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_recognised_and_nothing_of_it_is_left(text):
    assert secret_kind(text)
    assert REDACTED in redacted(f"before {text} after")
    assert text not in redacted(f"before {text} after")


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_values_are_no_secrets(text):
    assert secret_kind(text) is None
    assert redacted(text) == text


@pytest.mark.parametrize(
    "line",
    [
        'API_KEY = "abcd1234efgh"',
        "client_secret: 'q8w7e6r5t4'",
        'os.environ["X_TOKEN"] = "q8w7e6r5t4"',
        'key = "sk-ant-0123456789abcdef"',
    ],
)
def test_a_line_that_assigns_a_secret_is_found(line):
    assert assigned_secret(line)


@pytest.mark.parametrize(
    "line",
    [
        "api_key = settings.api_key_of_erp",
        'api_key = "your-api-key-here"',
        "max_tokens = 4096",
        'token = os.environ["TOKEN_OF_ERP"]',
        'password = ""',
    ],
)
def test_a_line_that_names_a_secret_without_holding_it_is_not(line):
    assert assigned_secret(line) is None


def test_an_environment_file_holds_bare_values():
    assert assigned_secret("ERP_PASSWORD=q8w7e6r5t4", may_be_bare=True) == "password"
    assert assigned_secret("ERP_PASSWORD=q8w7e6r5t4") is None


@pytest.mark.parametrize(("kind", "form"), SECRET_FORMS)
def test_whatever_a_form_matches_carries_one_of_its_marks(kind, form):
    @settings(max_examples=30)
    @given(st.from_regex(form))
    def check(text):
        assert kind in {found for found, _ in forms_in(text)}

    check()
    assert set(MARKS) == {known for known, _ in SECRET_FORMS}


@pytest.mark.parametrize(
    "unit",
    [
        "eyJ-",
        "eyJ_",
        "eyJaaaaaaaa.eyJ-",
        "sk-",
        "bearer ",
        "-----BEGIN PRIVATE KEY-----a-",
        "a://a:",
        "MY_API_",
    ],
)
def test_many_beginnings_of_secrets_are_looked_through_once(unit):
    """Each beginning was followed to the end of the text: 80 kB in a prompt kept who writes the record for 7 s."""
    began = time.perf_counter()
    redacted(unit * (300_000 // len(unit)))
    assert time.perf_counter() - began < 5.0


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "401 for url 'https://erp:pw@erp.corp/x?api_key=S1'",
            "401 for url 'https://[redacted]@erp.corp/x?[redacted]'",
        ),
        (
            "Max retries exceeded with url: /services/T0/B0/K3Y (no)",
            "Max retries exceeded with url: /[redacted] (no)",
        ),
        ("login failed: UID=a;PWD=geheim;DB=x", "login failed: UID=a;PWD=[redacted];DB=x"),
        ("Authorization: Bearer abc.def was refused", "Authorization: Bearer [redacted] was refused"),
        ("is the ERP there? No", "is the ERP there? No"),
    ],
)
def test_what_a_client_says_of_a_failure_is_shown_without_what_it_signed_in_with(said, shown):
    assert without_credentials(said) == shown


@pytest.mark.parametrize("unit", ["://", "a://a@", "?", "url: /", "token=", "token   ", "pwd: basic "])
def test_many_beginnings_of_addresses_are_looked_through_once(unit):
    began = time.perf_counter()
    without_credentials(unit * (300_000 // len(unit)))
    assert time.perf_counter() - began < 5.0


def test_a_secret_without_a_name_is_replaced_whole():
    text = "before sk-ant-0123456789abcdef0123 after"
    assert secrets_replaced(text, lambda secret: f"<{len(secret)}>") == "before <27> after"
