"""How a collection is kept in Qdrant: what of it lies on disk alone, and whether vectors are compared in eight bits.

Qdrant rebuilds what it has where this is changed, in the background, and answers meanwhile.
"""

from typing import Any

from qdrant_client import models

from gateways.qdrant.records import Storage

_QUANTILE = 0.99
"""Share of the numbers of vectors that eight bits span: those beyond would take the accuracy of all others. As Qdrant's
guide to quantization has it."""

RESCORED = models.SearchParams(quantization=models.QuantizationSearchParams(rescore=True))
"""Every search by a vector: what eight bits find is compared by whole vectors. Without quantization it says nothing."""


def as_created(storage: Storage, dimension: int, distance: models.Distance) -> dict[str, Any]:
    """Return what a new collection is created with."""
    return {
        "vectors_config": models.VectorParams(size=dimension, distance=distance, on_disk=storage.vectors_on_disk),
        "on_disk_payload": storage.payload_on_disk,
        "quantization_config": _quantization(storage),
    }


def as_changed(storage: Storage) -> dict[str, Any]:
    """Return what a collection is updated with."""
    return {
        "vectors_config": {"": models.VectorParamsDiff(on_disk=storage.vectors_on_disk)},
        "collection_params": models.CollectionParamsDiff(on_disk_payload=storage.payload_on_disk),
        "quantization_config": _quantization(storage) or models.Disabled.DISABLED,
    }


def storage_of(info: models.CollectionInfo, vectors: models.VectorParams) -> Storage:
    """Return how a collection is kept, whoever made it."""
    params = info.config.params
    payload = params.payload.memory if params.payload else None
    quantization = vectors.quantization_config or info.config.quantization_config
    return Storage(
        vectors_on_disk=_is_cold(vectors.memory, otherwise=bool(vectors.on_disk)),
        payload_on_disk=_is_cold(payload, otherwise=params.on_disk_payload is not False),
        quantization=_named(quantization),
        warnings=tuple(one.message for one in info.warnings or ()),
    )


def _quantization(storage: Storage) -> models.ScalarQuantization | None:
    if storage.quantization == "none":
        return None
    # In memory in any case: to find candidates on disk would be slower than without.
    scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=_QUANTILE, always_ram=True)
    return models.ScalarQuantization(scalar=scalar)


def _is_cold(memory: models.Memory | None, *, otherwise: bool) -> bool:
    return otherwise if memory is None else memory is models.Memory.COLD


def _named(quantization: models.QuantizationConfig | None) -> str:
    match quantization:
        case None:
            return "none"
        case models.ScalarQuantization():
            return quantization.scalar.type.value
    return type(quantization).__name__.removesuffix("Quantization").lower()
