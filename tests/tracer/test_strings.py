"""String tensors: byte strings in eager mode and in compiled functions."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from bothways import both_ways

import graphjit as gj
from graphjit.compiler.backends.reference import run_reference
from graphjit.compiler.dump.interchange import graph_from_json, graph_to_json
from graphjit.compiler.dump.text import parse_graph

WORDS = ["", "hello", "Straße", "café", "a b  c", "-1.5", "naïve\n"]


def _texts(tensor: Any) -> list[str]:
    return [one.decode() for one in tensor.numpy().tolist()]


def test_h1_strings_are_bytes() -> None:
    """H1, H2: text becomes UTF-8, `.numpy()` gives bytes as in TensorFlow, and printing shows them."""
    assert gj.constant(b"hello world").numpy() == b"hello world"
    word = gj.constant("café")
    assert repr(word) == r"<gj.Tensor: shape=(), dtype=string, numpy=b'caf\xc3\xa9'>"
    assert str(gj.constant(["a", "b"])) == "gj.Tensor([b'a' b'b'], shape=(2,), dtype=string)"
    assert word.dtype is gj.string and gj.as_dtype(str) is gj.string and word.dtype == "string"


def test_article_unicode() -> None:
    """The strings of the article: code points, lengths in characters, encoding and decoding."""

    def f(u: Any) -> Any:
        codes = gj.strings.unicode_decode(u, "UTF-8")
        return (
            codes,
            gj.strings.length(u, unit="UTF8_CHAR"),
            gj.strings.length(u),
            gj.strings.unicode_encode(codes, "UTF-8"),
        )

    codes, characters, count, word = both_ways(f, gj.constant("café"))
    assert codes.numpy().tolist() == [ord(c) for c in "café"]
    assert (int(characters), int(count), word.numpy().decode()) == (4, 5, "café")


@pytest.mark.parametrize(
    "array",
    [np.array(["a", "é"]), np.array([b"a", "é".encode()]), np.array(["a", "é"], object)],
    ids=["U", "S", "O"],
)
def test_a3_arrays_of_strings(array: Any) -> None:
    """A3: every kind of array of strings is a string tensor, also as an argument."""
    assert gj.constant(array).numpy().tolist() == [b"a", "é".encode()]
    f = gj.compile(lambda x: x + "!")
    for _ in range(3):
        assert f(array).numpy().tolist() == [b"a!", "é!".encode()]
    assert f.trace_count == 1


def test_a4_python_strings_stay_python() -> None:
    """A4: a string argument is a Python value, part of the signature."""

    @gj.compile
    def f(x: Any, mode: str) -> Any:
        assert isinstance(mode, str)
        return x * 2 if mode == "double" else x

    assert (int(f(gj.constant(2), "double")), int(f(gj.constant(2), "same")), f.trace_count) == (4, 2, 2)


def test_bytes_keep_zeros_at_their_ends() -> None:
    """NumPy's own strings would lose them."""
    assert gj.constant(["a\0", b"\0"]).numpy().tolist() == [b"a\0", b"\0"]
    assert both_ways(lambda x: gj.strings.join([x, "b\0"]), gj.constant("a\0")).numpy() == b"a\0b\0"


def test_ops_of_any_dtype() -> None:
    """What moves elements moves strings, eagerly and compiled, and inputs come back as they are."""

    def f(s: Any, t: Any) -> Any:
        v = gj.concat([s, t], 0)
        return (
            s, s, gj.constant(["k"]), v[0], v[::-1], gj.reshape(v, [2, 2]), gj.transpose(gj.reshape(v, [2, 2])),
            gj.stack([s, t]), gj.gather(v, [2, 0]), gj.where(s == "a", s, "z"), s == t, s != "a", gj.tile(s, [2]),
            gj.zeros_like(s), gj.fill([2], "q"), gj.unique(v).y, gj.boolean_mask(v, v == "b"), gj.shape(v),
            gj.expand_dims(s, 1), gj.repeat(s, 2), gj.broadcast_to(s, [3, 2]), gj.identity(s), gj.size(s),
        )  # fmt: skip

    compiled = gj.compile(f)
    for arguments in ((["a", "b"], ["b", "c"]), (["x", ""], ["", "x"])):
        given = [gj.constant(one) for one in arguments]
        for one, other in zip(compiled(*given), f(*given), strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy(), strict=True)
    assert compiled.trace_count == 1


