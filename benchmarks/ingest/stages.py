# SPDX-License-Identifier: Apache-2.0
"""Where the CPU of a stored span goes: each stage of the road alone, one thread, collector off, microseconds a span."""

from __future__ import annotations

import argparse
import gc
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from spans import SPANS, build_request

from pilothouse.core.evidence.task import TaskState
from pilothouse.lake.assembler import Assembler
from pilothouse.lake.batches import span_batch
from pilothouse.lake.columns import SPANS as SCHEMA
from pilothouse.lake.columns import CoreSpan, TaskRow
from pilothouse.lake.fold import fold_trace
from pilothouse.lake.otlp_decode import decode_rows
from pilothouse.lake.otlp_dialect import Encoding
from pilothouse.lake.otlp_request import parse_request
from pilothouse.lake.otlp_wire import TracesRequest
from pilothouse.lake.prices import no_prices
from pilothouse.lake.rows import Arrival
from pilothouse.lake.segments import SegmentTable
from pilothouse.ports.intake import Signal

REQUESTS = 32
"""One segment of 16,384 rows."""


class Stages:
    """Times each stage request by request and keeps its best: other work on the machine only adds."""

    def __init__(self) -> None:
        self.best: dict[str, float] = {}

    def timed(self, name: str, work: Callable[[], Any], spans: int = SPANS) -> Any:
        began = time.process_time_ns()
        made = work()
        spent = (time.process_time_ns() - began) / 1e3 / spans
        self.best[name] = min(spent, self.best.get(name, spent))
        return made


def plain_loop() -> int:
    """What a machine makes of plain Python: figures of two runs compare by it."""
    total = 0
    for number in range(1_000):
        total += number
    return total


def folded(spans: list[CoreSpan]) -> list[TaskRow]:
    traces: dict[str, list[CoreSpan]] = defaultdict(list)
    for span in spans:
        traces[span.trace_id].append(span)
    return [
        fold_trace(one, state=TaskState.COMPLETE, reason="root_ended", closed_ns=0) for one in traces.values()
    ]


def run_once(stages: Stages, bodies: list[bytes], table: SegmentTable, number: int) -> None:
    arrival = Arrival(received_ns=time.time_ns(), node="bench", seq=0, source="bench")
    timed = stages.timed
    batches = []
    assembler = Assembler()

    for body in bodies:
        timed("  a loop of a thousand", plain_loop, 1)
        timed("  of it protobuf", partial(TracesRequest.FromString, body))
        parsed = timed("parse and check", partial(parse_request, Signal.TRACES, Encoding.PROTOBUF, body))
        cores, blocks = timed("decode", partial(decode_rows, parsed, arrival, no_prices))
        timed("assembler", partial(assembler.add_all, cores, 0.0))
        timed("fold of tasks", partial(folded, cores))
        batches.append(timed("Arrow", partial(span_batch, blocks)))
    timed(
        "Parquet, sync, commit",
        lambda: table.append(pa.Table.from_batches(batches, schema=SCHEMA), {"bench": number}),
        REQUESTS * SPANS,
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--fresh", action="store_true", help="every prompt and answer is another text")
    chosen = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-stages-"))
    stages = Stages()
    try:
        table = SegmentTable(folder / "spans", SCHEMA)
        table.create()
        gc.disable()
        for number in range(chosen.rounds):
            run_once(stages, [build_request(fresh=chosen.fresh) for _ in range(REQUESTS)], table, number)
            gc.collect()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for name, spent in stages.best.items():
        print(f"  {name:<24}{spent:>7.2f} us{'' if 'loop' in name else ' a span'}")
    total = sum(spent for name, spent in stages.best.items() if not name.startswith(" "))
    print(f"  {'sum':<24}{total:>7.2f} us a span = {1e6 / total:,.0f} spans a CPU-second")


if __name__ == "__main__":
    main()
