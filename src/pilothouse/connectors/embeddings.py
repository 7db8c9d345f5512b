# SPDX-License-Identifier: Apache-2.0
"""Find the examples most similar to an input by embeddings, and by words while the endpoint does not answer."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit, urlunsplit

import numpy as np
from numpy.typing import NDArray

from pilothouse.errors import ProviderError, UsageError
from pilothouse.ports.curation import Example

__all__ = ["EmbeddingEndpoint", "EmbeddingIndex", "parse_endpoint"]

TEXTS_AT_ONCE = 128
"""Texts of one request: every usual endpoint takes as many."""

TEXT_CHARS_MAX = 8_000
"""Characters of a text that are sent: about 2,000 tokens, which the smallest usual models still read."""

ANSWER_BYTES_MAX = 32 << 20
"""Bytes of an answer: 128 vectors of 4,096 numbers as JSON are a third of it."""

BUILD_TIMEOUT_S = 30.0
ASK_TIMEOUT_S = 2.0
"""An agent waits for its examples: after two seconds those found by words are better than none."""

AGAIN_AFTER_S = 60.0
"""How long an endpoint that failed is left alone."""

FOUND_MAX = 20


class _Straight(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a key is sent to the configured address only."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_Straight)


class _ByWords(Protocol):
    def find(
        self, text: str, *, task_type: str | None = None, k: int = 5, without: str = ""
    ) -> tuple[Example, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingEndpoint:
    """An endpoint that speaks OpenAI's `/embeddings`.

    Attributes:
        url: Where texts are posted.
        model: Name of the model.
        key: Sent as bearer, or empty.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)

    def embed(self, texts: Sequence[str], *, timeout_s: float) -> NDArray[np.float32]:
        """Return one unit vector for each text, shape (texts, size).

        Args:
            texts: What is embedded, at most `TEXTS_AT_ONCE`.
            timeout_s: Longest wait, seconds.

        Raises:
            ProviderError: It does not answer, or not with one vector for each text.
        """
        body = json.dumps({"model": self.model, "input": [text[:TEXT_CHARS_MAX] or " " for text in texts]})
        headers = {"content-type": "application/json"}
        if self.key:
            headers["authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(self.url, data=body.encode(), headers=headers, method="POST")  # noqa: S310 - `parse_endpoint` lets http and https pass only
        try:
            with _OPENER.open(request, timeout=timeout_s) as answer:
                told = json.loads(answer.read(ANSWER_BYTES_MAX + 1))
            rows = sorted(told["data"], key=lambda one: int(one["index"]))
            vectors = np.asarray([one["embedding"] for one in rows], dtype=np.float32)
        except (
            OSError,
            HTTPException,
            ValueError,
            KeyError,
            TypeError,
            OverflowError,
            RecursionError,
        ) as error:
            raise self._refused(f"does not answer with embeddings: {error}") from error
        if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
            raise self._refused(f"answered {vectors.shape} for {len(texts)} texts")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: NDArray[np.float32] = vectors / np.maximum(lengths, np.float32(1e-12))
        return unit

    def _refused(self, why: str) -> ProviderError:
        return ProviderError(
            f"the embedding endpoint {self.url} {why}",
            remedy="Examples are found by words meanwhile; check it with `curl $PILOTHOUSE_EMBEDDINGS`.",
            subject=self.url,
        )


def parse_endpoint(address: str, key: str = "") -> EmbeddingEndpoint:
    """Read the address of an endpoint, as settings write it.

    Args:
        address: For example `http://127.0.0.1:8080/v1/embeddings?model=NAME`.
        key: Sent as bearer, or empty.

    Raises:
        UsageError: It is no web address, or names no model.

    Example:
        >>> parse_endpoint("http://127.0.0.1:8080/v1/embeddings?model=small").model
        'small'
    """
    parts = urlsplit(address)
    model = parse_qs(parts.query).get("model", [""])[0]
    if parts.scheme not in {"http", "https"} or not parts.netloc or not model:
        raise UsageError(
            f"{address!r} is no embedding endpoint with a model",
            remedy="Write `PILOTHOUSE_EMBEDDINGS=http://HOST/v1/embeddings?model=NAME`.",
            subject="embeddings",
        )
    return EmbeddingEndpoint(url=urlunsplit((*parts[:3], "", "")), model=model, key=key)


class EmbeddingIndex:
    """An index over one version of a library; safe to share between threads.

    Args:
        examples: The library.
        endpoint: Where vectors come from.
        by_words: Answers while the endpoint does not.
    """

    def __init__(self, examples: Sequence[Example], endpoint: EmbeddingEndpoint, by_words: _ByWords) -> None:
        self._examples = tuple(examples)
        self._endpoint = endpoint
        self._by_words = by_words
        self._lock = threading.Lock()
        self._vectors: NDArray[np.float32] | None = None
        self._not_before = 0.0

    def find(
        self, text: str, *, task_type: str | None = None, k: int = 5, without: str = ""
    ) -> tuple[Example, ...]:
        """Return the most similar examples, best first.

        Args:
            text: An input.
            task_type: Only of this task type, or None for all.
            k: How many, at most 20.
            without: Item whose own example is left out, so that no answer is shown its own solution.
        """
        likeness = self._likeness(text)
        if likeness is None:
            return self._by_words.find(text, task_type=task_type, k=k, without=without)
        found = [
            example
            for example in (self._examples[number] for number in np.argsort(-likeness, kind="stable"))
            if (task_type is None or example.task_type == task_type)
            and (not without or example.item_id != without)
        ]
        return tuple(found[: max(1, min(k, FOUND_MAX))])

    def _likeness(self, text: str) -> NDArray[Any] | None:
        if time.monotonic() < self._not_before or not self._examples:
            return None
        try:
            vectors = self._library()
            if vectors is None:
                return None
            asked = self._endpoint.embed([text], timeout_s=ASK_TIMEOUT_S)[0]
        except ProviderError:
            self._not_before = time.monotonic() + AGAIN_AFTER_S
            return None
        return vectors @ asked if len(asked) == vectors.shape[1] else None

    def _library(self) -> NDArray[np.float32] | None:
        """Return the vectors of the library, computed once; None while another thread computes them."""
        if self._vectors is None and self._lock.acquire(blocking=False):
            try:
                texts = [example.input for example in self._examples]
                self._vectors = np.concatenate(
                    [
                        self._endpoint.embed(texts[start : start + TEXTS_AT_ONCE], timeout_s=BUILD_TIMEOUT_S)
                        for start in range(0, len(texts), TEXTS_AT_ONCE)
                    ]
                )
            finally:
                self._lock.release()
        return self._vectors
