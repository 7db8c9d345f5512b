# SPDX-License-Identifier: Apache-2.0
"""The gullible agent: plays the user's task, and obeys every injection that it reads.

Under a policy that hides untrusted fields there are two of it. The *eager* one reads every hidden value as
soon as it has its name: the worst case. The *careful* one reads only what the plan of its task must read
(`plans.py`), passes the rest on by name, and is the agent that tasks and questions are counted with; what it
reads it obeys all the same.
"""

from __future__ import annotations

import json
import pickle
import re

from agentdojo.functions_runtime import FunctionCall
from ground_truths import injection_calls
from plans import plan_of
from policies import TASK_TYPE, policy_name
from pydantic_core import to_jsonable_python
from world import LITERAL, MARK, OPAQUE, holds

from pilothouse.ports.approvals import UsedSoFar
from pilothouse.ports.permissions import Segment, TaskOpening
from pilothouse.ports.tools import ToolCall
from pilothouse.runtime.permissions.desk import PermissionDesk, PolicyInForce

__all__ = ["OUTSIDE", "Run"]

OUTSIDE = ("external", "irreversible")
KNOWN = {}
"""Whether a user's task passes, by the calls that were made: what they change does not depend on injected words."""

HIDDEN = re.compile(r"\[\[hidden [0-9]+: [^\[\]]*\]\]")


class Book:
    """Decides in memory: what a ledger keeps is not what is measured here."""

    def settle(self, proposal, decide):
        del proposal
        return decide(UsedSoFar())

    def note(self, kind, agent, document):
        """Nothing is kept."""


class Run:
    """One run.

    Args:
        suite: The suite under its policy.
        user: The user's task.
        injection: The attacker's task, or None.
        payload: `literal` or `opaque`.
        order: Whether it obeys `at once` or `after` the user's task.
        approves: Whether a person agrees to the user's calls; nobody ever agrees to the attacker's.
        eager: Whether it reads all it can.
        guarded: Whether the boundary stands between.
        hostile_calls: What it does when it obeys; the injection's ground truth when None.
        twist: Changes what the careful agent passes on without reading, as an attacker would who wrote it.
    """

    def __init__(
        self,
        suite,
        user,
        injection=None,
        *,
        payload="opaque",
        order="after",
        approves=True,
        eager=False,
        guarded=True,
        hostile_calls=None,
        twist=None,
    ):
        self.suite, self.injection, self.order = suite, injection, order
        self.approves, self.eager, self.guarded = approves, eager, guarded
        self.hostile_calls, self.twist = hostile_calls, twist
        self.plan = plan_of(suite.name, user.ID)
        self.mark = OPAQUE if payload == "opaque" else MARK
        literal = LITERAL.format(goal=injection.GOAL) if injection else ""
        self.words = None if injection is None else OPAQUE if payload == "opaque" else literal
        self.packed, calls = suite.packed(user.ID, self.words)
        self.environment = pickle.loads(self.packed)
        self.trace = []
        self.reached = self.obeyed = False
        self.done = self.outside = self.asks = self.denied = self.hostile_asks = self.twisted = 0
        self.desk = self._opened(user)
        for function, args in self.plan.first(self.environment):
            self.make(FunctionCall(function=function, args=args), hostile=False)
        for one in calls:
            self.make(one, hostile=False)
        if injection is not None and self.reached and not self.obeyed:
            self.obey()
        self.useful, self.won = self._outcome(user)

    def _opened(self, user):
        desk = PermissionDesk(
            PolicyInForce(agent="a", tools=self.suite.compiled, charter="c", policy="p"), Book()
        )
        desk.open_task(
            TaskOpening(
                agent="a",
                run="r",
                task_type=TASK_TYPE,
                requester="user",
                segments=(Segment(text=user.PROMPT, source="typed"),),
                opened_by="service",
            )
        )
        return desk

    def _outcome(self, user):
        said = user.GROUND_TRUTH_OUTPUT
        useful = self._is_useful(user, said) and not self.denied
        if self.injection is None or not (self.done or self.obeyed):
            return useful, False
        before = pickle.loads(self.packed)
        told = f"{said} {self.injection.GOAL}" if self.obeyed else said
        return useful, holds(self.suite.suite, self.injection, told, (before, self.environment), self.trace)

    def _is_useful(self, user, said):
        """Whether the user's task passes; known for the same calls by now, as the suites' comparison is slow."""
        if self.injection is not None and not self.guarded:
            return False  # not what is asked there
        key = (self.suite.name, user.ID, tuple((one.function, str(one.args)) for one in self.trace))
        if key not in KNOWN:
            before = pickle.loads(self.packed)
            KNOWN[key] = holds(self.suite.suite, user, said, (before, self.environment), self.trace)
        return KNOWN[key]

    def obey(self):
        self.obeyed = True
        for one in self.hostile_calls or injection_calls(self.suite.name, self.injection, self.environment):
            self.make(one, hostile=True)

    def make(self, one, *, hostile):
        args = to_jsonable_python({key: value for key, value in one.args.items() if value is not None})
        name = policy_name(one.function, args)
        effect = self.suite.compiled[name].policy.effect
        passes_on = self.suite.policy != "show" and not hostile and not self.eager
        unread = self.plan.made & args.keys() if passes_on else frozenset()
        if self.twist is not None and unread and effect != "read":
            one = FunctionCall(function=one.function, args=self.twist({**one.args}, unread))
            args = {**args, **{key: one.args[key] for key in unread}}
            self.twisted += 1
        if "attachments" in args:  # the contract names files by their text
            args["attachments"] = [json.dumps(file) for file in args["attachments"]]
        call = ToolCall(
            tool=name,
            args=args,
            agent="a",
            version=None,
            run="r",
            span_id="s",
            parent_span_id=None,
            call_id="1",
            task_type=TASK_TYPE,
            effect=effect,
            integration="suite",
            contract="c",
            unread=unread,
        )
        if self.guarded and not self._passes(call, hostile=hostile):
            return
        result, error = self.suite.runtime.run_function(self.environment, one.function, one.args)
        if error is None:
            self.trace.append(FunctionCall(function=one.function, args=one.args))
            self.done += hostile
            self.outside += (hostile or bool(self.twisted)) and effect in OUTSIDE
        shown = self.desk.observe(call, to_jsonable_python(result))
        self.latest = json.dumps(shown, ensure_ascii=False)
        self._look(self.latest)
        if hostile or self.eager or self.plan.reads(one.function):
            self._read(self.latest)

    def _read(self, text):
        """Read the hidden values that a text names, or all of the task."""
        unread = self.desk.unread("r")
        for name in HIDDEN.findall(text):
            self._look(json.dumps(unread.reveal(name), ensure_ascii=False))

    def _look(self, text):
        if self.injection is None or self.mark not in text:
            return
        self.reached = True
        if self.order == "at once" and not self.obeyed:
            self.obey()

    def _passes(self, call, *, hostile):
        decision = self.desk.decide(call).decision
        if decision != "ask":
            self.denied += decision == "deny" and not hostile
            return decision == "allow"
        self.asks += 1
        self.hostile_asks += hostile
        return self.approves and not hostile
