"""Images by tags, folders and dates, images by their likeness, and tags by their images."""

from tagkin.errors import QueryError
from tagkin.similarity.collection import Collection
from tagkin.similarity.query import Query, parse_query
from tagkin.similarity.results import SimilarImage, SimilarResult, TagScore
from tagkin.similarity.searching import Searcher, learned_directions
from tagkin.similarity.vector_index import VectorIndex

__all__ = [
    "Collection",
    "Query",
    "QueryError",
    "Searcher",
    "SimilarImage",
    "SimilarResult",
    "TagScore",
    "VectorIndex",
    "learned_directions",
    "parse_query",
]
