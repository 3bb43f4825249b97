"""An embedded Qdrant: the part of Qdrant's REST API that Darkroom uses, on Qdrant's own engine in this process.

    __main__       the command: takes the port, serves, stops
    app            routes and the shapes of answers
    store          the data folder: which collections there are
    collection     one collection: its points and what can be asked of them
    configuration  what is known of it beside these
    queries        REST's queries, as the engine names them
    translate      REST's filters and options, likewise
    syncing        files on disk

The engine keeps Python's interpreter lock during a call, so more than one thread would gain nothing: a single
thread runs all of it, one call after the other, and needs no further locks.
"""

import gateways.qdrant  # noqa: F401 - brings in qdrant-client, whose models it shares, without fastembed
