# SPDX-License-Identifier: Apache-2.0
import gzip
import json

import pytest
from otlp_bodies import request, run_spans, to_json

from pilothouse.errors import StorageUnavailable, UsageError
from pilothouse.ports.intake import IntakeAnswer, Receipt, Signal
from pilothouse.workflows.traces.ingest import import_files

ONE = request(run_spans(1))
TWO = request(run_spans(2))


class Taken:
    """An intake that answers as it is told and remembers what it was given."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.bodies = []

    def accept(self, signal, *, content_type, content_encoding, body, source):
        answer = self.answers.pop(0) if self.answers else Receipt(answer=IntakeAnswer.ACCEPTED, items=4)
        if answer.answer is IntakeAnswer.ACCEPTED:
            self.bodies.append((signal, content_type, body))
        return answer

    def settle(self):
        raise AssertionError


def sized(message):
    data = message.SerializeToString()
    size, prefix = len(data), bytearray()
    while size > 0x7F:
        prefix.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*prefix, size]) + data


def imported(tmp_path, data, *answers, **options):
    path = tmp_path / "file"
    path.write_bytes(data)
    intake = Taken(*answers)
    return import_files([path], intake, pause=lambda _: None, **options), intake


def padded(size):
    """A request whose one part has so many bytes."""
    for length in range(size):
        made = request([{"name": "x" * length}])
        if made.resource_spans[0].ByteSize() == size:
            return made
    raise AssertionError(size)


PRETTY = json.dumps(json.loads(to_json(ONE)), indent=2).encode()


@pytest.mark.parametrize(
    ("data", "requests", "content_type"),
    [
        (to_json(ONE), 1, "application/json"),
        (PRETTY, 1, "application/json"),
        (b"\xef\xbb\xbf" + to_json(ONE) + b"\r\n", 1, "application/json"),
        (to_json(ONE) + b"\n\n" + to_json(TWO) + b"\n", 2, "application/json"),
        (ONE.SerializeToString(), 1, "application/x-protobuf"),
        (sized(ONE) + sized(TWO), 2, "application/x-protobuf"),
        (padded(123).SerializeToString(), 1, "application/x-protobuf"),  # 123 is a brace
        (sized(padded(121)) + sized(TWO), 2, "application/x-protobuf"),
        (gzip.compress(to_json(ONE), mtime=0), 1, "application/json"),
        (gzip.compress(sized(ONE), mtime=0), 1, "application/x-protobuf"),
    ],
)
def test_every_form_of_an_otlp_file_is_recognised(tmp_path, data, requests, content_type):
    report, intake = imported(tmp_path, data)
    assert (report.requests, report.items, report.faults) == (requests, 4 * requests, ())
    assert {kind for _, kind, _ in intake.bodies} == {content_type}


def test_json_says_which_signal_it_carries(tmp_path):
    lines = b'{"resourceLogs":[]}\n{"resourceMetrics":[]}\n{"resourceSpans":[]}'
    _, intake = imported(tmp_path, lines)
    assert [signal for signal, _, _ in intake.bodies] == [Signal.LOGS, Signal.METRICS, Signal.TRACES]


def test_a_broken_line_is_named_and_the_good_ones_are_kept(tmp_path):
    report, intake = imported(tmp_path, to_json(ONE) + b'\n{"resourceSpans": [\n' + to_json(TWO))
    assert len(intake.bodies) == 2
    (fault,) = report.faults
    assert fault.place.startswith(f"{tmp_path / 'file'}:2:")
    assert "no JSON" in fault.reason


def test_the_place_in_a_pretty_printed_document_is_where_it_breaks(tmp_path):
    report, _ = imported(tmp_path, PRETTY.replace(b'"spanId":', b'"spanId"', 1))
    line = PRETTY[: PRETTY.index(b'"spanId":')].count(b"\n") + 1
    assert report.faults[0].place.split(":")[1] == str(line)


def test_a_cut_off_protobuf_file_keeps_what_is_whole_and_names_the_byte(tmp_path):
    report, intake = imported(tmp_path, sized(ONE) + sized(TWO)[:-5])
    assert len(intake.bodies) == 1
    assert report.faults[0].place == f"{tmp_path / 'file'}, byte {len(sized(ONE))}"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"hello world", "neither"),
        (b'{"spans": []}', "resourceSpans"),
        (b"[1]", "neither"),
        (gzip.compress(b"{}", mtime=0)[:-6], "cannot be read"),
    ],
)
def test_what_is_no_otlp_file_says_so(tmp_path, data, reason):
    report, intake = imported(tmp_path, data)
    assert intake.bodies == []
    assert any(reason in fault.reason for fault in report.faults)


@pytest.mark.parametrize("left_bytes", [0, 1_000])
def test_a_cut_off_gzip_file_keeps_what_is_whole(tmp_path, left_bytes):
    """A collector that was killed leaves no end of the stream, and every span of its file was lost."""
    lines = [to_json(request(run_spans(number))) for number in range(1, 400)]
    packed = gzip.compress(b"\n".join(lines), mtime=0)
    report, intake = imported(tmp_path, packed[: -8 - left_bytes])
    assert len(intake.bodies) > (390 if not left_bytes else 250)
    assert "inflated) cannot be read" in report.faults[-1].reason


@pytest.mark.parametrize("packed", [gzip.compress(b"x")[:4], gzip.compress(b"x" * 9)[:11]])
def test_a_gzip_file_of_which_nothing_is_left_is_one_fault(tmp_path, packed):
    report, intake = imported(tmp_path, packed)
    assert (intake.bodies, report.faults_total) == ([], 1)


def test_what_the_intake_refuses_is_a_fault_with_its_place(tmp_path):
    refused = Receipt(answer=IntakeAnswer.MALFORMED, reason="span 0: bad")
    partial = Receipt(answer=IntakeAnswer.ACCEPTED, items=4, rejected=1, reason="span 3: bad")
    report, _ = imported(tmp_path, to_json(ONE) + b"\n" + to_json(TWO), refused, partial)
    assert [fault.place.rsplit(":", 2)[1] for fault in report.faults] == ["1", "2"]
    assert (report.items, report.rejected) == (3, 1)


def test_a_busy_intake_is_asked_again_and_given_up_after_a_while(tmp_path):
    busy = Receipt(answer=IntakeAnswer.BUSY, reason="full")
    report, _ = imported(tmp_path, to_json(ONE), busy, busy)
    assert report.requests == 1
    with pytest.raises(StorageUnavailable, match="full"):
        imported(tmp_path, to_json(ONE), *[busy] * 1_000)


def test_a_missing_file_stops_everything_before_anything_is_sent(tmp_path):
    with pytest.raises(UsageError, match="nowhere"):
        import_files([tmp_path / "nowhere"], Taken())


def test_progress_reaches_the_end_of_the_file(tmp_path):
    read = []
    data = to_json(ONE) + b"\n" + to_json(TWO)
    imported(tmp_path, data, on_progress=read.append)
    assert sum(read) == len(data)


NAMES = {"pilothouse.agent": "triage", "pilothouse.task.type": "invoice"}


class Kept:
    """An intake that keeps what it is given."""

    def __init__(self):
        self.bodies = []

    def accept(self, _signal, *, body, **_):
        self.bodies.append(json.loads(body))
        return Receipt(answer=IntakeAnswer.ACCEPTED, items=1)


def attributes(*pairs):
    return [{"key": key, "value": {"stringValue": value}} for key, value in pairs]


def test_a_log_of_before_is_given_the_names_that_nobody_could_write_then(tmp_path):
    """All its tasks were outside the charter else, and people were called for each day of it."""
    said = attributes(("service.name", "bot"), ("pilothouse.task.type", "refund"))
    spans = [{"spans": [{"traceId": "0" * 31 + "1"}]}]
    lines = [
        {"resourceSpans": [{"resource": {"attributes": said}, "scopeSpans": spans}, {"scopeSpans": spans}]},
        {"resourceLogs": [{"resource": {"attributes": None}, "scopeLogs": []}]},
    ]
    path = tmp_path / "old.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    kept = Kept()
    assert import_files([path], kept, named=NAMES).faults == ()
    first, second = kept.bodies[0]["resourceSpans"]
    assert first["resource"]["attributes"] == [*said, *attributes(("pilothouse.agent", "triage"))]
    assert second["resource"]["attributes"] == attributes(*NAMES.items())
    assert first["scopeSpans"] == second["scopeSpans"] == spans
    assert kept.bodies[1]["resourceLogs"][0]["resource"]["attributes"] == attributes(*NAMES.items())
    import_files([path], kept)
    assert kept.bodies[2:] == lines, "nothing is added unasked"


@pytest.mark.parametrize(
    "broken", ["x", None, 5, [5], [{"resource": 5}], [{"resource": {"attributes": "x"}}]]
)
def test_what_has_another_shape_is_left_to_the_intake(tmp_path, broken):
    path = tmp_path / "old.json"
    path.write_text(json.dumps({"resourceSpans": broken}))
    kept = Kept()
    import_files([path], kept, named=NAMES)
    assert kept.bodies == [{"resourceSpans": broken}]


def test_a_protobuf_file_is_not_taken_without_the_names_it_was_to_get(tmp_path):
    path = tmp_path / "old.pb"
    path.write_bytes(b"\x0a\x00")
    kept = Kept()
    report = import_files([path], kept, named=NAMES)
    assert kept.bodies == []
    assert "in JSON only" in report.faults[0].reason
