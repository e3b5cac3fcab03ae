"""Read a function at every stage: what was traced, what the passes made of it, the kernels, the machine code."""

from __future__ import annotations

import numpy as np

import graphjit as gj


@gj.compile
def attention(queries, keys, values):
    """Scaled dot-product attention of one head; all arguments have shape (tokens, width)."""
    width = queries.shape[-1]
    scores = queries @ gj.transpose(keys) / float(np.sqrt(width))
    weights = gj.nn.softmax(scores)
    return weights @ values


def main() -> None:
    rng = np.random.default_rng(0)
    queries, keys, values = (rng.standard_normal((32, 16)).astype(np.float32) for _ in range(3))
    attention(queries, keys, values)

    for stage in ("traced", "optimized", "kernels"):
        print(f"--- {stage} ---")
        print(attention.dump(stage))
    machine_code = attention.dump("asm")
    lines = [line.strip() for line in machine_code.splitlines()]
    packed = [line for line in lines if "%zmm" in line or "%ymm" in line]
    print(f"--- asm --- ({len(lines)} lines, {len(packed)} with packed floats, the first three)")
    print("\n".join(packed[:3]))
    print("--- report ---")
    print(attention.report())
    print("--- DOT, for graphviz ---")
    print(attention.dump("optimized", format="dot"))


if __name__ == "__main__":
    main()
