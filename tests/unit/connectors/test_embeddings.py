# SPDX-License-Identifier: Apache-2.0
"""Examples found by vectors of an endpoint, and by words while it fails, lies or is slow to build."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pilothouse.app.example_search import example_index
from pilothouse.connectors import embeddings
from pilothouse.connectors.embeddings import parse_endpoint
from pilothouse.errors import ProviderError, UsageError
from pilothouse.ledger.few_shot_index import FewShotIndex
from pilothouse.ports.curation import Example
from pilothouse.settings import load_settings

MEANING = {"bill": (1.0, 0.0), "invoice": (0.9, 0.1), "holiday": (0.0, 1.0), "vacation": (0.1, 0.9)}


class _Endpoint(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.seen.append((self.path, self.headers.get("authorization"), asked))
        status, lie = self.server.status, self.server.lie
        data = [
            {
                "index": n,
                "embedding": next((list(v) for word, v in MEANING.items() if word in text), [0.5, 0.5]),
            }
            for n, text in enumerate(asked["input"])
        ]
        if isinstance(lie, bytes):
            self.wfile.write(lie)
            self.close_connection = True
            return
        body = json.dumps(lie if lie is not None else {"data": data[::-1]}).encode()
        self.send_response(status)
        if status == 302:
            self.send_header("location", "http://127.0.0.1:9/elsewhere")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Endpoint)
    server.seen, server.status, server.lie = [], 200, None
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def address(endpoint):
    return f"http://127.0.0.1:{endpoint.server_port}/v1/embeddings?model=small"


def library():
    texts = ("a bill of May", "an invoice of June", "my holiday in May", "unrelated words")
    return [
        Example(
            example_id=f"e{n}",
            agent="a",
            task_type="t" if n else "other",
            input=text,
            output=text,
            item_id=f"i{n}",
        )
        for n, text in enumerate(texts)
    ]


@pytest.fixture
def index(endpoint):
    settings = load_settings(
        {"PILOTHOUSE_EMBEDDINGS": address(endpoint), "PILOTHOUSE_EMBEDDINGS_KEY": "secret"}
    )
    assert "secret" not in repr(settings)
    return example_index(settings)(library())


def names(found):
    return [one.example_id for one in found]


def test_meaning_is_found_where_no_word_is_shared(index, endpoint):
    assert FewShotIndex(library()).find("vacation", k=2) == ()
    assert names(index.find("vacation", k=2)) == ["e2", "e3"]
    assert names(index.find("bill", k=2)) == ["e0", "e1"]
    assert names(index.find("bill", k=2, without="i0")) == ["e1", "e3"]
    assert names(index.find("bill", k=1, task_type="t")) == ["e1"]
    path, key, first = endpoint.seen[0]
    assert (path, key, first["model"]) == ("/v1/embeddings", "Bearer secret", "small")
    assert [len(one["input"]) for _, _, one in endpoint.seen] == [4, 1, 1, 1, 1], (
        "the library is embedded once"
    )


@pytest.mark.parametrize(
    ("status", "lie"),
    [
        (500, None),
        (302, None),
        (200, {"data": []}),
        (200, b"this is no answer at all\r\n\r\n"),
        (200, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"),
        (200, {"data": [{"index": n, "embedding": [10**400]} for n in range(4)]}),
        (200, {"data": [{"index": 0, "embedding": ["x"]}]}),
        (200, {"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}]}),
        (200, [1]),
    ],
)
def test_words_answer_while_the_endpoint_does_not(index, endpoint, monkeypatch, status, lie):
    endpoint.status, endpoint.lie = status, lie
    assert names(index.find("holiday in May", k=1)) == ["e2"]
    asked = len(endpoint.seen)
    assert names(index.find("holiday in May", k=1)) == ["e2"]
    assert len(endpoint.seen) == asked, "it is left alone for a minute"
    endpoint.status, endpoint.lie = 200, None
    monkeypatch.setattr(index, "_not_before", 0.0)
    assert names(index.find("vacation", k=1)) == ["e2"]


def test_while_one_thread_embeds_the_library_the_others_find_by_words(index):
    with index._lock:
        assert names(index.find("holiday", k=1)) == ["e2"]


@pytest.mark.parametrize(
    "wrong", ["", "small", "ftp://h/x?model=m", "http://host/v1/embeddings", "file:///etc?model=m"]
)
def test_an_address_that_is_none_is_refused(wrong):
    with pytest.raises(UsageError, match="no embedding endpoint"):
        parse_endpoint(wrong)


def test_one_who_asks_directly_is_told_what_is_wrong():
    with pytest.raises(ProviderError, match="does not answer"):
        embeddings.EmbeddingEndpoint(url="http://127.0.0.1:9/v1", model="m").embed(["x"], timeout_s=1.0)