def test_results_do_not_change_with_later_calls() -> None:
    """Constants and inputs that are results are the caller's own."""
    f = gj.compile(lambda s: (s, gj.constant(["k"]), gj.reshape(s, [2, 1])))
    first = f(gj.constant(["a", "b"]))
    second = f(gj.constant(["c", "d"]))
    assert [one.numpy().ravel().tolist() for one in first] == [[b"a", b"b"], [b"k"], [b"a", b"b"]]
    assert [one.numpy().ravel().tolist() for one in second] == [[b"c", b"d"], [b"k"], [b"c", b"d"]]


def test_e5_strings_in_loops_and_branches() -> None:
    """E1, E5: strings are carried by loops and chosen by branches."""

    def f(s: Any, n: Any) -> Any:
        i = gj.constant(0)
        while i < n:
            s = s + "x"
            i += 1
        if gj.strings.length(s) > 3:
            s = s + "!"
        return s

    compiled = gj.compile(f)
    for count, wanted in ((4, b"axxxx!"), (0, b"a"), (2, b"axx")):
        assert compiled(gj.constant("a"), gj.constant(count)).numpy() == wanted


def test_e3_branches_that_give_texts() -> None:
    """E3: texts that differ between branches are string tensors; one that is the same in both stays a Python string."""

    def f(x: Any) -> Any:
        same = "same"
        if x > 0:
            word = "positive"
            same = "same"
        elif x < 0:
            word = "negative"
        else:
            return "zero", same
        return gj.strings.upper(word), same

    compiled = gj.compile(f)
    for x, wanted in ((1.0, b"POSITIVE"), (-1.0, b"NEGATIVE"), (0.0, b"zero")):
        word, same = compiled(gj.constant(x))
        assert word.numpy() == wanted and same == "same"


def test_lower_and_upper() -> None:
    """ASCII letters by default, all of them in UTF-8."""
    for name in ("lower", "upper"):
        function = getattr(gj.strings, name)
        ascii_only = both_ways(function, gj.constant(WORDS))
        assert ascii_only.numpy().tolist() == [getattr(one.encode(), name)() for one in WORDS]
        everything = both_ways(lambda x, f=function: f(x, encoding="utf-8"), gj.constant(WORDS))
        assert _texts(everything) == [getattr(one, name)() for one in WORDS]


def test_strip_and_length() -> None:
    found = both_ways(gj.strings.strip, gj.constant(WORDS))
    assert found.numpy().tolist() == [one.encode().strip() for one in WORDS]
    assert both_ways(gj.strings.length, gj.constant(WORDS)).numpy().tolist() == [len(one.encode()) for one in WORDS]


def test_regex() -> None:
    """Groups, the whole match, the first match only; \\d is ASCII's."""
    replaced = both_ways(lambda x: gj.strings.regex_replace(x, r"(\w)(\w)", r"\2\1<\0>"), gj.constant(WORDS))
    assert _texts(replaced) == [re.sub(r"(\w)(\w)", r"\2\1<\g<0>>", one, flags=re.ASCII) for one in WORDS]
    first = gj.strings.regex_replace("aaa", "a", "b", replace_global=False)
    assert first.numpy() == b"baa"
    matched = both_ways(lambda x: gj.strings.regex_full_match(x, "[a-z]+"), gj.constant(["abc", "abC", "", "abcé"]))
    assert matched.numpy().tolist() == [True, False, False, False]


def test_substr() -> None:
    def f(x: Any, position: Any) -> Any:
        return gj.strings.substr(x, position, 2), gj.strings.substr(x, position, 2, unit="UTF8_CHAR")

    found = both_ways(f, gj.constant(["hello", "éab"]), gj.constant([1, -3]))
    assert found[0].numpy().tolist() == [b"el", b"\xa9a"]
    assert _texts(found[1]) == ["el", "éa"]
    with pytest.raises(gj.errors.OutOfRangeError, match="position 9"):
        gj.strings.substr("abc", 9, 1)


