# SPDX-License-Identifier: Apache-2.0
"""Assigns a conversation or a user to an arm of an experiment, and notes the arm on the task's root span.

No state and no server: the arm is a hash of experiment and unit, so every process says the same.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Final

from pilothouse.core.verdict.rollout import arm_of
from pilothouse.runtime.sdk.run import current_run

__all__ = ["ARM_KEY", "EXPERIMENT_KEY", "UNIT_KEY", "Assignment", "assign"]

EXPERIMENT_KEY: Final = "pilothouse.experiment.id"
UNIT_KEY: Final = "pilothouse.experiment.unit"
ARM_KEY: Final = "pilothouse.experiment.arm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The arm of one unit.

    Attributes:
        experiment: Id of the experiment.
        unit: Id of the conversation or user.
        arm: `candidate` or `baseline`.
        attributes: What the root span of each of its tasks carries.
    """

    experiment: str
    unit: str
    arm: str
    attributes: dict[str, str]

    @property
    def is_candidate(self) -> bool:
        """Whether the candidate serves this unit."""
        return self.arm == "candidate"


def assign(
    experiment: str, unit: str, *, share: float, salt: str = "", candidate_version: str | None = None
) -> Assignment:
    """Return the arm of a unit, and note it on the root span of the task that is going on.

    With plain OpenTelemetry the current span is marked: call it where the task begins.

    Raising the share only adds units to the candidate; nobody is moved back.

    Args:
        experiment: Id of the experiment.
        unit: Id of the conversation or user, never of a request; a pseudonym, since it is stored with the task.
        share: Share of units for the candidate, in [0, 1].
        salt: Text that mixes the units anew.
        candidate_version: Version digest of the candidate, to stamp on its tasks.

    Raises:
        UsageError: The share is no share.

    Example:
        >>> assign("exp-1", "user-1", share=0.25).arm, assign("exp-1", "user-1", share=1.0).arm
        ('baseline', 'candidate')
    """
    arm = arm_of(experiment, unit, share=share, salt=salt)
    attributes = {EXPERIMENT_KEY: experiment, UNIT_KEY: unit, ARM_KEY: arm}
    if candidate_version is not None and arm == "candidate":
        attributes["pilothouse.version"] = candidate_version
    run = current_run().get()
    if run is not None:
        # An agent inside an agent is part of the outer one's task: the task's root span carries the arm.
        while run.outer is not None:
            run = run.outer
        run.marks.update(attributes)
    elif "opentelemetry.trace" in sys.modules:
        # Whoever never imported OpenTelemetry has no span to write on.
        sys.modules["opentelemetry.trace"].get_current_span().set_attributes(attributes)
    return Assignment(experiment=experiment, unit=unit, arm=arm, attributes=attributes)
