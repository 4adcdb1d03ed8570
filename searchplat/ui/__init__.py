"""The live page of `searchplat ui`: what runs and how it goes, with the buttons that steer it, for this machine alone.

    a browser --> guard (host, token, cookie) --> app --> searches: reads ledgers, never writes
                                                  |  +--> parts: what was read, as HTML, every text escaped
                                                  +----> api.steering: the requests of the command line

Begin with `app`; `server` runs it.
"""