def test_join_and_reduce_join() -> None:
    joined = both_ways(
        lambda x, y: gj.strings.join([x, "=", y], separator="_"), gj.constant(["a", "b"]), gj.constant("c")
    )
    assert joined.numpy().tolist() == [b"a_=_c", b"b_=_c"]
    x = gj.constant([["a", "b"], ["c", "d"]])
    for axis, keepdims, wanted in (
        (0, False, [b"a-c", b"b-d"]),
        (1, True, [[b"a-b"], [b"c-d"]]),
        (-1, False, [b"a-b", b"c-d"]),
        (None, False, b"a-b-c-d"),
        ([1, 0], False, b"a-b-c-d"),
        ([0, 1], False, b"a-c-b-d"),
    ):
        found = both_ways(lambda x, a=axis, k=keepdims: gj.strings.reduce_join(x, a, k, "-"), x)
        assert found.numpy() == wanted if isinstance(wanted, bytes) else found.numpy().tolist() == wanted, axis


def test_numbers() -> None:
    """to_number reads what as_string writes."""
    x = gj.constant([1.5, -2.25, 1e20])
    written = both_ways(lambda x: gj.strings.as_string(x, precision=3), x)
    assert written.numpy().tolist() == [b"1.500", b"-2.250", b"100000002004087734272.000"]
    assert both_ways(lambda x: gj.strings.to_number(gj.strings.as_string(x)), x).numpy().tolist() == x.numpy().tolist()
    assert gj.strings.as_string([True, False]).numpy().tolist() == [b"true", b"false"]
    assert gj.strings.as_string([-7, 42], width=4, fill="0").numpy().tolist() == [b"-007", b"0042"]
    assert gj.strings.as_string(1234.5, scientific=True).numpy() == b"1.234500e+03"
    assert gj.strings.to_number(["1", "2147483647"], gj.int32).numpy().tolist() == [1, 2147483647]


@pytest.mark.parametrize("text", ["abc", "", "1_000", "1.5", "2147483648"])
def test_no_numbers(text: str) -> None:
    """What is no int32 is an error that shows it, in compiled functions too, naming the line."""
    with pytest.raises(gj.errors.InvalidArgumentError, match=re.escape(repr(text.encode()))):
        gj.strings.to_number(text, gj.int32)
    f = gj.compile(lambda x: gj.strings.to_number(x, gj.int32))
    with pytest.raises(gj.errors.InvalidArgumentError, match=r"test_strings\.py"):
        f(gj.constant(["1", text]))


def test_split() -> None:
    """Rows of words; a vector of a single string; rows of rows of a matrix."""

    def f(x: Any) -> Any:
        return gj.strings.split(x)

    assert both_ways(f, gj.constant(WORDS)).to_list() == [one.encode().split() for one in WORDS]
    assert both_ways(f, gj.constant("a b")).numpy().tolist() == [b"a", b"b"]
    assert both_ways(f, gj.constant([["a b"], ["c"]])).to_list() == [[[b"a", b"b"]], [[b"c"]]]
    by_comma = both_ways(lambda x: gj.strings.split(x, sep=",", maxsplit=1), gj.constant(["a,b,c", ""]))
    assert by_comma.to_list() == [[b"a", b"b,c"], [b""]]


def test_unicode() -> None:
    words = gj.constant(["né", "", "a😀"])
    decoded = both_ways(gj.strings.unicode_decode, words)
    assert decoded.to_list() == [[ord(c) for c in one] for one in ("né", "", "a😀")]
    assert _texts(both_ways(gj.strings.unicode_encode, decoded)) == ["né", "", "a😀"]
    assert gj.strings.unicode_split(words).to_list() == [[b"n", "é".encode()], [], [b"a", "😀".encode()]]
    assert gj.strings.bytes_split("é").numpy().tolist() == [b"\xc3", b"\xa9"]
    assert gj.strings.unicode_decode(b"a\xff").numpy().tolist() == [97, 0xFFFD]
    assert gj.strings.unicode_decode("é", "UTF8").numpy().tolist() == [0xE9]  # encodings go by their other names too
    assert gj.strings.unicode_encode([0xE9], "utf-16-be").numpy() == b"\x00\xe9"
    with pytest.raises(gj.errors.InvalidArgumentError, match="no UTF-8"):
        gj.strings.unicode_decode(b"a\xff", errors="strict")
    codes = gj.constant([[99, 97], [98, 98]])
    assert both_ways(gj.strings.unicode_encode, codes).numpy().tolist() == [b"ca", b"bb"]
    assert gj.strings.unicode_transcode(["é"], "UTF-8", "UTF-16-BE").numpy().tolist() == [b"\x00\xe9"]


