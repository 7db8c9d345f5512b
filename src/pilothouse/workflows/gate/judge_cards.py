# SPDX-License-Identifier: Apache-2.0
"""Measure a judge against labelled answers, put its card on record, and say whether the gate may believe it."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pilothouse.core.charter.answers import is_open, known
from pilothouse.core.charter.charter import Charter
from pilothouse.core.evidence.admission import FUTURE_MAX
from pilothouse.core.evidence.binding import InForce, binding_in_force
from pilothouse.core.evidence.evidence import WORTH, Binding, Evidence, Scope, Source
from pilothouse.core.evidence.kinds import kind_named
from pilothouse.core.evidence.writing_order import standing_record
from pilothouse.core.statistics.clusters import mean_turns
from pilothouse.core.statistics.judging import JudgeCard, judge_card
from pilothouse.core.statistics.labels import labels_needed
from pilothouse.core.statistics.quality import Stratum, labels_alike
from pilothouse.core.statistics.results import NotEnoughEvidence
from pilothouse.core.verdict.numbers import percentage
from pilothouse.core.verdict.verdict import Reason
from pilothouse.errors import UnknownName, UsageError
from pilothouse.evals.answers import Answer, answer_id
from pilothouse.evals.case import Case
from pilothouse.evals.checks import PASS_AT, Check, CheckBook
from pilothouse.evals.dataset import Dataset
from pilothouse.evals.journal import Journal
from pilothouse.evals.scorers.registry import ScorerRegistry, parse_scorer_text
from pilothouse.evals.scorers.scorer import Scorer, ScorerKind
from pilothouse.evals.scoring import score_once
from pilothouse.evals.trial import Reply, Result, TrialStatus, asked_of, trial_key

__all__ = [
    "CARD_MAX_AGE",
    "IN_PRODUCTION",
    "JudgeTrust",
    "card_evidence",
    "card_of",
    "card_words",
    "find_judge",
    "is_fit",
    "judge_answers",
    "label_counts",
    "stored_answers",
    "trust_judges",
    "worth_words",
]

GOOD_PASSED_MIN: Final = 0.70
"""Share of good answers that a judge must be proved to pass."""

BAD_FOUND_MIN: Final = 0.80
"""Share of bad answers that a judge must be proved to find."""

HALF_WIDTH: Final = 0.03
"""Half of a range of quality in which a fall of five points can be seen."""

QUALITY_RANGE: Final = (0.01, 0.99)
"""Where labels are counted: at the ends every label says the same, and any number of them would seem to do."""

CARD_MAX_AGE: Final = timedelta(days=90)
"""How long a card counts when the charter does not say."""

AT_ONCE: Final = 16
"""Judgements in flight: a card is small, and a provider's limit is easily hit."""

IN_PRODUCTION: Final = "production:"
"""How the identity of a judge begins whose model and prompt only its scores show: the gate never trusts it."""

TYPE_LABELS_MIN: Final = 20
"""Labels of a task type from which a card speaks of it: a judge of one kind of answer may be blind to another."""

COMPUTED: Final = "exact"
"""Stands in for the scorer of a run where only the judges that cases name are looked for."""

MODEL_JUDGE: Final = "judge"
"""Name of our scorer that asks a model: whose stored scores are a judge's."""

_OF_TYPE: Final = "labels of "
"""How the name of the count of labels of a task type begins."""

COUNTS: Final = ("pass_judged", "pass_labelled", "pass_good", "fail_judged", "fail_labelled", "fail_good")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeTrust:
    """What is on record about a judge.

    Attributes:
        card: Its card when it counts, or None.
        reason: Why it does not count.
        sentence: The same in words, or what the card says.
        remedy: What to type.
        labels: Labels behind the card by task type.
    """

    card: JudgeCard | None
    reason: Reason | None
    sentence: str
    remedy: str
    labels: Mapping[str, int] = field(default_factory=dict)

    def in_type(self, name: str) -> JudgeTrust:
        """Return what is on record about the judge in one task type: a card without its labels says nothing of it.

        Args:
            name: Task type.
        """
        have = self.labels.get(name, 0)
        if self.card is None or have >= TYPE_LABELS_MIN:
            return self
        words = f"its card has {have} labels of {name}, at least {TYPE_LABELS_MIN} are needed"
        return JudgeTrust(card=None, reason=Reason.INSUFFICIENT, sentence=words, remedy=self.remedy)


