"""The text form of graphs: readable, exact, and refused with a place where it is wrong (D17)."""

from __future__ import annotations

import struct

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from graphjit.compiler.dump.notation import format_constant
from graphjit.compiler.dump.parsing import parse_constant
from graphjit.compiler.dump.text import format_graph, parse_graph
from graphjit.compiler.equality import attribute_key, graphs_equal
from graphjit.compiler.graph import Equation, Graph, Literal, Location, Value
from graphjit.compiler.op import all_ops, find_op
from graphjit.compiler.ops.control import fused_op
from graphjit.compiler.tensortype import ALL_DTYPES, TensorType, float32, int32
from graphjit.runtime.errors import FormatError

STEP = """\
step(%x: f32[64,784], %2: f32[?,20]) {
  %h: f32[64,784] = exp(%x)
  %h.1: f32[64,784] = tanh(%h)
  %4: f32[784] = reduce_sum(%h.1) {axis=(0,), keepdims=false}
  %5: f32[2] = constant() {value=dense<f32[2]: [1.5, -0.0]>}
  return %4, %5, %2
}"""


def test_a_text_comes_back_as_it_was_written() -> None:
    """D17: the text form parses back, and is written the same again."""
    first = format_graph(parse_graph(STEP))
    assert first == STEP.replace("%2", "%1")
    assert format_graph(parse_graph(first)) == first


def test_types_of_results_may_be_left_out_and_lines_joined() -> None:
    short = "f(%a: f32[3]) { %b = exp(%a); %c = add(%a, %b) return %c }  # the end"
    assert graphs_equal(
        parse_graph(short), parse_graph("g(%a: f32[3]) {\n%b: f32[3] = exp(%a)\n%c = add(%a, %b)\nreturn %c\n}")
    )


def test_names_are_made_unique_and_readable() -> None:
    """A second value of a name gets a suffix; characters that the form cannot hold become underscores."""
    x = Value(TensorType(float32, (2,)), "x")
    made = [Value(x.type, name) for name in ("x", "x.1", "net/w:0", "7", "", "größe")]
    exp = find_op("exp")
    equations = [Equation(exp, (x,), {}, (value,)) for value in made]
    text = format_graph(Graph("names", (x,), tuple(equations), tuple(made)))
    assert "return %x.1, %x.1.1, %net_w_0, %4, %5, %größe" in text
    assert graphs_equal(parse_graph(text), Graph("names", (x,), tuple(equations), tuple(made)))


def test_the_users_lines_are_comments() -> None:
    x = Value(TensorType(float32, ()))
    y = Value(TensorType(float32, ()))
    equation = Equation(find_op("exp"), (x,), {}, (y,), Location("/home/me/train.py", 12, "step", "h = gj.exp(x)"))
    graph = Graph("f", (x,), (equation,), (y,))
    text = format_graph(graph, locations=True)
    assert "  %1: f32[] = exp(%0)  # train.py:12\n" in text
    assert graphs_equal(parse_graph(text), graph)


@pytest.mark.parametrize("name", ["<lambda>", "return", "nan", "two words", 'quote"\\', "café", ""])
def test_any_graph_name_comes_back(name: str) -> None:
    graph = Graph(name, (), (), ())
    assert parse_graph(format_graph(graph)).name == name


def test_a_graph_without_results_and_an_equation_with_several() -> None:
    inner = parse_graph("pair(%a: f32[3], %b: f32[3]) { %c = add(%a, %b) return %c, %a }")
    x, y = (Value(TensorType(float32, (3,)), name) for name in "xy")
    outputs = (Value(x.type, "s"), Value(x.type, "t"))
    attributes = {"graph": inner, "domain": (3,), "inner": None, "axes": ((0,),) * 4}
    graph = Graph("f", (x, y), (Equation(fused_op, (x, y), attributes, outputs),), ())
    text = format_graph(graph)
    assert text == (
        "f(%x: f32[3], %y: f32[3]) {\n"
        "  %s: f32[3], %t: f32[3] = fused(%x, %y) {\n"
        "    axes=((0,), (0,), (0,), (0,)),\n"
        "    domain=(3,),\n"
        "    graph=pair(%a: f32[3], %b: f32[3]) {\n"
        "      %c: f32[3] = add(%a, %b)\n"
        "      return %c, %a\n"
        "    },\n"
        "    inner=none\n"
        "  }\n"
        "  return\n"
        "}"
    )
    assert graphs_equal(parse_graph(text), graph)


