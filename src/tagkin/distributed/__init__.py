"""Work on several processes or machines with Ray: the same functions, one who stores.

::

    library rows ──> schedule ──> workers (Ray actors) ──> embed ──> library
                     (who does     (read, decode, run,      (checks and stores,
                      which)        each its own graph)      as without Ray)

Tags are predicted and thumbnails made in the same way. Workers hold nothing that can be lost: a
dead one is replaced, and what it had is done again.
"""

from tagkin.distributed.engine import RayEngine
from tagkin.distributed.predicting import RayPredictor
from tagkin.distributed.thumbnails import RayThumbnails

__all__ = ["RayEngine", "RayPredictor", "RayThumbnails"]
