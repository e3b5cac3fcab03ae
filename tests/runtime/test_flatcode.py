"""Images: machine code that a process maps without LLVM, the same as LLVM's own linker would load."""

import ctypes
import json
import mmap
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from graphjit.runtime import flatcode, machinecode, objectlinking, processor
from graphjit.runtime.errors import KernelError
from graphjit.runtime.kernelcache import load_kernel

pytestmark = pytest.mark.skipif(not flatcode.SUPPORTED, reason="LLVM's linker loads the code on this system")

COUNTING = """
@calls = internal global i64 40
@table = internal constant [4 x double] [double 1.5, double 2.5, double 3.5, double 4.5]
declare double @fmod(double, double)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

define i64 @entry(ptr %out, i64 %which, i64 %size) {
  %n = load i64, ptr @calls
  %next = add i64 %n, 1
  store i64 %next, ptr @calls
  call void @llvm.memset.p0.i64(ptr %out, i8 0, i64 %size, i1 false)
  %at = getelementptr double, ptr @table, i64 %which
  %x = load double, ptr %at
  %r = call double @fmod(double %x, double 2.0)
  store double %r, ptr %out
  ret i64 %next
}
"""
"""Has everything that an image may hold: code, constants, a variable, and calls of the C library."""


def object_file() -> bytes:
    """The object file that LLVM makes of it."""
    module = machinecode.parse(COUNTING)
    machinecode.optimize(module, "entry")
    return bytes(machinecode._target_machine().emit_object(module))


def call(address: int, which: int) -> tuple[int, list[float]]:
    """The function's result, and what it wrote."""
    out = np.ones(4)
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64)
    return kind(address)(out.ctypes.data, which, out.nbytes), out.tolist()


def test_an_image_runs() -> None:
    """Constants, variables and C functions are found, and every mapping has variables of its own."""
    image = objectlinking.linked(object_file(), "entry")
    assert image is not None and flatcode.is_image(image)
    first, second = flatcode.MappedCode(image), flatcode.MappedCode(image)
    assert [call(first.address, which) for which in range(3)] == [
        (41, [1.5, 0.0, 0.0, 0.0]),
        (42, [0.5, 0.0, 0.0, 0.0]),
        (43, [1.5, 0.0, 0.0, 0.0]),
    ]
    assert call(second.address, 3)[0] == 41


def test_llvm_loads_the_same() -> None:
    """Where an object file cannot become an image, LLVM's linker takes it as it is."""
    code = machinecode.LoadedCode(object_file(), "entry")
    assert call(code.address, 1) == (41, [0.5, 0.0, 0.0, 0.0])


def test_what_cannot_be_an_image() -> None:
    """Other formats, other entries, and relocations that are not known here are LLVM's business."""
    code = object_file()
    assert objectlinking.linked(b"\xcf\xfa\xed\xfe" + code[4:], "entry") is None
    assert objectlinking.linked(code, "another") is None
    strange = bytearray(code)
    (table,) = struct.unpack_from("<Q", code, 40)
    for number in range(*struct.unpack_from("<H", code, 60)):
        header = table + 64 * number
        if struct.unpack_from("<I", code, header + 4)[0] == 4:
            (offset,) = struct.unpack_from("<Q", code, header + 24)
            struct.pack_into("<I", strange, offset + 8, 9)
    assert objectlinking.linked(bytes(strange), "entry") is None


def test_code_is_not_writable() -> None:
    """Neither code nor constants can be written to, and what can be written to is not executed."""
    image = objectlinking.linked(object_file(), "entry")
    assert image is not None
    code = flatcode.MappedCode(image)
    start = code.address - json.loads(image.partition(b"\n")[0].split(b" ", 3)[3])["entry"]
    assert rights_at(code.address) == "r-xp"
    assert rights_at(start + mmap.PAGESIZE) == "rw-p"


def rights_at(address: int) -> str:
    """What may be done with the memory at an address."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, rights, *_rest = line.split()
        low, high = (int(bound, 16) for bound in span.split("-"))
        if low <= address < high:
            return rights
    return "unmapped"


def test_a_function_that_is_not_there() -> None:
    """An image that wants what the process does not have is an error of ours."""
    image = objectlinking.linked(object_file(), "entry")
    assert image is not None
    with pytest.raises(KernelError, match="could not be mapped"):
        flatcode.MappedCode(image.replace(b'"fmod"', b'"f??d"'))


def test_mapped_memory_is_given_back() -> None:
    """A thousand kernels that come and go leave no mapping behind."""
    image = objectlinking.linked(object_file(), "entry")
    assert image is not None
    before = len(Path("/proc/self/maps").read_text().splitlines())
    for _ in range(1000):
        flatcode.MappedCode(image)
    assert len(Path("/proc/self/maps").read_text().splitlines()) < before + 20


WARM = """
import sys
import numpy as np
import graphjit as gj

@gj.compile
def step(x, w):
    return gj.reduce_sum(gj.nn.softmax(gj.tanh(x @ w)), axis=0)

x = np.linspace(-1, 1, 64 * 20, dtype=np.float32).reshape(64, 20)
print(step(x, x[:20]).numpy().tobytes().hex()[:80], "llvmlite.binding" in sys.modules)
"""


def test_a_second_process_does_not_import_llvm(tmp_path: Path) -> None:
    """D15: kernels, the sequencer and matrix products come from the folder, and nothing asks LLVM."""
    environment = {**os.environ, "GRAPHJIT_CACHE_DIR": str(tmp_path)}
    lines = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", WARM], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        lines.append(done.stdout.split())
    assert lines[0][0] == lines[1][0]
    assert (lines[0][1], lines[1][1]) == ("True", "False")


def test_the_processor_is_known_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What LLVM said of the processor is read back; without a folder it is asked."""
    monkeypatch.setenv("GRAPHJIT_CACHE_DIR", str(tmp_path))
    try:
        processor.host.cache_clear()
        asked = processor.host()
        monkeypatch.setattr(processor, "_asked", lambda: pytest.fail("LLVM was asked again"))
        processor.host.cache_clear()
        assert processor.host() == asked and asked.cpu in (tmp_path / "processor").glob("*.json").__next__().read_text()
    finally:
        processor.host.cache_clear()


def test_kernels_are_images() -> None:
    """What the folder keeps of a kernel needs no LLVM to load."""
    kernel = load_kernel("def kernel(addresses, block, lo, hi):\n    return 0\n")
    assert isinstance(kernel._code, flatcode.MappedCode)
