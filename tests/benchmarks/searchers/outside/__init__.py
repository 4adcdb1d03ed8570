"""Searchers of other projects behind one contract, where the user has put them: see README.md.

Read `protocol` (what an adapter is), `catalogue` (which there are, and where they are looked for), one adapter, and
`searcher` (how the benchmark asks them). All but `searcher` run in the interpreter of the outside package as well, so
they import nothing of this project and nothing but the standard library at their top.
"""
