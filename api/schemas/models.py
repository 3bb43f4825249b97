"""What the service says of the models that it can fetch and use."""

from pydantic import BaseModel, Field

from gateways.ml import Arrival, Model


class Models(BaseModel):
    """Which models there are, as far as they can be fetched and used from here."""

    offered: bool = Field(description="Whether they can: where the ML service is Darkroom's own, and free to choose.")
    reason: str | None = Field(description="Why they cannot, and what to do.")
    default: str | None = Field(description="The name of the one to begin with.")
    models: list[Model]
    arrival: Arrival | None = Field(description="The model on its way, or the last one that was.")
    loading: str | None = Field(description="The name of the model that is about to take over.")
