"""The base of settings that are kept with a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Settings that refuse unknown names, can't be changed, and print as a recipe.

    The recipe names only what differs from the defaults: ``TrainingSettings(max_epochs=5)``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, setting in type(self).model_fields.items():
            value = getattr(self, name)
            if setting.is_required() or value != setting.get_default(call_default_factory=True):
                yield name, value
