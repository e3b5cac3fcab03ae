"""The op that moves elements into a buffer of their own."""

from __future__ import annotations

import numpy as np

from ..families import elementwise_examples, infer_elementwise
from ..op import Kind, Op, declare

copy_op = declare(
    Op(
        name="copy",
        kind=Kind.ELEMENTWISE,
        infer=infer_elementwise("biufc", None),
        numpy=np.copy,
        kernel="{0}",
        gradient=[lambda g, y, x: g],
        examples=elementwise_examples(1, "biuf", (-4.0, 4.0)),
        dtypes="biuf",
        doc="The same elements in a contiguous buffer of their own.",
    )
)