def stored_answers(journal: Journal, dataset: Dataset, version: str) -> tuple[Answer, ...]:
    """Return the answers that a version gave to the cases of a dataset, as the journal has them.

    What a judge said of them in a run of the gate comes with them: nobody pays for it twice, and the rare ones that it failed
    are asked about as often as the others.

    Args:
        journal: Stored trials.
        dataset: The dataset.
        version: Version digest, or the beginning of one.

    Raises:
        UnknownName: No answer of that version is stored.
    """
    found: dict[str, Answer] = {}
    for config in journal.configs_of(version):
        keys = {trial_key(config.digest, asked_of(case, config.address), 0): case for case in dataset.cases}
        verdicts = _judged_before(journal, keys)
        for one in journal.trials(keys):
            case, reply = keys[one.key], one.result.reply
            if reply is None or case.family is not None:
                continue
            name = answer_id(case.input, reply.output)
            found.setdefault(
                name,
                Answer(
                    id=name,
                    case_id=case.id,
                    task_type=case.task_type,
                    input=case.input,
                    expected=case.expected,
                    output=reply.output,
                    version=config.version,
                    verdicts=verdicts.get(one.key, {}),
                ),
            )
    if not found:
        raise UnknownName(
            f"no answer of version {version!r} to these cases is stored in {str(journal.path)!r}.",
            remedy="Let it answer first: `pilothouse eval run TARGET --dataset DATASET`.",
            subject=version,
        )
    return tuple(found.values())


def _judged_before(journal: Journal, keys: Mapping[str, Case]) -> dict[str, dict[str, bool]]:
    """Return what judges said of trials, by the identity of the judge, as long as the case expects the same."""
    found: dict[str, dict[str, bool]] = {}
    for one in journal.scores(keys):
        if (
            one.name.partition("#")[0]
            == MODEL_JUDGE  # a judge that a case itself names has its place behind it
            and one.score.value is not None
            and one.case_hash == keys[one.key].case_hash
        ):
            found.setdefault(one.key, {})[one.version] = one.score.value >= PASS_AT
    return found


def find_judge(name: str, scorer: str | None, cases: Sequence[Case], registry: ScorerRegistry) -> Scorer:
    """Return the scorer that a card is for: the one typed, the one of that name, or the one the cases use.

    Args:
        name: Name of the judge.
        scorer: NAME or NAME={"json": "args"}, or None.
        cases: Cases whose asserts may name it.
        registry: Scorers by name.

    Raises:
        UsageError: Nothing says what the judge is, or it is no judge.
    """
    if scorer is not None:
        kind, args = parse_scorer_text(scorer)
        found = registry.make(kind, args)
    elif name in {one.name for one in registry.listing()} and name != MODEL_JUDGE:
        found = registry.make(name)
    else:
        book = CheckBook(registry, default=registry.make(COMPUTED))
        asserted = {one.spec.version: one for one in book.scorers(cases) if one.spec.kind is ScorerKind.JUDGE}
        if len(asserted) != 1:
            raise UsageError(
                f"the cases use {len(asserted)} judges, so nothing says what {name!r} is.",
                remedy="""Give it: --scorer 'judge={"url": "...", "model": "...", "rubric": "..."}'.""",
                subject=name,
            )
        found = next(iter(asserted.values()))
    if found.spec.kind is not ScorerKind.JUDGE:
        raise UsageError(
            f"scorer {found.spec.name!r} computes its score: it needs no card.",
            remedy="Give a model judge with --scorer.",
            subject=name,
        )
    return found


async def judge_answers(
    answers: Sequence[Answer], scorer: Scorer
) -> tuple[tuple[Answer, ...], dict[str, int]]:
    """Let a judge judge every answer it has not judged yet.

    Args:
        answers: Answers on file.
        scorer: The judge.

    Returns:
        The same answers with its verdicts, and how many have none, by reason.
    """
    identity = scorer.spec.version
    check = Check(name=scorer.spec.name, scorer=scorer, must_not=False)
    gate = asyncio.Semaphore(AT_ONCE)
    missing: dict[str, int] = {}

    async def one(answer: Answer) -> Answer:
        if identity in answer.verdicts:
            return answer
        case = Case(id=answer.id, task_type=answer.task_type, input=answer.input, expected=answer.expected)
        result = Result(status=TrialStatus.DONE, reply=Reply(output=answer.output), latency_s=None)
        async with gate:
            score = await score_once(check, case, result)
        if score.value is None:
            why = score.why.value if score.why else "unscored"
            missing[why] = missing.get(why, 0) + 1
            return answer
        return answer.model_copy(update={"verdicts": {**answer.verdicts, identity: score.value >= PASS_AT}})

    try:
        judged = tuple(await asyncio.gather(*(one(answer) for answer in answers)))
    finally:
        close = getattr(scorer, "close", None)
        if close is not None:
            await close()
    return judged, missing


