# SPDX-License-Identifier: Apache-2.0
"""100,000 mutated requests through parser, decoder and Arrow: refused or read, never a crash, and no memory is kept."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path

from spans import build_request

from pilothouse.errors import LimitExceeded, MalformedRecord
from pilothouse.lake.batches import span_batch
from pilothouse.lake.otlp_decode import decode_rows
from pilothouse.lake.otlp_dialect import Encoding
from pilothouse.lake.otlp_request import parse_request
from pilothouse.lake.otlp_wire import TracesRequest
from pilothouse.lake.prices import no_prices
from pilothouse.lake.rows import Arrival
from pilothouse.ports.intake import Signal

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "stubs"))

from otlp_bodies import request, run_spans, to_json

LEAK_MIB_MAX = 64
"""What one process may have grown by after the first tenth: caches are full by then."""


def small_bodies() -> list[tuple[Encoding, bytes]]:
    """Requests of a few spans in both encodings; a mutation in a large one changes one span of many."""
    message = request(run_spans())
    few = TracesRequest.FromString(build_request())
    del few.resource_spans[0].scope_spans[0].spans[8:]
    return [
        (Encoding.PROTOBUF, message.SerializeToString()),
        (Encoding.PROTOBUF, few.SerializeToString()),
        (Encoding.JSON, to_json(message)),
    ]


def mutated(rng: random.Random, body: bytes) -> bytes:
    made = bytearray(body)
    for _ in range(rng.randint(1, 5)):
        at = rng.randrange(len(made))
        kind = rng.randrange(5)
        if kind == 0:
            made[at] = rng.randrange(256)
        elif kind == 1:
            made[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            made[at:at] = rng.randbytes(rng.randint(1, 8))
        elif kind == 3:
            del made[at : at + rng.randint(1, 8)]
        else:
            made[at:at] = made[at : at + rng.randint(1, 64)]
        made = made or bytearray(b"\0")
    return bytes(made)


def rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / (1 << 20)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--mutations", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=time.time_ns() % (1 << 30))
    chosen = options.parse_args()
    rng = random.Random(chosen.seed)
    bodies = small_bodies()
    arrival = Arrival(received_ns=time.time_ns(), node="bench", seq=0, source="bench")
    outcome: Counter[str] = Counter()
    early = 0.0
    for number in range(chosen.mutations):
        encoding, body = rng.choice(bodies)
        try:
            parsed = parse_request(Signal.TRACES, encoding, mutated(rng, body))
        except (MalformedRecord, LimitExceeded):
            outcome["refused"] += 1
        else:
            cores, blocks = decode_rows(parsed, arrival, no_prices)
            assert len(cores) == parsed.items - len(parsed.bad)
            if blocks:
                assert span_batch(blocks).num_rows == len(cores)
            outcome["partly read" if parsed.bad else "read"] += 1
        if number == chosen.mutations // 10:
            early = rss_mib()
    grown = rss_mib() - early
    told = ", ".join(f"{name} {count:,}" for name, count in sorted(outcome.items()))
    print(
        f"seed {chosen.seed}: {chosen.mutations:,} mutations, {told}; memory grew {grown:.1f} MiB after the first tenth"
    )
    return int(grown > LEAK_MIB_MAX)


if __name__ == "__main__":
    sys.exit(main())
