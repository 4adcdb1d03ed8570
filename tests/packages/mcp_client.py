"""The SDK's own client on a real server over stdio, for tests that are no coroutines."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import InitializeResult, Tool

PROGRAM = shutil.which("searchplat", path=os.path.dirname(sys.executable)) or "searchplat"


class Client:
    """A connection."""

    def __init__(self, portal: BlockingPortal, session: ClientSession, hello: InitializeResult) -> None:
        self._portal, self._session, self.hello = portal, session, hello

    def tools(self) -> dict[str, Tool]:
        """By name."""
        return {tool.name: tool for tool in self._portal.call(self._session.list_tools).tools}

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structured answer of a tool."""
        result = self._portal.call(self._session.call_tool, tool, arguments)
        assert not result.is_error, result.content
        assert isinstance(result.structured_content, dict)
        return result.structured_content

    def refused(self, tool: str, **arguments: Any) -> str:
        """The text of a tool's error."""
        result = self._portal.call(self._session.call_tool, tool, arguments)
        assert result.is_error, result.content
        return str(result.content[0].text)

    def resource(self, uri: str) -> str:
        """Its text."""
        return str(self._portal.call(self._session.read_resource, uri).contents[0].text)


@contextmanager
def connected(folder: Path, *words: str, **variables: str) -> Iterator[Client]:
    """A client of `searchplat mcp --folder FOLDER WORDS`."""

    @asynccontextmanager
    async def session() -> AsyncIterator[tuple[ClientSession, InitializeResult]]:
        server = StdioServerParameters(
            command=PROGRAM, args=["mcp", "--folder", str(folder), *words], env={**os.environ, **variables}
        )
        async with stdio_client(server) as (read, write), ClientSession(read, write) as made:
            yield made, await made.initialize()

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(session()) as (made, hello):
        yield Client(portal, made, hello)
