"""Checkpoints: training goes on with the same numbers (K3)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphjit as gj

keras = gj.keras
_X = np.random.default_rng(4).standard_normal((32, 4)).astype("f")

PROGRAM = """
import os, signal, sys
import numpy as np
import graphjit as gj

folder, until = sys.argv[1], int(sys.argv[2])
gj.random.set_seed(5)
model = gj.keras.Sequential([gj.keras.layers.Dense(8, "tanh"), gj.keras.layers.Dropout(0.5), gj.keras.layers.Dense(1)])
optimizer = gj.keras.optimizers.Nadam(0.05)
step, stream = gj.Variable(0, trainable=False), gj.random.Generator.from_seed(1)
seen = gj.keras.metrics.Mean()
checkpoint = gj.Checkpoint(
    model=model, optimizer=optimizer, step=step, streams=[stream, gj.random.Streams()], seen=seen
)
manager = gj.CheckpointManager(checkpoint, folder, max_to_keep=2)
checkpoint.restore(manager.latest_checkpoint)

@gj.compile
def train(x):
    with gj.GradientTape() as tape:
        noisy = x + 0.1 * stream.normal([32, 4]) + 0.1 * gj.random.normal([32, 4]) + gj.random.normal([4], seed=7)
        loss = gj.reduce_mean((model(noisy, training=True) - x[:, :1]) ** 2)
    variables = model.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
    step.assign_add(1)
    return loss

x = np.random.default_rng(4).standard_normal((32, 4)).astype("f")
while step.numpy() < until:
    loss = train(x)
    seen.update_state(loss)
    print(int(step), float(loss).hex(), float(seen.result()).hex(), flush=True)
    if step.numpy() % 3 == 0:
        manager.save()
        if len(sys.argv) > 3 and step.numpy() == 6:
            os.kill(os.getpid(), signal.SIGKILL)
