"""Kernels are compiled once per computer, and no damaged entry harms a call."""

import json
import logging
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphjit.runtime import kernelcache
from graphjit.runtime.cachefolder import CacheFolder
from graphjit.runtime.kernelcache import identity_of, kernel_counters, load_kernel, normalized

TEXT = '''\
def kernel(addresses, block, lo, hi):
    """Doubles."""
    x = float32_at(addresses, block[0], 0)  # model.py:12  y = 2 * x
    out = float32_at(addresses, block[1], 1)
    for i in range(lo, hi):
        out[i] = x[i] * float32(2.0)
    return 0
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty kernel folder, and a process that has loaded nothing yet."""
    monkeypatch.setenv("GRAPHJIT_CACHE_DIR", str(tmp_path))
    kernelcache._store.cache_clear()
    yield tmp_path / "kernels"
    kernelcache._store.cache_clear()


def entry_of(folder: Path) -> Path:
    """The only entry of a folder."""
    (entry,) = folder.glob("*.kernel")
    return entry


def restart() -> None:
    """Forget what this process has loaded, as a new process would."""
    kernelcache._store.cache_clear()


def test_comments_do_not_change_identity() -> None:
    """Users' lines and docstrings in a text decide nothing; everything else does."""
    assert identity_of(TEXT) == identity_of(TEXT.replace("model.py:12", "other.py:99"))
    assert identity_of(TEXT) == identity_of(TEXT.replace('    """Doubles."""\n', "\n\n"))
    assert identity_of(TEXT) != identity_of(TEXT.replace("2.0", "3.0"))
    assert "#" not in normalized(TEXT) and "Doubles" not in normalized(TEXT)


def test_compiled_then_shared_then_loaded(folder: Path) -> None:
    """The first ask compiles, the next in the process shares, a new process loads."""
    first = load_kernel(TEXT, "double")
    assert first.origin == "compiled" and first.compile_ms > 0
    assert load_kernel(TEXT) is first
    restart()
    second = load_kernel(TEXT)
    assert second is not first and second.origin == "loaded" and second.compile_ms == 0
    assert kernel_counters() == kernelcache.KernelCounters(loaded=1)
    assert second.llvm() == first.llvm() and "define" in second.llvm()
    assert "ret" in second.assembly()
    assert entry_of(folder).with_suffix(".py").read_text() == TEXT


def test_a_kernel_is_freed_with_its_last_user(folder: Path) -> None:
    """The process keeps no kernel that nobody holds."""
    kernel = load_kernel(TEXT)
    del kernel
    assert load_kernel(TEXT).origin == "loaded"


def test_kernels_come_and_go(folder: Path) -> None:
    """Loading and dropping beyond what one JIT session takes works, and the process does not grow."""
    load_kernel(TEXT)
    for _ in range(200):
        assert load_kernel(TEXT).origin == "loaded"


def damage_truncated(content: bytes) -> bytes:
    """As after a full disk."""
    return content[: len(content) // 2]


def damage_bit(content: bytes) -> bytes:
    """One bit of the machine code."""
    place = len(content) - 10
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


def damage_header(content: bytes) -> bytes:
    """One bit of the header."""
    return bytes([content[0] ^ 1]) + content[1:]


def damage_empty(content: bytes) -> bytes:
    """Nothing there."""
    return b""


def damage_foreign(content: bytes) -> bytes:
    """Somebody else's file."""
    return b"\x80\x04\x95import os\n" * 50


def damage_sizes(content: bytes) -> bytes:
    """A header that lies about the sizes."""
    head, _, rest = content.partition(b"\n")
    header = json.loads(head)
    header["sizes"] = [-1, len(rest) + 1]
    return json.dumps(header).encode() + b"\n" + rest


def damage_name(content: bytes) -> bytes:
    """Another kernel's entry under this name."""
    head, _, rest = content.partition(b"\n")
    header = json.loads(head)
    header["name"] = "0" * 64
    return json.dumps(header).encode() + b"\n" + rest


@pytest.mark.parametrize(
    "damage",
    [
        damage_truncated,
        damage_bit,
        damage_header,
        damage_empty,
        damage_foreign,
        damage_sizes,
        damage_name,
    ],
)
def test_damage_is_a_miss_and_one_warning(folder: Path, caplog: pytest.LogCaptureFixture, damage: "object") -> None:
    """D15: whatever is wrong with an entry, the kernel is compiled again and the entry is good again."""
    load_kernel(TEXT)
    entry = entry_of(folder)
    assert callable(damage)
    entry.write_bytes(damage(entry.read_bytes()))
    restart()
    with caplog.at_level(logging.WARNING, "graphjit"):
        assert load_kernel(TEXT).origin == "compiled"
    assert len(caplog.records) == 1
    restart()
    assert load_kernel(TEXT).origin == "loaded"


def test_code_that_cannot_be_linked_is_a_miss(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An entry with a right checksum over wrong machine code is compiled again too."""
    load_kernel(TEXT)
    identity = identity_of(TEXT)
    CacheFolder(folder).store(identity, [b"no machine code", b""], TEXT)
    restart()
    with caplog.at_level(logging.WARNING, "graphjit"):
        assert load_kernel(TEXT).origin == "compiled"
    assert len(caplog.records) == 1


def test_an_unreadable_entry_is_a_miss(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An entry that is a folder cannot be read, and not replaced either: still no exception."""
    load_kernel(TEXT)
    entry = entry_of(folder)
    entry.unlink()
    entry.mkdir()
    restart()
    with caplog.at_level(logging.WARNING, "graphjit"):
        assert load_kernel(TEXT).origin == "compiled"
    assert len(caplog.records) == 1


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners and modes here")
class TestFolder:
    """Machine code is taken from no folder that others can write to."""

    def test_is_made_private(self, folder: Path) -> None:
        """A new folder is 0700."""
        load_kernel(TEXT)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_open_to_others(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        """A folder that others may write to is not used, with one warning."""
        folder.mkdir(mode=0o700)
        folder.chmod(0o777)
        with caplog.at_level(logging.WARNING, "graphjit"):
            kernels = [load_kernel(TEXT), load_kernel(TEXT.replace("2.0", "3.0"))]
        assert [kernel.origin for kernel in kernels] == ["compiled"] * 2
        assert len(caplog.records) == 1 and "chmod 700" in caplog.text
        assert not list(folder.iterdir())

    def test_of_another_user(
        self, folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A folder of somebody else is not used, with one warning."""
        folder.mkdir(mode=0o700)
        monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
        with caplog.at_level(logging.WARNING, "graphjit"):
            assert load_kernel(TEXT).origin == "compiled"
        assert len(caplog.records) == 1 and "another user" in caplog.text

    def test_that_cannot_be_made(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A folder below a file cannot be: kernels are not kept, with one warning."""
        blocker = tmp_path / "file"
        blocker.write_text("")
        monkeypatch.setenv("GRAPHJIT_CACHE_DIR", str(blocker / "below"))
        restart()
        with caplog.at_level(logging.WARNING, "graphjit"):
            assert load_kernel(TEXT).origin == "compiled"
        restart()
        assert len(caplog.records) == 1


def test_turned_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`GRAPHJIT_CACHE=0` writes nothing."""
    monkeypatch.setenv("GRAPHJIT_CACHE", "0")
    assert load_kernel(TEXT).origin == "compiled"
    assert not folder.exists()


def test_bounded(tmp_path: Path) -> None:
    """Beyond the limit the entries that were not used for longest go, with their texts."""
    cache = CacheFolder(tmp_path / "small", limit=40_000)
    for number in range(32):
        cache.store(f"entry{number}", [bytes(2_000)], "text")
        for ending in ("kernel", "py"):
            os.utime(tmp_path / "small" / f"entry{number}.{ending}", (number, number))
    cache.trim()
    left = sorted(path.name for path in (tmp_path / "small").iterdir())
    assert sum(path.stat().st_size for path in (tmp_path / "small").iterdir()) <= 40_000
    assert "entry31.kernel" in left and "entry31.py" in left
    assert "entry0.kernel" not in left and "entry0.py" not in left


def test_many_threads_share_one_kernel(folder: Path) -> None:
    """Threads that ask at once get one kernel, compiled once."""
    found = []
    threads = [threading.Thread(target=lambda: found.append(load_kernel(TEXT))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len({id(kernel) for kernel in found}) == 1
    assert kernel_counters().compiled == 1


def in_new_process(folder: Path, program: str) -> str:
    """What a program prints in a process of its own."""
    environment = {**os.environ, "GRAPHJIT_CACHE_DIR": str(folder.parent)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


ASK = f"""
import sys
from graphjit.runtime.kernelcache import load_kernel
kernel = load_kernel({TEXT!r})
kernel.assembly()
print(kernel.origin, "numba" in sys.modules)
"""


def test_compiling_imports_no_numba(folder: Path) -> None:
    """D15: Numba is imported neither to compile a kernel nor to load one."""
    assert in_new_process(folder, ASK) == "compiled False"
    assert in_new_process(folder, ASK) == "loaded False"


def test_numba_compiles_where_it_is_asked_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment variable chooses; each compiler has entries of its own, and a warm start imports neither."""
    assert in_new_process(folder, ASK) == "compiled False"
    monkeypatch.setenv("GRAPHJIT_KERNEL_COMPILER", "numba")
    assert in_new_process(folder, ASK) == "compiled True"
    assert in_new_process(folder, ASK) == "loaded False"


def test_concurrent_processes(folder: Path) -> None:
    """Processes that write one entry at once leave a good one, and nothing half-written."""
    environment = {**os.environ, "GRAPHJIT_CACHE_DIR": str(folder.parent)}
    running = [subprocess.Popen([sys.executable, "-c", ASK], env=environment) for _ in range(4)]
    assert [process.wait() for process in running] == [0] * 4
    assert not list(folder.glob("*.part"))
    assert load_kernel(TEXT).origin == "loaded"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork_while_another_thread_compiles(folder: Path) -> None:
    """D14: a forked child may ask for kernels though a thread of its parent held the locks."""
    program = f"""
import os, threading, warnings
warnings.simplefilter("ignore")
from graphjit.runtime import kernelcache
text = {TEXT!r}
kernelcache.load_kernel(text)
def compile_many():
    for k in range(5):
        kernelcache.load_kernel(text.replace("2.0", f"{{k}}.25"))
thread = threading.Thread(target=compile_many)
thread.start()
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        os._exit(0 if kernelcache.load_kernel(text).origin == "loaded" else 1)
    children.append(child)
thread.join()
print([os.waitpid(child, 0)[1] for child in children])
"""
    assert in_new_process(folder, program) == "[0, 0, 0]"
