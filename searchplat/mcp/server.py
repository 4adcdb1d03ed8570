"""The server: which tools and resources there are under given rules, and how they are announced."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError, ToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult, InputRequiredResult, ToolAnnotations

from searchplat import __version__, methods, paths
from searchplat.errors import InputError
from searchplat.mcp.acting import Acting
from searchplat.mcp.answers import Answer, answered, said
from searchplat.mcp.background import Starter
from searchplat.mcp.project import Project
from searchplat.mcp.reading import Reading
from searchplat.mcp.rules import Leave, Rules
from searchplat.spec import json_schema
from searchplat.spec.find import grammar, shipped_spaces
from searchplat.views.installed import described_method

_ABOUT = (
    "searchplat searches hyperparameters and architectures of recommender models (or of any program, where the user "
    "allows that). A space, a YAML file, says what is searched. The usual way: list_spaces, space_grammar, check_space "
    "until it is valid, start_search with few trials, search_status with wait_s until it has ended, best_trials and "
    "search_report. "
)

_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=True)
_STEERS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_ENDS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)


class Server(MCPServer[Any]):
    """An MCP server that refuses arguments which a tool does not have, instead of passing them over."""

    def __init__(self, tools: list[Tool], **about: Any) -> None:
        for tool in tools:
            tool.parameters["additionalProperties"] = False
        self._known = {tool.name: list(tool.parameters["properties"]) for tool in tools}
        super().__init__(tools=tools, **about)

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool."""
        if unknown := [one for one in arguments if one not in self._known.get(name, arguments)]:
            takes = ", ".join(self._known[name]) or "none"
            raise ToolError(f"{name}: there is no argument {', '.join(map(repr, unknown))[:200]}; it takes {takes}")
        return await super().call_tool(name, arguments, context)


def make(rules: Rules) -> Server:
    """The server under these rules; from now on this process, and what it starts, keeps spaces in the folder."""
    os.environ[paths.WITHIN] = str(rules.folder)
    if Leave.IMPORT in rules.leaves:
        methods.allow_imports()
    project = Project(rules)
    starter = Starter(project)
    reading, acting = Reading(project, starter), Acting(project, starter)
    tools: list[tuple[Callable[..., Answer], ToolAnnotations]] = [
        (tool, _READS)
        for tool in (
            reading.list_methods, reading.list_spaces, reading.read_space, reading.space_grammar, reading.check_space,
            reading.list_searches, reading.search_status, reading.search_trials, reading.best_trials,
            reading.search_report, reading.search_promotion, reading.compare_searches,
        )
    ]  # fmt: skip
    if Leave.SEARCH in rules.leaves:
        tools += [(acting.start_search, _ADDS), (acting.stop_search, _ENDS), (acting.set_search, _STEERS)]
        tools += [(acting.pause_search, _STEERS), (acting.resume_search, _STEERS)]
    if Leave.PROMOTE in rules.leaves:
        tools.append((acting.promote_search, _ENDS))
    server = Server(
        [
            Tool.from_function(answered(tool), description=inspect.getdoc(tool), annotations=about)
            for tool, about in tools
        ],
        name="searchplat",
        version=__version__,
        instructions=_ABOUT + rules.in_words(),
        log_level="WARNING",
    )
    _add_resources(server)
    return server


def _add_resources(server: Server) -> None:
    @server.resource("searchplat://grammar", mime_type="text/markdown", description="The grammar of space files.")
    def space_grammar() -> str:
        return grammar().read_text(encoding="utf-8")

    @server.resource("searchplat://schema", mime_type="application/json", description="JSON Schema of space files.")
    def space_schema() -> dict[str, Any]:
        return json_schema()

    @server.resource("searchplat://spaces/{name}", mime_type="application/yaml", description="A shipped space file.")
    def shipped_space(name: str) -> str:
        if name not in shipped_spaces():
            raise ResourceNotFoundError(f"no shipped space {name!r:.80}; shipped are {', '.join(shipped_spaces())}")
        return shipped_spaces()[name].read_text(encoding="utf-8")

    @server.resource("searchplat://methods/{name}", mime_type="application/json", description="A method's config.")
    def method(name: str) -> dict[str, Any]:
        try:
            return described_method(name)
        except InputError as error:
            raise ResourceNotFoundError(said(str(error))) from None