"""


def run(folder: Path, *arguments: str) -> list[str]:
    """The lines that the program above printed."""
    environment = {**os.environ, "GRAPHJIT_CACHE_DIR": str(folder.parent / "cache")}
    command = [sys.executable, "-c", PROGRAM, str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == (-signal.SIGKILL if "kill" in arguments else 0), done.stderr
    return done.stdout.splitlines()


def test_k3_a_killed_training_goes_on_with_the_same_numbers(tmp_path: Path) -> None:
    """Model, optimizer, step, streams of three kinds and a metric, none of which is built when they are restored."""
    whole = run(tmp_path / "whole", "9")
    first = run(tmp_path / "parts", "9", "kill")
    assert len(first) == 6
    assert first + run(tmp_path / "parts", "9") == whole
    assert sorted(one.name for one in (tmp_path / "parts").iterdir()) == ["ckpt-2", "ckpt-3"]


def trained() -> tuple[Any, Any]:
    """A model and its optimizer after an epoch."""
    model = keras.Sequential([keras.layers.Dense(8, "elu"), keras.layers.BatchNormalization(), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(_X, _X[:, :1], verbose=0)
    return model, model.optimizer


def fresh() -> tuple[Any, Any]:
    """The same, neither called nor trained."""
    model = keras.Sequential([keras.layers.Dense(8, "elu"), keras.layers.BatchNormalization(), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model, model.optimizer


def test_k3_models_that_were_never_built_are_restored(tmp_path: Path) -> None:
    """Values wait for weights and slots; the status says so, until they exist."""
    model, optimizer = trained()
    path = gj.Checkpoint(model=model, optimizer=optimizer).save(tmp_path / "deep" / "run")
    assert path.endswith("run-1")
    again, its_optimizer = fresh()
    status = gj.Checkpoint(model=again, optimizer=its_optimizer).restore(path)
    with pytest.raises(ValueError, match=r"no place yet.*'model/_stack/0/kernel'"):
        status.assert_consumed()
    for one in (model, again):
        one.fit(_X, _X[:, :1], verbose=0, shuffle=False)
    status.assert_consumed()
    np.testing.assert_array_equal(again.predict(_X), model.predict(_X))
    for one, other in zip(optimizer.variables, its_optimizer.variables, strict=True):
        np.testing.assert_array_equal(other.numpy(), one.numpy())


def test_strictness(tmp_path: Path) -> None:
    """What is left over or left out is named; nothing changes where a value does not fit."""
    one, other = gj.Variable([1.0, 2.0]), gj.Variable(3)
    path = gj.Checkpoint(one=one, more={"list": [other]}).save(tmp_path / "c")
    target = gj.Variable([0.0, 0.0])
    status = gj.Checkpoint(one=target).restore(path).expect_partial()
    np.testing.assert_array_equal(target.numpy(), [1, 2])
    status.assert_existing_objects_matched()
    with pytest.raises(ValueError, match="'more/list/0'"):
        status.assert_consumed()
    with pytest.raises(ValueError, match="no value for 'new'"):
        gj.Checkpoint(one=target, new=gj.Variable(1)).restore(path).assert_existing_objects_matched()
    target.assign([7.0, 7.0])
    with pytest.raises(ValueError, match=r"int32 of shape \(2,\), but int32 of shape \(\) was saved"):
        gj.Checkpoint(one=target, more={"list": [gj.Variable([1, 2])]}).restore(path)
    np.testing.assert_array_equal(target.numpy(), [7, 7])
    with pytest.raises(LookupError, match="no file"):
        gj.Checkpoint(one=one).restore(tmp_path / "nothing")
    gj.Checkpoint(one=one).restore(None)
    with pytest.raises(ValueError, match="'name' is 'text', which has no state"):
        gj.Checkpoint(name="text")


def test_variables_are_restored_once_and_not_again(tmp_path: Path) -> None:
    """To ask the status later does not undo training."""
    model, optimizer = trained()
    path = gj.Checkpoint(model=model, optimizer=optimizer).write(tmp_path / "c")
    again, its_optimizer = fresh()
    status = gj.Checkpoint(model=again, optimizer=its_optimizer).restore(path)
    again.fit(_X, _X[:, :1], verbose=0)
    before = again.get_weights()
    status.assert_consumed()
    for one, other in zip(before, again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_managers(tmp_path: Path) -> None:
    """Old files go, numbers go on, other files stay."""
    step = gj.Variable(0)
    manager = gj.train.CheckpointManager(gj.train.Checkpoint(step=step), tmp_path / "run", max_to_keep=2)
    assert manager.latest_checkpoint is None and manager.restore_or_initialize() is None
    (tmp_path / "run" / "ckpt-x").write_text("mine")
    for _ in range(11):
        step.assign_add(1)
        manager.save()
    assert [os.path.basename(one) for one in manager.checkpoints] == ["ckpt-10", "ckpt-11"]
    assert gj.train.latest_checkpoint(tmp_path / "run") == manager.latest_checkpoint
    new = gj.Variable(0)
    other = gj.CheckpointManager(gj.Checkpoint(step=new), tmp_path / "run", max_to_keep=3)
    assert other.save().endswith("ckpt-12")  # without restoring: nothing is overwritten
    other.checkpoint.restore(manager.checkpoints[-2])
    assert new.numpy() == 11
    assert (tmp_path / "run" / "ckpt-x").read_text() == "mine"
    with pytest.raises(ValueError, match="max_to_keep"):
        gj.CheckpointManager(gj.Checkpoint(step=step), tmp_path, 0)
    with pytest.raises(ValueError, match="no name of a file"):
        gj.CheckpointManager(gj.Checkpoint(step=step), tmp_path, 1, "../up")


PIPELINES: dict[str, Any] = {
    "slices": lambda data: data.from_tensor_slices(np.arange(20)).shuffle(8).batch(3).repeat(),
    "any": lambda data: data.range(20).map(lambda x: x * 2).shuffle(5).repeat(3).batch(4).prefetch(2),
    "seeded": lambda data: data.range(7).shuffle(7, seed=3).repeat(),
    "ordered": lambda data: data.zip(data.range(50), data.range(50).skip(1)),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_k3_iterators_of_datasets_go_on_where_they_were(name: str, tmp_path: Path) -> None:
    """Also in other random orders than those that a new iterator would take."""

    def shown(element: Any) -> list[Any]:
        return [np.asarray(one).tolist() for one in gj.nest.flatten(element)]

    gj.random.set_seed(1)
    dataset = PIPELINES[name](gj.data.Dataset)
    [shown(one) for one in dataset.take(2)]  # another way through it, which has taken an order
    elements = iter(dataset)
    for _ in range(11):
        next(elements)
    path = gj.Checkpoint(elements=elements).write(tmp_path / "c")
    wanted = [shown(next(elements)) for _ in range(4)]
    gj.random.set_seed(2)
    again = iter(PIPELINES[name](gj.data.Dataset))
    gj.Checkpoint(elements=again).restore(path).assert_consumed()
    assert [shown(next(again)) for _ in range(4)] == wanted
    with pytest.raises(ValueError, match="ends after 3"):
        gj.Checkpoint(elements=iter(gj.data.Dataset.range(3))).restore(path)


def test_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    path = Path(gj.Checkpoint(v=gj.Variable(np.arange(9.0))).write(tmp_path / "c"))
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(content)
    target = gj.Variable(np.zeros(9))
    with pytest.raises(gj.errors.FormatError, match="checksum"):
        gj.Checkpoint(v=target).restore(path)
    assert not target.numpy().any()
    gj.keras.Sequential([keras.layers.Dense(1, input_shape=(2,))]).save_weights(path)
    with pytest.raises(gj.errors.FormatError, match="no checkpoint"):
        gj.Checkpoint(v=target).restore(path)
