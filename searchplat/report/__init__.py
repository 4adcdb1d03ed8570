"""A search as one HTML file that needs no network. `facts` reads a ledger, the figures are made of facts alone, and
`page` puts them into the template; begin with `page.render`.
"""
