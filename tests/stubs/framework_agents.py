# SPDX-License-Identifier: Apache-2.0
"""Agents in three frameworks, two APIs, with and without streams; each looks orders up with a tool, then answers.

Every run has a question of its own. What a run did is returned as plain data, so that two runs can be compared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from pilothouse.demo.model_script import Conversation, ToolCall, Turn

MODEL = "m-2026-01-01"
INSTRUCTIONS = "You look orders up before you answer."

Transcript = tuple[tuple[str, ...], str]
"""Tool calls with results, and the final answer."""


def script(conversation: Conversation) -> Turn:
    """Look up two orders at once, then one more, then answer."""
    question = next(message.text for message in conversation.messages if message.role == "user")
    number = question.rsplit(" ", 1)[-1].rstrip("?")
    done = [message for message in conversation.messages if message.role == "tool"]
    if not done:
        calls = tuple(
            ToolCall(name="look_up", arguments={"order": f"{number}-{part}"}, call_id=f"call_{number}_{part}")
            for part in ("a", "b")
        )
        return Turn(tool_calls=calls, model=MODEL)
    if len(done) == 2:
        call = ToolCall(name="look_up", arguments={"order": f"{number}-c"}, call_id=f"call_{number}_c")
        return Turn(tool_calls=(call,), model=MODEL)
    return Turn(text="Order: " + "; ".join(message.text for message in done), model=MODEL)


def question(number: int) -> str:
    """Return what run `number` asks."""
    return f"Where is order {number}?"


class Tools:
    """The tool of an agent, which notes what it did; `change` lets it answer otherwise."""

    def __init__(self, change: Callable[[str], str] | None = None) -> None:
        self.calls: list[str] = []
        self._change = change or (lambda result: result)

    def look_up(self, order: str) -> str:
        """Return where an order is."""
        result = self._change(f"{order} is in Lyon")
        self.calls.append(f"{order}={result}")
        return result


async def openai_agents(base: str, key: str, number: int, tools: Tools, *, api: str, stream: bool) -> str:
    """Run an agent of the OpenAI Agents SDK."""
    import agents
    from openai import AsyncOpenAI

    agents.set_tracing_disabled(disabled=True)
    kind = agents.OpenAIChatCompletionsModel if api == "chat" else agents.OpenAIResponsesModel
    async with AsyncOpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0) as client:
        agent = agents.Agent(
            name="orders",
            instructions=INSTRUCTIONS,
            model=kind(MODEL, client),
            tools=[agents.function_tool(tools.look_up)],
        )
        if not stream:
            return (await agents.Runner.run(agent, question(number))).final_output
        result = agents.Runner.run_streamed(agent, question(number))
        async for _ in result.stream_events():
            pass
        return result.final_output


async def pydantic_ai(base: str, key: str, number: int, tools: Tools, *, api: str, stream: bool) -> str:
    """Run an agent of pydantic-ai."""
    from openai import AsyncOpenAI
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    kind = OpenAIChatModel if api == "chat" else OpenAIResponsesModel
    async with AsyncOpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0) as client:
        model = kind(MODEL, provider=OpenAIProvider(openai_client=client))
        agent = Agent(model, instructions=INSTRUCTIONS)
        agent.tool_plain(tools.look_up)
        if not stream:
            return (await agent.run(question(number))).output
        async with agent.run_stream(question(number)) as result:
            return await result.get_output()


async def langgraph(base: str, key: str, number: int, tools: Tools, *, api: str, stream: bool) -> str:
    """Run a ReAct graph of LangGraph."""
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI
    from langgraph.graph import END, START, MessagesState, StateGraph
    from langgraph.prebuilt import ToolNode
    from openai import DefaultAsyncHttpxClient

    look_up = tool(tools.look_up)
    # Of its own, as those of the others: what all runs of a process share outlives the loop that it was made in.
    async with DefaultAsyncHttpxClient() as client:
        model = ChatOpenAI(
            model=MODEL,
            base_url=f"{base}/v1",
            api_key=key,
            max_retries=0,
            use_responses_api=api == "responses",
            streaming=stream,
            http_async_client=client,
        ).bind_tools([look_up])

        async def ask(state):
            return {"messages": [await model.ainvoke([("system", INSTRUCTIONS), *state["messages"]])]}

        graph = StateGraph(MessagesState)
        graph.add_node("ask", ask)
        graph.add_node("tools", ToolNode([look_up]))
        graph.add_edge(START, "ask")
        graph.add_conditional_edges("ask", lambda state: "tools" if state["messages"][-1].tool_calls else END)
        graph.add_edge("tools", "ask")
        final = await graph.compile().ainvoke({"messages": [("user", question(number))]})
    return str(final["messages"][-1].text)


FRAMEWORKS = {"openai-agents": openai_agents, "pydantic-ai": pydantic_ai, "langgraph": langgraph}

CONFIGURATIONS = [
    (framework, api, stream)
    for framework in FRAMEWORKS
    for api in ("chat", "responses")
    for stream in (False, True)
]


async def run_many(
    configuration: tuple[str, str, bool],
    base_of: Callable[[int], str],
    key: str,
    numbers: range,
    *,
    at_once: int = 20,
    change: Callable[[str], str] | None = None,
) -> dict[int, Transcript | str]:
    """Run one configuration for each number, some at once; what raised is its error's name."""
    framework, api, stream = configuration
    limit = asyncio.Semaphore(at_once)
    found: dict[int, Transcript | str] = {}

    async def one(number: int) -> None:
        async with limit:
            tools = Tools(change)
            try:
                answer = await FRAMEWORKS[framework](
                    base_of(number), key, number, tools, api=api, stream=stream
                )
                found[number] = (tuple(sorted(tools.calls)), answer)
            except Exception as error:
                found[number] = type(error).__name__

    await asyncio.gather(*(one(number) for number in numbers))
    with suppress(Exception):
        await asyncio.sleep(0)
    return found
