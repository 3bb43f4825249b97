"""The client of the ML service, and what it gives."""

from gateways.ml.answers import Capabilities, Embedded, Refused
from gateways.ml.client import ML, ImageInput

__all__ = ["ML", "Capabilities", "Embedded", "ImageInput", "Refused"]
