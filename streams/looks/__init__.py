"""How an asset looks: its event and signals as a timeline in the terminal, or as one page.

``timeline`` and ``curves`` turn an event and its sidecar into plain data; ``terminal``, ``figure`` and ``page`` draw it;
``formats`` is what `dailies export` offers.
"""
