"""What can be asked of Qdrant, in one class."""

from gateways.qdrant.erasing import Erasing
from gateways.qdrant.paths import Paths
from gateways.qdrant.searching import Searching
from gateways.qdrant.survey import Surveying


class Qdrant(Erasing, Searching, Paths, Surveying):
    """A client of one Qdrant.

    Every method may raise QdrantUnavailableError (wait and try again); those that name a collection raise
    CollectionMissingError when it does not exist, and QdrantRejectedError when Qdrant refuses what was sent.
    """
