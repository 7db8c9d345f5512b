# SPDX-License-Identifier: Apache-2.0
"""A node's intake that refuses some requests first and remembers the bodies of the others."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from pilothouse.ports.intake import Receipt


class MoodyIntake:
    def __init__(self, node, refusals=()):
        self.node, self.refusals, self.lock = node, list(refusals), threading.Lock()
        self.refused = 0
        self.taken = []

    def has_room(self, source, coming):
        return self.node.has_room(source, coming)

    def submit(self, signal, *, content_type, content_encoding, body, source) -> Future[Receipt]:
        with self.lock:
            answer = self.refusals.pop() if self.refusals else None
        if answer is None:
            self.taken.append((signal, content_type, content_encoding, body))
            return self.node.submit(
                signal, content_type=content_type, content_encoding=content_encoding, body=body, source=source
            )
        self.refused += 1
        done: Future[Receipt] = Future()
        done.set_result(Receipt(answer=answer, reason="come again", retry_after_s=1))
        return done

    def settle(self):
        self.node.settle()
