"""What is known of a collection beside its points: `collection.json` in its folder, our own note."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
from qdrant_client import models

from embedded.qdrant.syncing import sync_folder
from embedded.qdrant.translate import unsupported

_FILE = "collection.json"


@dataclass(frozen=True)
class CollectionConfig:
    """What a collection was created with, and what was changed since; `distance`, `quantization` as REST spells them.

    Kept and told, and not followed: how vectors and payload are held, and quantization. Vectors and payload lie in
    files, of which the system holds in memory what there is room for.
    """

    dimension: int
    distance: str
    metadata: dict[str, Any]
    vectors_on_disk: bool = False
    payload_on_disk: bool = True
    quantization: dict[str, Any] | None = None

    def warnings(self) -> list[str]:
        """Say what is not followed."""
        said = []
        if self.vectors_on_disk or not self.payload_on_disk:
            said.append(
                "The embedded Qdrant reads vectors and payload from files, which the system holds in memory while "
                "there is room, whatever is set."
            )
        if self.quantization:
            said.append("The embedded Qdrant compares whole vectors: it does not quantize them.")
        return said

    @staticmethod
    def of(body: models.CreateCollection) -> "CollectionConfig":
        """Return what a collection is created with. Raises RequestError(400) for named vectors and sparse ones."""
        vectors = body.vectors
        if not isinstance(vectors, models.VectorParams) or body.sparse_vectors:
            raise unsupported("collections with named or sparse vectors")
        return CollectionConfig(
            vectors.size,
            vectors.distance.value,
            body.metadata or {},
            vectors_on_disk=bool(vectors.on_disk),
            payload_on_disk=body.on_disk_payload is not False,
            quantization=_quantization(body.quantization_config),
        )

    def changed(self, body: models.UpdateCollection) -> "CollectionConfig":
        """Return it with changes; metadata are added, replacing what has the same key. Raises RequestError(400)."""
        config = self
        if others := body.model_fields_set - {"metadata", "vectors", "params", "quantization_config"}:
            raise unsupported(f"changing {', '.join(sorted(others))} of a collection")
        if body.metadata is not None:
            config = replace(config, metadata={**config.metadata, **body.metadata})
        for name, vector in (body.vectors or {}).items():
            if name or vector.model_fields_set - {"on_disk"}:
                raise unsupported("changing anything of vectors but on_disk")
            config = replace(config, vectors_on_disk=bool(vector.on_disk))
        if body.params is not None:
            if body.params.model_fields_set - {"on_disk_payload"}:
                raise unsupported("changing anything of params but on_disk_payload")
            config = replace(config, payload_on_disk=body.params.on_disk_payload is not False)
        if body.quantization_config is not None:
            config = replace(config, quantization=_quantization(body.quantization_config))
        return config

    def described(self) -> dict[str, Any]:
        """Return it as REST tells it."""
        vectors = {"size": self.dimension, "distance": self.distance, "on_disk": self.vectors_on_disk}
        return {
            "params": {"vectors": vectors, "on_disk_payload": self.payload_on_disk},
            # The client requires these two; the values are Qdrant's defaults.
            "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000},
            "optimizer_config": {"default_segment_number": 0, "flush_interval_sec": 5},
            "quantization_config": self.quantization,
            "metadata": self.metadata,
        }

    @staticmethod
    def read(folder: Path) -> "CollectionConfig":
        """Read it from the folder of its collection."""
        return CollectionConfig(**orjson.loads((folder / _FILE).read_bytes()))

    def write(self, folder: Path) -> None:
        """Put it into the folder of its collection, where it is on disk when this returns."""
        temporary = folder / f"{_FILE}.new"
        with temporary.open("wb") as file:
            file.write(orjson.dumps(self))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / _FILE)
        sync_folder(folder)


def _quantization(found: models.QuantizationConfigDiff | None) -> dict[str, Any] | None:
    if found is None or isinstance(found, models.Disabled):
        return None
    kept: dict[str, Any] = found.model_dump(mode="json", exclude_none=True)
    return kept
