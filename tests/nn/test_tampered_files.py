"""Files that somebody changed: an error that says file and fault, or the same as before; never anything else (K1)."""

from __future__ import annotations

import json
import random
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tampering import changed_document, flipped, places, seal, write_document, write_text

import graphjit as gj
from graphjit.tracer.storing.arrayfile import read_arrays, write_arrays

keras = gj.keras
_X = np.linspace(-1, 1, 8).reshape(2, 4).astype("f")
_MOST_KIBIBYTES = 1 << 18
"""What reading all of these files, which have some kilobytes, may take at most."""


class Small(gj.Module):
    """Something of everything, and little of it."""

    def __init__(self) -> None:
        self.w = gj.Variable(np.ones((4, 3), "f"), name="w")
        self.stream = gj.random.Generator.from_seed(3)
        self.kept = {"list": [self.w, (1, gj.constant([1.0]))], 2: None}

    @gj.compile
    def run(self, pair: Any, rate: float, variable: Any) -> Any:
        variable.assign_add(rate)
        drawn = self.stream.uniform([], 0, 1)
        chosen = gj.cond(drawn < 0.5, lambda: gj.reduce_sum(pair["x"] @ self.w), lambda: variable * 2.0)
        return {"result": chosen, "word": "text"}

    @gj.compile(input_signature=[gj.TensorSpec([None, 4], gj.float32)])
    def soft(self, x: Any) -> Any:
        return gj.nn.softmax(x @ self.w)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved module."""
    module = Small()
    module.run({"x": _X}, 0.5, gj.Variable(1.0))
    gj.save(module, tmp_path / "m", signatures=module.soft)
    return tmp_path / "m"


def seed() -> int:
    """A new one each time, which is printed."""
    found = random.randrange(2**32)
    print("seed", found)
    return found


def described(folder: Path) -> tuple[Any, ...]:
    """What was loaded, as far as it can be compared."""
    again = gj.load(folder)
    results = again.run({"x": _X}, 0.5, gj.Variable(1.0)), again.signatures["serving_default"](_X)
    numbers = [np.asarray(one).tobytes() for one in (results[0]["result"], results[1], *again.variables)]
    return numbers, sorted(vars(again)), again.kept[2], again.run.pretty_printed_concrete_signatures(False)


@pytest.fixture(autouse=True)
def bounded_memory() -> Iterator[None]:
    """However large the numbers in a file are."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < _MOST_KIBIBYTES


def read_or_refused(path: Path, read: Callable[[Path], Any]) -> Any:
    """What `read` gives, None where it is refused as it should be."""
    try:
        return read(path)
    except gj.errors.FormatError as error:
        assert str(path) in str(error), error
        return None


def test_changed_bytes_are_noticed(folder: Path) -> None:
    """400 times bits flipped, bytes replaced, cut off, put in, in any file of the folder: refused, or the same."""
    chance = random.Random(seed())
    wanted = described(folder)
    contents = {path: path.read_bytes() for path in folder.iterdir()}
    refused = 0
    for _ in range(400):
        path = chance.choice(sorted(contents))
        path.write_bytes(flipped(contents[path], chance))
        found = read_or_refused(folder, described)
        assert found is None or found == wanted
        refused += found is None
        path.write_bytes(contents[path])
    assert refused > 300


def test_changed_statements_are_checked(folder: Path) -> None:
    """300 times something in the JSON left out, doubled, exchanged or made nasty, with checksums that fit again.

    What is still a module may say something else; then it loads, and running it raises nothing but our errors.
    """
    chance = random.Random(seed())
    document = json.loads((folder / "module.json").read_text())
    refused = 0
    for _ in range(300):
        write_document(folder, changed_document(document, chance))
        refused += read_or_refused(folder, gj.load) is None
    assert refused > 150


def _deep(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


WRONG_TEXTS: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"\xff\xfe",
    "nested": _deep(100_000),
    "nested in place": b'{"objects": ' + _deep(100_000) + b', "root": 0, "signatures": {}}',
    "twice": b'{"objects": [], "objects": [], "root": 0, "signatures": {}}',
    "NaN": b'{"objects": [], "root": NaN, "signatures": {}}',
    "more": b'{"objects": [], "root": 0, "signatures": {}, "run": "rm -rf /"}',
    "a long number": b'{"objects": [], "root": ' + b"9" * 10_000 + b', "signatures": {}}',
    "a list": b"[]",
}


