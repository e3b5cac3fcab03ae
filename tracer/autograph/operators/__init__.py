"""What converted code calls while it runs; a value that is no traced one always means what it means in Python."""

from .branching import branch, choose, guard, returned
from .calling import called
from .changes import changing, made
from .checking import assert_, raised
from .looping import each, goes_on
from .truth import and_, in_, not_, or_, truth
from .values import rows, settled, value

__all__ = [
    "and_",
    "assert_",
    "branch",
    "called",
    "changing",
    "choose",
    "each",
    "goes_on",
    "guard",
    "in_",
    "made",
    "not_",
    "or_",
    "raised",
    "returned",
    "rows",
    "settled",
    "truth",
    "value",
]
