"""Every workload, by name, in the order of the table."""

from __future__ import annotations

from benchmarks.workload import Workload
from benchmarks.workloads import elementwise, gradients, loops, losses, products, rows, small, training

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        *elementwise.WORKLOADS,
        *rows.WORKLOADS,
        *losses.WORKLOADS,
        *training.WORKLOADS,
        *products.WORKLOADS,
        *small.WORKLOADS,
        *gradients.WORKLOADS,
        *loops.WORKLOADS,
    )
}


def chosen(names: list[str]) -> list[Workload]:
    """The workloads of these names; a name that is none stands for all that begin with it.

    Raises:
      KeyError: if no workload begins with a name.
    """
    found: dict[str, Workload] = {}
    for name in names:
        matching = [name] if name in WORKLOADS else [known for known in WORKLOADS if known.startswith(name)]
        if not matching:
            raise KeyError(f"no workload is called {name!r}; there are {', '.join(WORKLOADS)}")
        found |= {known: WORKLOADS[known] for known in matching}
    return [workload for name, workload in WORKLOADS.items() if name in found]
