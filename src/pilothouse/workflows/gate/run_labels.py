# SPDX-License-Identifier: Apache-2.0
"""What people said of the answers of a gate run: labels beside the dataset, counted by verdict of the judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pilothouse.core.statistics.quality import Stratum
from pilothouse.core.verdict.release import CaseResult
from pilothouse.core.verdict.release_labelled import NO_ANSWER
from pilothouse.evals.answers import Answer, answer_id, answers_file, read_answers
from pilothouse.evals.arms import Arm
from pilothouse.evals.case import Case
from pilothouse.evals.dataset import Dataset
from pilothouse.evals.journal import Journal
from pilothouse.workflows.gate.judge_cards import label_counts

__all__ = ["RunLabels", "read_labels"]

_VERDICTS = {True: "pass", False: "fail", None: "unscored"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLabels:
    """Labels of answers, to be found for those that a candidate gave.

    Attributes:
        answers: Answers on file, by id.
        journal: Stored trials.
        candidate: Who answered.
        now: The present moment, aware UTC.
        command: What labels more of them, without its count.
    """

    answers: Mapping[str, Answer]
    journal: Journal
    candidate: Arm
    now: datetime
    command: str

    def strata(self, cases: Sequence[Case], results: Sequence[CaseResult]) -> tuple[Stratum, ...]:
        """Count the answers of a task type by what the judge said, and how many of them are labelled and good.

        Answers that an earlier version gave too, and those that are not on file yet, are counted apart: whoever labelled the
        earlier version left out what changed, so the changed ones are fewer among the labelled and might all be bad.

        Args:
            cases: Cases that ran.
            results: How each came out.
        """
        given = self._given(cases)
        judged: Counter[str] = Counter()
        labelled: Counter[str] = Counter()
        good: Counter[str] = Counter()
        label: bool | None
        for one in results:
            name = given.get(one.case_id)
            if name is None:
                stratum, label = NO_ANSWER, False
            else:
                known = self.answers.get(name)
                stratum = f"{_VERDICTS[one.candidate[0] if one.candidate else None]}, {self._since(known)}"
                label = known.good if known is not None and label_counts(known, self.now) else None
            judged[stratum] += 1
            labelled[stratum] += label is not None
            good[stratum] += label is True
        return tuple(
            Stratum(name=name, judged=count, labelled=labelled[name], good=good[name])
            for name, count in sorted(judged.items())
        )

    def _given(self, cases: Sequence[Case]) -> dict[str, str]:
        """Return the id of the first answer to each case, where there is one."""
        keys = {self.candidate.keys(case)[0]: case for case in cases}
        return {
            keys[one.key].id: answer_id(keys[one.key].input, one.result.reply.output)
            for one in self.journal.trials(keys)
            if one.result.reply is not None
        }

    def _since(self, known: Answer | None) -> str:
        if known is None:
            return "not on file"
        return "of this version" if known.version == self.candidate.version else "given before"


def read_labels(dataset: Dataset, journal: Journal, candidate: Arm, now: datetime) -> RunLabels:
    """Read the labels beside a dataset.

    Args:
        dataset: The dataset.
        journal: Stored trials.
        candidate: Who answers.
        now: The present moment, aware UTC.

    Raises:
        MalformedRecord: A line of the file is no answer.
    """
    return RunLabels(
        answers={one.id: one for one in read_answers(answers_file(dataset.path))},
        journal=journal,
        candidate=candidate,
        now=now,
        command=f"pilothouse eval label --by PERSON --dataset {dataset.path} --version {candidate.version[:12]}",
    )