@pytest.mark.parametrize("name", WRONG_TEXTS)
def test_wrong_texts_are_refused(name: str, folder: Path) -> None:
    write_text(folder, WRONG_TEXTS[name])
    assert read_or_refused(folder, gj.load) is None


def replaced(document: Any, old: Any, new: Any) -> int:
    """Put something in the place of every part that is equal to it; how often."""
    hits = [(holder, key) for holder, key in places(document) if holder[key] == old]
    for holder, key in hits:
        holder[key] = new
    return len(hits)


WRONG_STATEMENTS: dict[str, tuple[Any, Any, str]] = {
    "an unknown op": ("reduce_sum", "system", "there is no op named 'system'"),
    "an op of passes": ("reduce_sum", "fused", "fused"),
    "a huge type": ("f32[2,4]", "f32[2,999999999999999999]", "is filled by something else|does not take"),
    "a negative size": ("f32[2,4]", "f32[2,-4]", "is no size"),
    "another dtype": ("f32[4,3]", "f64[4,3]", "filled by something else|does not take|makes"),
    "an unknown dtype": ("f32[2,4]", "pickle[2,4]", "is no dtype"),
    "another kind": ("module", "subprocess", "no kind of object"),
    "another backend": ("jit", "cuda", "are no options"),
}


@pytest.mark.parametrize("name", WRONG_STATEMENTS)
def test_wrong_statements_are_refused(name: str, folder: Path) -> None:
    old, new, message = WRONG_STATEMENTS[name]
    document = json.loads((folder / "module.json").read_text())
    assert replaced(document, old, new)
    write_document(folder, document)
    with pytest.raises(gj.errors.FormatError, match=message):
        gj.load(folder)


def _name_of_w(folder: Path) -> str:
    arrays, _ = read_arrays(folder / "arrays.safetensors")
    return next(name for name in arrays if name.endswith("w:0"))


def _arrays(folder: Path, change: Callable[[dict[str, Any], str], Any]) -> None:
    arrays, _ = read_arrays(folder / "arrays.safetensors")
    change(arrays, _name_of_w(folder))
    write_arrays(folder / "arrays.safetensors", arrays)
    seal(folder)


WRONG_ARRAYS: dict[str, tuple[Callable[[dict[str, Any], str], Any], str]] = {
    "missing": (lambda arrays, w: arrays.pop(w), "there is no array '. w:0'"),
    "surplus": (lambda arrays, w: arrays.update(more=np.ones(3)), "nothing uses the array 'more'"),
    "another shape": (lambda arrays, w: arrays.update({w: np.ones((4, 4), "f")}), "a variable of shape"),
    "another dtype": (lambda arrays, w: arrays.update({w: np.ones((4, 3))}), "is filled by something else"),
}


def test_names_of_arrays_are_no_paths(folder: Path) -> None:
    document = json.loads((folder / "module.json").read_text())
    assert replaced(document, _name_of_w(folder), "../../w")
    write_document(folder, document)
    with pytest.raises(gj.errors.FormatError, match=r"there is no array '\.\./\.\./w'"):
        gj.load(folder)


@pytest.mark.parametrize("name", WRONG_ARRAYS)
def test_wrong_arrays_are_refused(name: str, folder: Path) -> None:
    change, message = WRONG_ARRAYS[name]
    _arrays(folder, change)
    with pytest.raises(gj.errors.FormatError, match=message):
        gj.load(folder)