def test_format() -> None:
    found = both_ways(lambda x: gj.strings.format("x: {}, y: {}", [x, "b"]), gj.constant([1, 2]))
    assert found.numpy() == b"x: [1 2], y: b'b'"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: gj.constant([1, "a"]), gj.errors.DtypeError, "holds 1 among strings"),
        (lambda: gj.constant([["a"], ["b", "c"]]), gj.errors.InvalidArgumentError, "not a rectangular"),
        (lambda: gj.constant("a", gj.float32), gj.errors.DtypeError, "to_number"),
        (lambda: gj.constant(1, gj.string), gj.errors.DtypeError, "as_string"),
        (lambda: gj.cast(gj.constant("a"), gj.float32), gj.errors.DtypeError, "not string"),
        (lambda: gj.cast(1, gj.string), gj.errors.DtypeError, "as_string"),
        (lambda: gj.reduce_sum(gj.constant(["a"])), gj.errors.DtypeError, "not string"),
        (lambda: gj.constant("a") * 2, gj.errors.DtypeError, "multiply"),
        (lambda: gj.strings.lower(1.0), gj.errors.DtypeError, "takes strings, not float32"),
        (lambda: gj.strings.regex_replace("a", "(", ""), gj.errors.InvalidArgumentError, "no regular expression"),
        (lambda: gj.strings.length("a", unit="WORD"), gj.errors.InvalidArgumentError, "unit is one of"),
        (lambda: gj.strings.format("{} {}", [1]), gj.errors.InvalidArgumentError, "2 placeholders"),
        (lambda: gj.Variable("a"), gj.errors.DtypeError, "a variable holds numbers"),
        (lambda: gj.ones([2], gj.string), gj.errors.DtypeError, "gj.fill"),
    ],
)
def test_refused(call: Any, error: type[Exception], words: str) -> None:
    """Bad uses say what was needed and what to do."""
    with pytest.raises(error, match=words):
        call()


def test_c9_arrays_of_strings_inside_of_functions_are_refused() -> None:
    """C9: a captured array could change unnoticed; the error says what to do."""
    names = np.array(["a"])
    with pytest.raises(gj.errors.TraceError, match="hand it over as an argument"):
        gj.compile(lambda x: x + names)(gj.constant(["b"]))
    captured = gj.constant(names)
    assert gj.compile(lambda x: x + captured)(gj.constant(["b"])).numpy().tolist() == [b"ba"]


def test_equal_sums_in_another_order_are_not_merged() -> None:
    """a + b and b + a are two strings, though + commutes for numbers."""
    found = both_ways(lambda a, b: (a + b, b + a), gj.constant("x"), gj.constant("y"))
    assert [one.numpy() for one in found] == [b"xy", b"yx"]


def test_b1_input_signature() -> None:
    """B1: a TensorSpec of strings, of any length."""
    f = gj.compile(lambda x: gj.strings.length(x), input_signature=[gj.TensorSpec([None], gj.string)])
    assert f(["a", "bc"]).numpy().tolist() == [1, 2] and f(gj.constant(["abc"])).numpy().tolist() == [3]
    assert f.trace_count == 1


def test_graphs_with_strings_read_back() -> None:
    """B5: constants of strings in the text and JSON forms."""
    f = gj.compile(lambda x: gj.strings.join([x, gj.constant([["caf\u00e9\0", '"'], ["", "\\"]])]))
    wanted = f(gj.constant("a"))
    graph = parse_graph(f.dump("traced"))
    for read in (graph, graph_from_json(graph_to_json(graph))):
        (found,) = run_reference(read, [np.array(b"a", object)])
        assert found.tolist() == wanted.numpy().tolist()


def test_strings_have_no_gradient() -> None:
    """G4: None for what depends on a number by its text only."""
    x = gj.constant(1.5)
    with gj.GradientTape() as tape:
        tape.watch(x)
        y = gj.strings.to_number(gj.strings.as_string(x)) * 2.0
    assert tape.gradient(y, x) is None


def test_many_calls_keep_no_strings() -> None:
    """References are counted: what a call made dies with its results."""
    import sys

    f = gj.compile(lambda s: (s + "?", gj.reshape(s, [1, 1]), s))
    text = b"a text that is nowhere else"
    tensor = gj.constant([text])
    f(tensor)
    before = sys.getrefcount(tensor.numpy()[0])
    for _ in range(50):
        f(tensor)
    after = sys.getrefcount(tensor.numpy()[0])
    assert after == before
