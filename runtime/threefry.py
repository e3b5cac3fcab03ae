"""Threefry-2x32 with 20 rounds: 64 random bits for each pair of a key and a counter.

The generator is Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
1, 2, 3" (2011); it keeps no state, so any element can be computed on its own. It stands
here twice, in NumPy and as LLVM IR for kernels, from the same constants.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

_ROTATIONS: Final = ((13, 15, 26, 6), (17, 29, 16, 24))
_GROUPS: Final = 5  # of four rounds each
_PARITY: Final = 0x1BD11BDA
_MASK: Final = np.uint64(0xFFFFFFFF)
_HALF: Final = np.uint64(32)


def _halves(word: Any) -> tuple[Any, Any]:
    return (word & _MASK).astype(np.uint32), (word >> _HALF).astype(np.uint32)


def _mix(x0: Any, x1: Any, spare: Any, count: int) -> None:
    """One round, in place: no array is allocated, which is most of the time that NumPy takes."""
    np.add(x0, x1, out=x0)
    np.left_shift(x1, np.uint32(count), out=spare)
    np.right_shift(x1, np.uint32(32 - count), out=x1)
    np.bitwise_or(x1, spare, out=x1)
    np.bitwise_xor(x1, x0, out=x1)


def threefry(key: Any, counter: Any) -> Any:
    """64 random bits for each key and counter, all of them uint64; the shapes broadcast.

    >>> hex(threefry(np.uint64([0]), np.uint64([0]))[0])
    '0x99ba4efe6b200159'
    """
    k0, k1 = _halves(key)
    keys = (k0, k1, k0 ^ k1 ^ np.uint32(_PARITY))
    low, high = _halves(counter)
    x0, x1 = np.asarray(low + k0), np.asarray(high + k1)
    spare = np.empty_like(x0)
    for group in range(_GROUPS):
        for count in _ROTATIONS[group % 2]:
            _mix(x0, x1, spare, count)
        np.add(x0, keys[(group + 1) % 3], out=x0)
        np.add(x1, keys[(group + 2) % 3] + np.uint32(group + 1), out=x1)
    words = x1.astype(np.uint64)
    np.left_shift(words, _HALF, out=words)
    return np.bitwise_or(words, x0, out=words)[()]


def threefry_body() -> str:
    """The same as the body of an LLVM function of the key `%a` and the counter `%b`."""
    lines = [
        "%k0 = trunc i64 %a to i32", "%k1.wide = lshr i64 %a, 32", "%k1 = trunc i64 %k1.wide to i32",
        "%k01 = xor i32 %k0, %k1", f"%k2 = xor i32 %k01, {_PARITY}",
        "%c0 = trunc i64 %b to i32", "%c1.wide = lshr i64 %b, 32", "%c1 = trunc i64 %c1.wide to i32",
        "%x0 = add i32 %c0, %k0", "%x1 = add i32 %c1, %k1",
    ]  # fmt: skip
    x0, x1 = "%x0", "%x1"
    for group in range(_GROUPS):
        for position, count in enumerate(_ROTATIONS[group % 2]):
            x0, x1 = _round(lines, f"{group}.{position}", x0, x1, count)
        x0, x1 = _injection(lines, group, x0, x1)
    lines += [
        f"%low = zext i32 {x0} to i64", f"%high = zext i32 {x1} to i64",
        "%moved = shl i64 %high, 32", "%r = or i64 %low, %moved", "ret i64 %r",
    ]  # fmt: skip
    return "".join(f"  {line}\n" for line in lines)


def _round(lines: list[str], name: str, x0: str, x1: str, count: int) -> tuple[str, str]:
    lines += [
        f"%s{name} = add i32 {x0}, {x1}",
        f"%t{name} = call i32 @llvm.fshl.i32(i32 {x1}, i32 {x1}, i32 {count})",
        f"%u{name} = xor i32 %t{name}, %s{name}",
    ]
    return f"%s{name}", f"%u{name}"


def _injection(lines: list[str], group: int, x0: str, x1: str) -> tuple[str, str]:
    lines += [
        f"%i{group} = add i32 {x0}, %k{(group + 1) % 3}",
        f"%j{group} = add i32 {x1}, %k{(group + 2) % 3}",
        f"%l{group} = add i32 %j{group}, {group + 1}",
    ]
    return f"%i{group}", f"%l{group}"
