# SPDX-License-Identifier: Apache-2.0
"""Eleven planted defects of an integration are each found, and its sound twin has no finding."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from crm_world import Crm, write_world

from pilothouse.app import command_tree, open_installation
from pilothouse.errors import ExtensionError, UnknownName, UsageError
from pilothouse.interfaces.cli.main import run_cli
from pilothouse.runtime.tools.fault_suite import FAULTS
from pilothouse.settings import load_settings
from pilothouse.workflows.integrations import verify_integration as verifying
from pilothouse.workflows.integrations.integrations import rollout_order, take_inventory
from pilothouse.workflows.integrations.verify_integration import VerifyRequest, verify_integration
from pilothouse.workflows.verdict.accept import accept_file
from pilothouse.workflows.verdict.assess import assess

AGENT = "ap-invoice-triage"

# The faults cut connections under clients of other people, who leave sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class World:
    def __init__(self, tmp_path, *, crm=None, **changes):
        self.crm = crm or Crm()
        self.folder = tmp_path / "agent"
        self.charter = write_world(self.folder, self.crm, **changes)
        self.settings = load_settings({}, home=tmp_path / "home")

    def verify(self, **fields):
        request = VerifyRequest(
            **{
                "agent": AGENT,
                "integration": "crm",
                "use": str(self.folder / "crm_tools.py"),
                "variable": "CRM_URL",
                "url": f"http://{self.crm.host}",
                **fields,
            }
        )
        with open_installation(self.settings) as installation:
            accept_file(installation.ledger, self.charter, installation.clock.now(), actor="test")
            return verify_integration(installation, request, command="pilothouse integration verify crm")[0]


@pytest.fixture
def world(tmp_path):
    made = []

    def make(**changes):
        made.append(World(tmp_path / str(len(made)), **changes))
        return made[-1]

    yield make
    for one in made:
        one.crm.stop()


def statuses(world):
    with open_installation(world.settings) as installation:
        verdict = assess(installation, AGENT, installation.clock.now(), freeze=False).verdict
    return {
        one.requirement: one.status.value
        for one in verdict.requirements
        if one.requirement.startswith("INT-")
    }


@pytest.mark.slow
def test_a_sound_integration_has_no_finding_and_its_certificate_reaches_the_verdict(world):
    sound = world()
    certificate = sound.verify()
    assert certificate.findings == ()
    assert certificate.whole
    assert len(certificate.matrices) == 2
    assert not sound.crm.notes, "nothing that changes something reaches production"
    with open_installation(sound.settings) as installation:
        now = installation.clock.now()
        (row,) = take_inventory(installation, AGENT, now).integrations
        assert row.certificate == "valid"
        (row,) = take_inventory(installation, AGENT, now + timedelta(days=31)).integrations
        assert row.certificate == "expired"
        evidence = {(one.kind, one.scope.tool) for one in installation.ledger.evidence(AGENT)}
    found = statuses(sound)
    assert {found[name] for name in ("INT-3", "INT-4", "INT-5")} == {"holds"}, found
    assert found["INT-2"] == "at_risk", "until one seven days later confirms it"
    assert evidence == {
        ("integration.certificate", None),
        ("integration.sign_in", None),
        ("integration.rate", None),
        ("integration.freshness", None),
        ("tool.faults", "crm.find@1"),
        ("tool.faults", "crm.note@1"),
    }


DEFECTS = {
    "timeout": {"defect": "timeout"},
    "429": {"defect": "429"},
    "5xx": {"defect": "5xx"},
    "malformed": {"defect": "malformed"},
    "slow": {"find": {"breaker": {}}},
    "schema change": {
        "find": {"output": {"type": "object"}, "freshness": None},
        "integration": {"freshness": "none"},
    },
    "expired credential": {"defect": "expired credential"},
    "duplicate": {"defect": "duplicate"},
    "freshness": {"crm": {"age_s": 3_600.0}},
    "rate": {"integration": {"rate_limit": {"per_s": 0.05}}},
    "credential": {"crm": {"environment": "sandbox"}},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(DEFECTS))
def test_each_planted_defect_is_found_under_its_own_name(world, name, monkeypatch):
    # The sound twin goes through the whole matrix; what one row finds does not hang on the others.
    monkeypatch.setattr(verifying, "FAULTS", tuple(fault for fault in FAULTS if fault == name))
    changes = dict(DEFECTS[name])
    crm = Crm(**changes.pop("crm", {}))
    part = name if name in ("freshness", "rate", "credential") else "faults"
    certificate = world(crm=crm, **changes).verify(only=(part,))
    assert not certificate.passed
    found = {finding.split(": ")[1] for finding in certificate.findings}
    assert name in found, certificate.findings


@pytest.mark.slow
def test_a_probe_says_which_door_is_open(world):
    certificate = world(crm=Crm(open_doors=True)).verify(only=("credential",))
    assert "forbidden call" in certificate.findings[0]
    assert (
        "declared"
        in world(integration={"hosts": ["crm.example:443"]}).verify(only=("credential",)).findings[0]
    )


def test_what_is_missing_is_said_before_anything_is_called(world, tmp_path):
    one = world()
    with pytest.raises(UsageError, match="where good answers come from"):
        one.verify(url=None)
    with pytest.raises(UnknownName, match="Did you mean 'crm'"):
        one.verify(integration="crmm")
    half = one.folder / "half.py"
    half.write_text(
        'import pilothouse\n\n@pilothouse.tool("crm.find@1")\ndef find(customer):\n    return {}\n',
        encoding="utf-8",
    )
    with pytest.raises(UsageError, match=r"crm\.note@1"):
        one.verify(use=str(half))
    with pytest.raises(ExtensionError, match="marks no tool"):
        one.verify(use="json")
    document = json.loads(one.charter.read_text(encoding="utf-8"))
    document["tools"]["crm.note@1"]["effect"] = "?"
    one.charter.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(UsageError, match=r"leaves open what a call of crm\.note@1 changes"):
        one.verify()
    leaving = one.folder / "leaving.py"
    leaving.write_text("import sys\nsys.exit(0)\n", encoding="utf-8")
    with pytest.raises(ExtensionError, match="SystemExit"):
        world().verify(use=str(leaving))
    with pytest.raises(UsageError, match="is no recording"):
        world().verify(url=None, standin=tmp_path / "nothing.json")


def test_a_tool_that_ends_the_program_fails_its_calls_and_not_the_verification(world, monkeypatch):
    monkeypatch.setattr(verifying, "FAULTS", {name: FAULTS[name] for name in ("malformed", "duplicate")})
    one = world()
    text = "import sys\nimport pilothouse\n"
    for name in ("crm.find@1", "crm.note@1"):
        text += f'@pilothouse.tool("{name}")\ndef {name[4:8]}(**args):\n    sys.exit(0)\n'
    leaving = one.folder / "leaving.py"
    leaving.write_text(text, encoding="utf-8")
    certificate = one.verify(use=str(leaving), only=("faults",))
    assert not certificate.passed
    assert any("the example itself came to" in found for found in certificate.findings)


@pytest.mark.slow
def test_the_command_verifies_lists_orders_and_remembers(world, capsys, monkeypatch):
    one = world(find={"timeout_s": 0.6, "breaker": {"slow_after_s": 0.3, "window": 10}})
    monkeypatch.setenv("PILOTHOUSE_HOME", str(one.settings.home))
    monkeypatch.chdir(one.folder)

    def run(*words):
        monkeypatch.setattr("sys.argv", ["pilothouse", *words])
        with pytest.raises(SystemExit) as ended:
            run_cli(command_tree())
        return ended.value.code, capsys.readouterr()

    run("verdict", "--charter", "charter.yaml", "--json")
    status, out = run("integration", "verify", "crm")
    assert (status, "--use tools.py --redirect VAR=URL" in out.err) == (2, True)
    status, out = run("integration", "list", "--json")
    assert json.loads(out.out)["integrations"][0]["certificate"] == "none"
    options = (
        "--use",
        "crm_tools.py",
        "--redirect",
        f"CRM_URL=http://{one.crm.host}",
        "--record",
        "crm.json",
    )
    status, out = run("integration", "verify", "crm", *options, "--only", "rate,freshness,credential")
    assert status == 0, out
    status, out = run("integration", "verify", "crm", "--only", "freshness", "--json")
    assert status == 0, "what was not said is taken from the last time"
    assert json.loads(out.out)[0]["probes"][0]["passed"]
    status, out = run("integration", "verify", "--all", "--only", "rate")
    assert status == 0
    status, out = run("integration", "verify", "crm", "--only", "everything")
    assert status == 2
    status, out = run("integration", "order")
    assert "worst effect of its tools: external" in out.out
    status, out = run("integration", "list")
    assert "crm" in out.out
    with open_installation(one.settings) as installation:
        assert rollout_order(installation, AGENT, installation.clock.now())[0].name == "crm"
