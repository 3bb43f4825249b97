"""The client of the ML service, and what it gives."""

from gateways.ml.answers import Capabilities, Embedded, OfferedModel, Refused
from gateways.ml.client import ML
from gateways.ml.images import ImageInput
from gateways.ml.models import Arrival, Model, ModelsAnswer

__all__ = [
    "ML",
    "Arrival",
    "Capabilities",
    "Embedded",
    "ImageInput",
    "Model",
    "ModelsAnswer",
    "OfferedModel",
    "Refused",
]
