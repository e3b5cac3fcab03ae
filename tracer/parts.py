"""What objects of the layers above are made of, as far as saving them is concerned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphjit.runtime.fields import dataclass, field


@dataclass(frozen=True)
class Parts:
    """What an object of a layer above is made of.

    Attributes:
      kind: how the layer knows it when it is read.
      facts: texts that belong to the kind.
      attributes: what hangs on it, by name.
    """

    kind: str
    facts: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)


__all__: list[str] = []
