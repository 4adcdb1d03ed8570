"""A door for agents: the commands of searchplat as tools of an MCP server over stdio, see docs/agents.md.

`server` says which tools there are; `reading` has those that only look, `acting` those that start and steer. What an
agent may do is `rules`', where it may look `project`'s, and how much of an answer goes out, without what secrets,
`answers`'. Searches run in processes of their own: `background`, `timed`. Nothing here decides what a command or
`searchplat.api` decides as well. The one home of the package `mcp`.
"""