@pytest.mark.parametrize("name", ["header.json", "module.json", "arrays.safetensors"])
def test_missing_files_are_named(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(gj.errors.FormatError, match=name.replace(".", r"\.")):
        gj.load(folder)


def test_other_versions_are_named(folder: Path) -> None:
    header = json.loads((folder / "header.json").read_text())
    (folder / "header.json").write_text(json.dumps({**header, "version": 2}))
    with pytest.raises(gj.errors.FormatError, match="version 2; version 1 can be read"):
        gj.load(folder)


@pytest.mark.parametrize(
    "wrong", [["SystemExit", []], ["eval", ['"1"']], ["UnicodeDecodeError", ["1"]], 3, ["ValueError"]]
)
def test_errors_of_other_classes_are_refused(wrong: Any, tmp_path: Path) -> None:
    """What a loaded graph raises is an error of Python's or ours, never anything else that has a name."""

    @gj.compile
    def f(x: Any) -> Any:
        assert x > 0, "no"
        return x

    f(gj.constant(1.0))
    gj.save(f, tmp_path / "m")
    document = json.loads((tmp_path / "m" / "module.json").read_text())
    assert replaced(document, ["AssertionError", ['"no"']], wrong)
    write_document(tmp_path / "m", document)
    with pytest.raises(gj.errors.FormatError, match=r"error|class"):
        gj.load(tmp_path / "m")


def test_a_graph_that_prints_into_a_file_is_refused(tmp_path: Path) -> None:
    """A loaded function writes nowhere but to the standard streams."""

    @gj.compile
    def f(x: Any) -> Any:
        gj.print("x", x)
        return x

    f(1.0)
    gj.save(f, tmp_path / "m")
    document = json.loads((tmp_path / "m" / "module.json").read_text())
    assert replaced(document, '"stderr"', f'"file://{tmp_path}/planted"')
    write_document(tmp_path / "m", document)
    with pytest.raises(gj.errors.FormatError, match="prints into a file"):
        gj.load(tmp_path / "m")


# --- one file: models, weights, checkpoints


def _model() -> Any:
    return keras.Sequential([keras.layers.Dense(3, "elu", input_shape=(4,)), keras.layers.Dense(1)])


def _saved_model(path: Path) -> None:
    model = _model()
    model.compile("adam", "mse")
    model.fit(_X, _X[:, :1], verbose=0)
    model.save(path)


def _weights(path: Path) -> list[bytes]:
    _TARGET.load_weights(path)
    return [one.tobytes() for one in _TARGET.get_weights()]


def _checkpoint(path: Path) -> list[bytes]:
    gj.Checkpoint(model=_TARGET).restore(path).assert_consumed()
    return [one.tobytes() for one in _TARGET.get_weights()]


_TARGET = _model()

FILES: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Any]]] = {
    "model": (_saved_model, lambda path: keras.models.load_model(path).predict(_X, verbose=0).tobytes()),
    "weights": (lambda path: _model().save_weights(path), _weights),
    "checkpoint": (lambda path: gj.Checkpoint(model=_model()).write(path), _checkpoint),
}


@pytest.mark.parametrize("name", FILES)
def test_changed_files_of_one_kind_are_noticed(name: str, tmp_path: Path) -> None:
    """100 times each, whatever byte is changed: refused, or the same."""
    chance = random.Random(seed())
    write, read = FILES[name]
    path = tmp_path / "file"
    write(path)
    content, wanted = path.read_bytes(), read(path)
    refused = 0
    for _ in range(100):
        path.write_bytes(flipped(content, chance))
        found = read_or_refused(path, read)
        assert found is None or found == wanted
        refused += found is None
    assert refused > 60


def _described_models(path: Path) -> Iterator[Any]:
    from safetensors import safe_open

    with safe_open(str(path), framework="numpy") as file:
        yield json.loads(file.metadata()["graphjit"])


def test_changed_descriptions_of_models_are_checked(tmp_path: Path) -> None:
    """200 times something in a model's description changed, with a checksum that fits: our errors, or a model."""
    chance = random.Random(seed())
    path = tmp_path / "file"
    _saved_model(path)
    (document,) = _described_models(path)
    arrays, _ = read_arrays(path)
    for _ in range(200):
        write_arrays(path, arrays, json.dumps(changed_document(document, chance)))
        try:
            read_or_refused(path, keras.models.load_model)
        except gj.errors.NotFoundError as error:
            assert "custom_objects" in str(error)  # the name of a class may be that of the user's own


HUGE = {"units": ('"units": 3', '"units": 2147483647'), "input": ("[null, 4]", "[null, 1099511627776]")}


@pytest.mark.parametrize("name", HUGE)
def test_huge_models_are_refused_before_memory_is_taken(name: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    _saved_model(path)
    (document,) = _described_models(path)
    arrays, _ = read_arrays(path)
    old, new = HUGE[name]
    assert old in json.dumps(document)
    write_arrays(path, arrays, json.dumps(document).replace(old, new))
    with pytest.raises(gj.errors.FormatError, match="file"):
        keras.models.load_model(path)