def card_of(
    answers: Sequence[Answer], identity: str, *, now: datetime, clusters: Mapping[str, str] | None = None
) -> JudgeCard | NotEnoughEvidence:
    """Measure a judge on the labelled ones of the answers it judged; labels older than 90 days do not count.

    Answers to one case, and to cases of one cluster, are wrong together, and the judge is wrong about them together: their
    labels count as fewer, as they do in the floor of a run and in production.

    Args:
        answers: Every answer it judged, labelled or not: the others say how rare failures are.
        identity: The judge.
        now: The present moment, aware UTC.
        clusters: Cluster of each case, by its id; a case that is not named is one of its own.
    """
    known_clusters = clusters or {}
    strata = []
    for name, verdict in (("pass", True), ("fail", False)):
        judged = [one for one in answers if one.verdicts.get(identity) is verdict]
        labelled = [one for one in judged if label_counts(one, now)]
        strata.append(
            Stratum(
                name=name,
                judged=len(judged),
                labelled=len(labelled),
                good=sum(bool(one.good) for one in labelled),
            )
        )
    groups = [
        known_clusters.get(one.case_id) or one.case_id or one.id
        for one in answers
        if identity in one.verdicts
    ]
    effect = labels_alike(strata, mean_turns(groups))
    n = sum(one.labelled for one in strata)
    return judge_card(
        strata, identity=identity, design_effect=n / max(math.floor(n / effect), 1) if n else 1.0
    )


def label_counts(answer: Answer, now: datetime) -> bool:
    """Whether an answer has a label that counts: neither too old, nor dated ahead, which would keep its card young."""
    return answer.at is not None and -FUTURE_MAX <= now - answer.at <= CARD_MAX_AGE


def is_fit(card: JudgeCard) -> bool:
    """Whether a judge is proved to find enough bad answers and to pass enough good ones."""
    return card.sp_lower >= BAD_FOUND_MIN and card.se_lower >= GOOD_PASSED_MIN


def card_words(card: JudgeCard) -> str:
    """Say what a card shows."""
    return (
        f"finds at least {percentage(card.sp_lower, decimals=0)} of bad answers and passes at least {percentage(card.se_lower, decimals=0)} of good ones "
        f"(95 %, {card.n} labels{worth_words(card)})"
    )


def worth_words(card: JudgeCard) -> str:
    """Say how many independent labels those of a card are worth; empty where each stands alone."""
    worth = round(card.n / card.design_effect)
    return f", worth {worth} because answers hang together" if worth < card.n else ""


def _saving_words(card: JudgeCard) -> str:
    """Say how many labels show quality to `HALF_WIDTH` with this judge, and how many without any."""
    theta = min(max(card.quality.value, QUALITY_RANGE[0]), QUALITY_RANGE[1])
    judged = labels_needed(theta, card.se.value, card.sp.value, HALF_WIDTH)
    alone = labels_needed(theta, 0.5, 0.5, HALF_WIDTH)
    return (
        f"{judged} labels show quality to {100 * HALF_WIDTH:.0f} points either way with it, {alone} without"
    )