def test_every_attribute_of_every_example_comes_back() -> None:
    """Each op's own attributes have a notation, unless they are Python callables."""
    for op in all_ops():
        for example in op.examples:
            for name, value in example.attributes.items():
                if isinstance(value, Graph):
                    continue
                text = format_constant(value)
                if not text.startswith(("<callable", "<object")):
                    assert attribute_key(parse_constant(text)) == attribute_key(value), (op.name, name)


_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", bits.to_bytes(8, "little"))[0]),
    st.text(max_size=20),
    st.sampled_from(ALL_DTYPES),
    st.builds(
        TensorType,
        st.sampled_from(ALL_DTYPES),
        st.lists(st.one_of(st.none(), st.integers(0, 9)), max_size=3).map(tuple),
    ),
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.recursive(_scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=8))
def test_every_constant_comes_back_to_the_bit(value: object) -> None:
    back = parse_constant(format_constant(value))
    assert attribute_key(back) == attribute_key(value)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_every_array_comes_back_to_the_bit(data: st.DataObject) -> None:
    """NaNs with payloads, denormals and all: whatever the bytes are."""
    dtype = data.draw(st.sampled_from(ALL_DTYPES))
    shape = tuple(data.draw(st.lists(st.integers(0, 5), max_size=3)))
    count = int(np.prod(shape))
    raw = data.draw(st.binary(min_size=count * dtype.size, max_size=count * dtype.size))
    if dtype.is_bool:
        raw = bytes(byte & 1 for byte in raw)
    literal = Literal(np.frombuffer(raw, dtype.numpy).reshape(shape))
    assert parse_constant(format_constant(literal)) == literal


@pytest.mark.parametrize("count", [2, 16, 17, 64, 65, 1000])
def test_arrays_inline_repeated_and_encoded(count: int) -> None:
    ramp, alike = Literal(np.arange(count, dtype=np.float32)), Literal(np.full(count, -0.0))
    assert ("base64" in format_constant(ramp)) == (count > 64)
    assert format_constant(alike) == f"dense<f64[{count}]: -0.0>"
    assert parse_constant(format_constant(ramp)) == ramp
    assert parse_constant(format_constant(alike)) == alike
    shortened = format_constant(ramp, shorten=True)
    assert ("..." in shortened) == (count > 16)


def test_what_was_shortened_is_not_read_back() -> None:
    graph = parse_graph(
        'f() { %a = constant() {value=dense<i8[20]: base64 "AAECAwQFBgcICQoLDA0ODxAREhM=">} return %a }'
    )
    assert "dense<i8[20]: ...>" in str(graph)
    with pytest.raises(FormatError, match="shortened for people"):
        parse_graph(str(graph))


def test_a_callable_is_shown_and_refused() -> None:
    assert format_constant(len) == "<callable len>"
    with pytest.raises(FormatError, match="line 1, column 16: a Python callable"):
        parse_graph("f() { exp() {a=<callable len>} return }")


