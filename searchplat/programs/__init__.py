"""Programs that know nothing of searchplat, run as methods: a command with its script, or a plain function.

    template -> process (guard) -> lines -> training    `method: command`
                         function -> lines -> training    `method: module:function`

`training` is what both share: reports that come one after another are a trial's epochs.
"""