def card_evidence(
    card: JudgeCard,
    *,
    agent: str,
    judge: str,
    command: str,
    at: datetime,
    answers: Sequence[Answer],
    charter: Charter | None = None,
) -> Evidence:
    """Turn a card into a record; its counts make the same card again, its age is that of the newest label.

    Args:
        card: The card.
        agent: Agent whose answers were labelled.
        judge: Name of the judge in the charter.
        command: What made it.
        at: The present moment, aware UTC.
        answers: The labelled answers behind it.
        charter: The charter that says what the judge is; None where nobody knows, and then it is evidence for none.
    """
    scope = Scope(part=judge)
    kind = kind_named("judge.card")
    declared = Binding() if charter is None else binding_in_force(kind, charter, scope, InForce())
    passed, failed = card.strata
    counted = [one for one in answers if label_counts(one, at)]
    labelled_at = [one.at for one in counted if one.at is not None]
    types = Counter(one.task_type for one in counted if card.identity in one.verdicts)
    numbers = (
        *(passed.judged, passed.labelled, passed.good),
        *(failed.judged, failed.labelled, failed.good),
    )
    return Evidence(
        kind="judge.card",
        agent=agent,
        binds=declared.model_copy(update={"judge": card.identity}),
        scope=scope,
        window_from=min(labelled_at, default=at),
        window_to=max(labelled_at, default=at),
        n=card.n,
        passed=is_fit(card),
        detail=f"{judge} {card_words(card)}; asked are {percentage(BAD_FOUND_MIN, decimals=0)} and {percentage(GOOD_PASSED_MIN, decimals=0)}; "
        f"{_saving_words(card)}",
        counts={
            **dict(zip(COUNTS, numbers, strict=True)),
            **({WORTH: round(card.n / card.design_effect)} if card.design_effect > 1 else {}),
            **{f"{_OF_TYPE}{name}": count for name, count in sorted(types.items())},
        },
        source=Source(command=command),
        recorded_at=at,
    )


def trust_judges(
    identities: Sequence[str], records: Sequence[Evidence], charter: Charter | None, now: datetime
) -> Mapping[str, JudgeTrust]:
    """Say of each judge whether a card on record lets its scores decide a margin."""
    judges = None if charter is None or is_open(charter.model.judges) else charter.model.judges
    ages = {one.name: known(one.card_max_age) or CARD_MAX_AGE for one in judges or ()}
    # A card under a name that the charter does not have lives no longer than those under names that it has.
    shortest = min(ages.values(), default=CARD_MAX_AGE)
    return {one: _trust(one, records, defaultdict(lambda: shortest, ages), now) for one in identities}


def _trust(
    identity: str, records: Sequence[Evidence], ages: Mapping[str, timedelta], now: datetime
) -> JudgeTrust:
    cards = [
        one
        for one in records
        if one.kind == "judge.card"
        and set(COUNTS) <= set(one.counts)
        and not (one.binds.judge or "").startswith(IN_PRODUCTION)
    ]
    own = [one for one in cards if one.binds.judge == identity]
    remedy = "pilothouse eval judge NAME"
    if not own:
        reason, words = (Reason.STALE, "its card is of another judge: model, prompt or rubric changed") if cards else (
            Reason.MISSING, "its errors were never measured"
        )  # fmt: skip
        return JudgeTrust(card=None, reason=reason, sentence=words, remedy=remedy)
    last = standing_record(own) or own[-1]
    name = last.scope.part or "NAME"
    remedy = f"pilothouse eval judge {name}"
    limit = ages[name]
    if last.age_days(now) * 86_400 > limit.total_seconds():
        words = f"its card is {last.age_days(now):.0f} days old, at most {limit.days} are allowed"
        return JudgeTrust(card=None, reason=Reason.STALE, sentence=words, remedy=remedy)
    numbers = [last.counts[one] for one in COUNTS]
    card = judge_card(
        [
            Stratum(name="pass", judged=numbers[0], labelled=numbers[1], good=numbers[2]),
            Stratum(name="fail", judged=numbers[3], labelled=numbers[4], good=numbers[5]),
        ],
        identity=identity,
        design_effect=_design_effect(numbers[1] + numbers[4], last.counts.get(WORTH)),
    )
    if isinstance(card, NotEnoughEvidence) or not is_fit(card):
        words = last.detail if isinstance(card, JudgeCard) else card.reason
        return JudgeTrust(
            card=None, reason=Reason.INSUFFICIENT, sentence=f"its card is too weak: {words}", remedy=remedy
        )
    labels = {
        name.removeprefix(_OF_TYPE): count for name, count in last.counts.items() if name.startswith(_OF_TYPE)
    }
    return JudgeTrust(card=card, reason=None, sentence=card_words(card), remedy=remedy, labels=labels)


def _design_effect(labels: int, worth: int | None) -> float:
    """Return what it costs that labels hang together, as a record says it; 1 where it says nothing."""
    return 1.0 if worth is None else max(labels / max(worth, 1), 1.0)
