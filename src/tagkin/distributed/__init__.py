"""Embedding on several processes or machines with Ray: the same extraction, one who stores.

::

    library rows ──> schedule ──> workers (Ray actors) ──> embed ──> library
                     (who does     (read, decode, run,      (checks and stores,
                      which)        each its own graph)      as without Ray)

Workers hold nothing that can be lost: a dead one is replaced, and what it had is done again.
"""

from tagkin.distributed.engine import RayEngine

__all__ = ["RayEngine"]
