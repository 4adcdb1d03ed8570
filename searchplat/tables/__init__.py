"""A table of systems as papers print it, every row searched on the same budget.

A file (`plan`) lists the systems, the budget and the seeds; `filling` runs what is missing, one search and promotion
after the other, and goes on where it was; `rows` reads what there is; `writing` makes Markdown, LaTeX and HTML of it.
"""
