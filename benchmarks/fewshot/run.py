# SPDX-License-Identifier: Apache-2.0
"""Retrieval over 10,000 examples beside the unbounded question, what neighbours bring, and that none leaks."""

from __future__ import annotations

import argparse
import csv
import itertools
import random
import time
from collections import Counter
from pathlib import Path

from pilothouse.core.statistics.noninferiority import PairedNonInferiority
from pilothouse.evals.dataset_checks import near_pairs
from pilothouse.ledger import few_shot_index
from pilothouse.ledger.few_shot_index import FewShotIndex
from pilothouse.ports.curation import Example
from pilothouse.workflows.review.trusted_labels import NEAR

INTENTS, VOCABULARY, OWN_WORDS = 200, 20_000, 40
EXAMPLES, QUESTIONS, K = 10_000, 1_000, 5
LATENCY_P95_MS = 10.0


def made(rng: random.Random, count: int) -> list[tuple[str, str]]:
    """Make texts of 15 to 120 words: words fall off as 1/rank, a third of them belong to the intent."""
    vocabulary = [f"w{number}" for number in range(VOCABULARY)]
    heights = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(VOCABULARY)))
    intents = random.Random(2)
    own = [[vocabulary[intents.randrange(50, VOCABULARY)] for _ in range(OWN_WORDS)] for _ in range(INTENTS)]
    found = []
    for _ in range(count):
        intent = rng.randrange(INTENTS)
        words = [
            rng.choice(own[intent])
            if rng.random() < 0.35
            else rng.choices(vocabulary, cum_weights=heights)[0]
            for _ in range(rng.randrange(15, 120))
        ]
        found.append((" ".join(words), f"intent {intent}"))
    return found


def read(path: Path) -> list[tuple[str, str]]:
    """Read a public intent set: a CSV file with a head, text first and intent second."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [(row[0], row[1]) for row in rows if len(row) > 1]


def without_repeats(texts: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], int]:
    """Leave out what stands nearly word for word earlier on, as the library does; return how many that were."""
    repeated = {later for _, later, _ in near_pairs([text for text, _ in texts], similarity_min=NEAR)}
    return [one for n, one in enumerate(texts) if n not in repeated], len(repeated)


def index_of(texts: list[tuple[str, str]]) -> FewShotIndex:
    return FewShotIndex(
        [
            Example(example_id=f"e{n}", agent="a", task_type="t", input=text, output=label, item_id=f"i{n}")
            for n, (text, label) in enumerate(texts)
        ]
    )


def ask(
    index: FewShotIndex, questions: list[tuple[str, str]], *, leave_one_out: bool
) -> tuple[list[float], list[list[Example]]]:
    """Ask every question; where the questions are the library itself, each one is left out of its own answer."""
    times, found = [], []
    for number, (text, _) in enumerate(questions):
        began = time.process_time()
        found.append(list(index.find(text, k=K, without=f"i{number}" if leave_one_out else "")))
        times.append(1_000 * (time.process_time() - began))
    return sorted(times), found


def vote(examples: list[Example]) -> str:
    """Return what an agent answers that copies the commonest answer beside it."""
    return Counter(one.output for one in examples).most_common(1)[0][0] if examples else ""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--intents", type=Path, help="public intent set as CSV: text, intent; without it, made texts"
    )
    chosen = options.parse_args()
    rng = random.Random(1)
    source = read(chosen.intents) if chosen.intents else made(rng, EXAMPLES + QUESTIONS)
    rng.shuffle(source)
    is_public = chosen.intents is not None
    repeated = 0
    if is_public:  # small: every text is asked once, with itself left out
        source, repeated = without_repeats(source)
        texts, questions = source[:EXAMPLES], source[:QUESTIONS]
    else:
        questions, texts = source[:QUESTIONS], source[QUESTIONS : QUESTIONS + EXAMPLES]
    print(
        f"{'public set, leave one out' if is_public else 'made set'}: {len(texts):,} examples of "
        f"{len({label for _, label in texts}):,} intents, {len(questions):,} questions"
    )

    rows_max, words_max = few_shot_index.ROWS_MAX, few_shot_index.WORDS_MAX
    index = index_of(texts)
    times, found = ask(index, questions, leave_one_out=is_public)
    few_shot_index.ROWS_MAX = few_shot_index.WORDS_MAX = 10**9
    few = questions[: max(1, len(questions) // 4)]
    slow, whole = ask(index, few, leave_one_out=is_public)
    few_shot_index.ROWS_MAX, few_shot_index.WORDS_MAX = 10**9, 24
    words, by_words = ask(index, few, leave_one_out=is_public)
    few_shot_index.ROWS_MAX, few_shot_index.WORDS_MAX = rows_max, words_max

    for name, spent, answers in (
        ("rows bounded (ours)", times, found),
        ("24 words", words, by_words),
        ("unbounded", slow, whole),
    ):
        same = [
            len({id(a) for a in one} & {id(b) for b in other}) / len(other)
            for one, other in zip(answers, whole, strict=False)
            if other
        ]
        best = [other[0] in one for one, other in zip(answers, whole, strict=False) if other]
        print(
            f"{name:20} p50 {spent[len(spent) // 2]:6.2f} ms  p95 {spent[int(0.95 * len(spent))]:6.2f} ms CPU"
            f"  finds {sum(same) / len(same):.3f} of the unbounded five, its best {sum(best) / len(best):.3f}"
        )
    p95 = times[int(0.95 * len(times))]
    print(f"p95 {p95:.2f} of {LATENCY_P95_MS:g} ms allowed: ratio {p95 / LATENCY_P95_MS:.2f}")

    commonest = Counter(label for _, label in texts).most_common(1)[0][0]
    with_examples = [vote(one) == label for one, (_, label) in zip(found, questions, strict=True)]
    without = [label == commonest for _, label in questions]
    wins = sum(a and not b for a, b in zip(with_examples, without, strict=True))
    losses = sum(b and not a for a, b in zip(with_examples, without, strict=True))
    lift = PairedNonInferiority(0.05).decide(wins, losses, len(questions)).difference
    print(
        f"lift of an agent that copies its neighbours over one that knows only the commonest intent: "
        f"{100 * lift.value:+.1f} points [{100 * lift.low:+.1f}, {100 * lift.high:+.1f}]"
    )
    pairs = near_pairs([*(text for text, _ in questions), *(text for text, _ in texts)], similarity_min=NEAR)
    shift = len(questions)
    leaks = {
        one for one, other, _ in pairs if one < shift <= other and not (is_public and other - shift == one)
    }
    print(
        f"leakage: {len(leaks):,} of {len(questions):,} questions stand nearly word for word in the library"
        + (f"; {repeated:,} repeated texts were left out of it before" if is_public else "")
    )
    raise SystemExit(p95 > LATENCY_P95_MS)


if __name__ == "__main__":
    main()