BROKEN = [
    ("", "a graph's name was expected"),
    ("f", r"'\(' was expected"),
    ("f(%a: f32[3]) { return %a } }", "nothing may follow"),
    ("f(%a) { return %a }", "':' was expected"),
    ("f(%a: f31[3]) { return %a }", "'f31' is no dtype"),
    ("f(%a: f32[-3]) { return %a }", "-3 is no size"),
    ("f(%a: f32[99999999999999999999]) { return %a }", "is no size"),
    ("f(%a: f32[3], %a: f32[3]) { return %a }", "%a is defined twice"),
    ("f(%a: f32[3]) { return %b }", "%b is not defined"),
    ("f(%a: f32[3]) { %b = expo(%a) return %b }", "there is no op named 'expo'"),
    ("f(%a: f32[3]) { exp(%a) return %a }", "exp has 1 results, but 0 are named"),
    ("f(%a: f32[3]) { %b, %c = exp(%a) return %b }", "exp has 1 results, but 2 are named"),
    ("f(%a: f32[3]) { %b: f32[4] = exp(%a) return %b }", "given as f32\\[4\\], but exp makes f32\\[3\\]"),
    ("f(%a: f32[3]) { %b = exp(%a, %a) return %b }", "exp does not take"),
    ("f(%a: i32[3]) { %b = exp(%a) return %b }", "exp does not take"),
    ("f(%a: f32[3]) { %b = reduce_sum(%a) return %b }", "reduce_sum does not take"),
    ("f(%a: f32[3]) { %b = reduce_sum(%a) {axis=0, axis=1} return %b }", "axis is given twice"),
    ("f(%a: f32[3]) { %b = reduce_sum(%a) {axis=what} return %b }", "'what' is no dtype"),
    ("f() { %a = constant() {value=dense<f32[2]: [1.0]>} return %a }", "',' was expected"),
    ("f() { %a = constant() {value=dense<f32[?]: 1.0>} return %a }", "must be known in full"),
    ("f() { %a = constant() {value=dense<i8[]: 300>} return %a }", "300 is no element"),
    ("f() { %a = constant() {value=dense<i8[]: 1.5>} return %a }", "1.5 is no element"),
    ("f() { %a = constant() {value=dense<f32[]: 1e300>} return %a }", "1e300 is no element"),
    ("f() { %a = constant() {value=dense<bool[]: 1>} return %a }", "true or false"),
    ('f() { %a = constant() {value=dense<f32[2]: base64 "AAAA">} return %a }', "3 bytes are given"),
    ('f() { %a = constant() {value=dense<f32[2]: base64 "A-A">} return %a }', "not well-formed base64"),
    ("f() { %a = constant() {value=dense<f32[1000000,1000000]: 1.0>} return %a }", "at most"),
    ("f() { %a = constant() {value=0x12} return %a }", "16 hexadecimal digits"),
    ("f() { %a = constant() {value=3} return %a }", "constant does not take"),
    ("f() { return §! }", "does not belong here"),
    ('f() { %a = constant() {value="\\q"} return %a }', "not a well-formed string"),
    (f"f() {{ exp() {{a={'(' * 100} return }}", "may be nested 64 deep"),
    (f"f() {{ exp() {{a={'9' * 500}}} return }}", "at most 400 characters"),
]


def test_a_refusal_says_where() -> None:
    with pytest.raises(FormatError, match=r"^line 2, column 12: %c is not defined before it is used"):
        parse_graph("f(%a: f32[3]) {\n  %b = exp(%c)\n  return %b\n}")


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_what_is_no_graph_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(FormatError, match=r"^line \d+, column \d+: .*" + message):
        parse_graph(text)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(0, len(STEP)), st.integers(0, 12), st.text("%{}()[]<>=,.:#\"'0x-a1 \n", max_size=4))
def test_damaged_texts_raise_nothing_but_format_errors(position: int, length: int, patch: str) -> None:
    damaged = STEP[:position] + patch + STEP[position + length :]
    try:
        graph = parse_graph(damaged)
    except FormatError:
        return
    assert graphs_equal(parse_graph(format_graph(graph)), graph)


def test_equality_is_by_bits_and_structure() -> None:
    """0.0 is not -0.0, 1 is not true, and names do not count."""
    text = "f(%a: f32[3]) {{ %b = constant() {{value=dense<f32[]: {}>}} return %b }}"
    plus, minus = parse_graph(text.format("0.0")), parse_graph(text.format("-0.0"))
    assert graphs_equal(plus, parse_graph(text.format("0.0").replace("%b", "%z")))
    assert not graphs_equal(plus, minus)
    assert attribute_key((1,)) != attribute_key((True,))
    assert attribute_key(1) != attribute_key(1.0)
    assert attribute_key(float("nan")) == attribute_key(float("nan"))
    nested = [Graph("g", (), (), (Value(TensorType(int32, ())),)) for _ in range(2)]
    assert attribute_key(nested[0]) == attribute_key(nested[1])
