# SPDX-License-Identifier: Apache-2.0
"""One run of one harness in its own process: `python harnesses.py NAME URL CASES CONNECTIONS`, one JSON line out."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

EXPECTED = "The answer is 42."


def body(number: int) -> dict:
    return {"model": "stub", "messages": [{"role": "user", "content": f"question {number}"}]}


async def bare(url: str, cases: int, at_once: int) -> int:
    import aiohttp

    good = 0
    numbers = iter(range(cases))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=at_once)) as session:

        async def work() -> None:
            nonlocal good
            for number in numbers:
                async with session.post(f"{url}/chat/completions", json=body(number)) as answer:
                    found = await answer.json()
                    good += found["choices"][0]["message"]["content"] == EXPECTED

        await asyncio.gather(*(work() for _ in range(at_once)))
    return good


async def pilothouse(url: str, cases: int, at_once: int) -> int:
    from pilothouse.evals.case import Case
    from pilothouse.evals.checks import CheckBook
    from pilothouse.evals.journal import Journal
    from pilothouse.evals.limits import AdaptiveLimit
    from pilothouse.evals.runner import Runner, TrialRequest
    from pilothouse.evals.scorers.registry import ScorerRegistry
    from pilothouse.evals.targets.address import open_target

    registry = ScorerRegistry()
    target = open_target(f"openai:{url}?model=stub")
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "evals.db") as journal:
        runner = Runner(
            journal, CheckBook(registry, default=registry.make("exact")), run_id="b",
            limit=AdaptiveLimit(start=at_once, most=at_once),
        )  # fmt: skip
        requests = [
            TrialRequest(
                case=Case(id=f"c{n}", task_type="t", input=f"question {n}", expected=EXPECTED),
                index=0, target=target, config="c",
            )
            for n in range(cases)
        ]  # fmt: skip
        outcomes = await runner.run(requests)
        await target.close()
        if journal.count() != cases:
            raise RuntimeError("the record is not complete")
    return sum(one.success.value == 1.0 for one in outcomes)


async def pydantic_evals(url: str, cases: int, at_once: int) -> int:
    import aiohttp
    from pydantic_evals import Case, Dataset
    from pydantic_evals.evaluators import EqualsExpected

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=at_once)) as session:

        async def task(question: str) -> str:
            sent = {"model": "stub", "messages": [{"role": "user", "content": question}]}
            async with session.post(f"{url}/chat/completions", json=sent) as answer:
                return (await answer.json())["choices"][0]["message"]["content"]

        dataset = Dataset(
            name="bench",
            cases=[
                Case(name=f"c{n}", inputs=f"question {n}", expected_output=EXPECTED) for n in range(cases)
            ],
            evaluators=[EqualsExpected()],
        )
        report = await dataset.evaluate(task, max_concurrency=at_once, progress=False)
    return sum(all(r.value for r in one.assertions.values()) for one in report.cases)


def inspect_ai(url: str, cases: int, at_once: int) -> int:
    os.environ.setdefault("OPENAI_API_KEY", "none")
    from inspect_ai import Task
    from inspect_ai import eval as run
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import get_model
    from inspect_ai.scorer import exact
    from inspect_ai.solver import generate

    task = Task(
        dataset=MemoryDataset([Sample(input=f"question {n}", target=EXPECTED) for n in range(cases)]),
        solver=generate(), scorer=exact(),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        log = run(
            task, model=get_model("openai/stub", base_url=url, api_key="none", responses_api=False), log_dir=folder,
            max_connections=at_once, max_samples=at_once, display="none",
        )[0]  # fmt: skip
        return sum(sample.scores["exact"].value == "C" for sample in log.samples)


async def deepeval(url: str, cases: int, at_once: int) -> int:
    os.environ["DEEPEVAL_TELEMETRY_OPT_OUT"] = "YES"
    import aiohttp
    from deepeval import evaluate
    from deepeval.evaluate import AsyncConfig, CacheConfig, DisplayConfig
    from deepeval.metrics import ExactMatchMetric
    from deepeval.test_case import LLMTestCase

    # It scores outputs that the user made: the calls are the bare loop's, the scoring is DeepEval's.
    made: list[str] = []
    numbers = iter(range(cases))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=at_once)) as session:

        async def work() -> None:
            for number in numbers:
                async with session.post(f"{url}/chat/completions", json=body(number)) as answer:
                    made.append((await answer.json())["choices"][0]["message"]["content"])

        await asyncio.gather(*(work() for _ in range(at_once)))
    found = await asyncio.to_thread(
        evaluate,
        test_cases=[LLMTestCase(input="q", actual_output=one, expected_output=EXPECTED) for one in made],
        metrics=[ExactMatchMetric()],
        async_config=AsyncConfig(max_concurrent=at_once),
        cache_config=CacheConfig(write_cache=False),
        display_config=DisplayConfig(print_results=False, show_indicator=False),
    )
    return sum(one.success for one in found.test_results)


HARNESSES = {
    "bare": bare, "pilothouse": pilothouse, "pydantic_evals": pydantic_evals, "inspect_ai": inspect_ai, "deepeval": deepeval,
}  # fmt: skip


def main() -> None:
    name, url, cases, at_once = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    harness = HARNESSES[name]
    wall, cpu = time.monotonic(), time.process_time()
    ran = harness(url, cases, at_once)
    good = asyncio.run(ran) if asyncio.iscoroutine(ran) else ran
    print(
        json.dumps(
            {
                "harness": name,
                "good": good,
                "seconds": time.monotonic() - wall,
                "cpu_ms_per_case": 1000 * (time.process_time() - cpu) / cases,
                "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
