"""Model files changed at random, most of them with a right checksum: refused in one sentence, or all that is shown works."""

from __future__ import annotations

import copy
import json
import os
import random
import signal
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import safetensors
import safetensors.numpy

import fallline
from fallline import FalllineError, modelfile
from fallline.commands.fit import as_object
from fallline.report.page import page
from fallline.tables.predicting import Predictor

LONG = 100 if os.environ.get("FALLLINE_LONG_TESTS") else 1  # times as many files
SHOWN = 0.03  # of the models that load are shown as a page and exported too, which takes a second
LONGEST = 300  # letters of a sentence, without the name of the file
ROWS = 60
Model = tuple[dict[str, Any], dict[str, Any]]

# Values that a field of the JSON may be changed to: of each type, at the ends of its range, and what JSON has not.
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 10**9, 2**31, 2**53 + 1, 2**64, -(2**64), 10**30, 10**400, 0.5, -0.5, 1e-320, 1e308,
    -1e308, "", "x", "a", "0", "\0", "\n", "\x1b[2J\x9b1m", "\u202etxt\u2066", "\ud800", "'; drop table x; --", "</script>",
    "a" * 5000, "9999-12-31", "0001-01-01", "nan", [], [[]], [0], ["a", "a"], {}, {"a": 1}, {"": {}},
    {"$float": "nan"}, {"$float": "inf"}, {"$float": "-inf"}, {"$float": "x"}, {"$float": [1]}, {"$tuple": []}, {"$tuple": [1]},
    {"$tuple": ["a", "b", {"$float": "nan"}]}, {"$array": [1, 2]}, {"$array": [[1], [2, 3]]}, {"$array": "abc"},
    {"$dict": [["a", 1]]}, {"$dict": [1]}, {"$penalty": {"name": "l2", "settings": {"strength": -1}}},
    {"$loss": {"name": "huber", "settings": {}}},
    {"$optimizer": {"name": "adam", "settings": {"beta1": {"$float": "nan"}}}}, {"$rate": 1}, {"$nothing": 1},
    [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]],
)  # fmt: skip
NUMBERS = (np.nan, np.inf, -np.inf, 1e308, -1e308, 1e-320, 0.0, -1.0, 2.0**53, 1e150)
EXTRA = ("coef", "history.loss", "bowl.curvature", "path", "reliability", "inference.covariance", "summary.sd", "more")
SHAPES: tuple[tuple[int, ...], ...] = ((0,), (), (3,), (2, 2), (1, 5), (3, 0), (500,))


def table() -> pl.DataFrame:
    rng = np.random.default_rng(5)
    area, town = rng.normal(50.0, 10.0, ROWS), rng.choice(["Rome", "Oslo", "Bern"], ROWS)
    return pl.DataFrame({
        "area": area, "rooms": [None if k % 9 == 0 else k % 5 for k in range(ROWS)], "town": town,
        "built": [date(2020, 1, 1) + timedelta(days=int(d)) for d in rng.integers(0, 900, ROWS)],
        "price": 3.0 * area + rng.normal(size=ROWS), "kind": np.where(area + rng.normal(0.0, 9.0, ROWS) > 50.0, "big", "small"),
    })  # fmt: skip


@pytest.fixture(scope="module", name="models")
def _models(tmp_path_factory: pytest.TempPathFactory) -> list[Model]:
    """Honest models of all kinds, taken apart."""
    folder, frame = tmp_path_factory.mktemp("models"), table()
    numbers, classes = frame.drop("kind"), frame.drop("price")
    fallline.fit(numbers, "price", inference=True).save(folder / "inference.fall")
    fallline.fit(numbers, "price", check=0.3, optimizer="descent", learning_rate=0.1, max_passes=30).save(
        folder / "rate.fall"
    )
    fallline.fit(classes, "kind", check=0.3).save(folder / "classes.fall")
    fallline.fit(frame.drop("built"), "town", check=0.3, levels="hash:2").save(folder / "several.fall")
    fallline.fit(
        numbers, "price", loss="huber", l1=0.1, batch_size=8, max_passes=3, early_stopping=True, check=0.3
    ).save(folder / "batches.fall")
    stored = sorted(Path(__file__).with_name("models").glob("*.fall"))
    return [opened(path) for path in [*sorted(folder.glob("*.fall")), *stored]]


def opened(path: Path) -> Model:
    with safetensors.safe_open(path, framework="numpy") as file:
        sealed = json.loads(file.metadata()["fallline"])
    if sealed["model"]["encoder"] is not None:
        sealed["model"]["encoder"] = json.loads(sealed["model"]["encoder"])
    return sealed, dict(safetensors.numpy.load_file(path))


def closed(sealed: dict[str, Any], tensors: dict[str, Any]) -> bytes:
    """The bytes of a file with a right checksum."""
    encoder = sealed["model"].get("encoder")
    if isinstance(encoder, dict) and "columns" in encoder:
        sealed["model"]["encoder"] = json.dumps(encoder)
    sealed["sha256"] = modelfile._digest(sealed["model"], tensors)
    whole = {name: np.ascontiguousarray(value) if value.ndim else value for name, value in tensors.items()}
    return safetensors.numpy.save(whole, metadata={"fallline": json.dumps(sealed)})


def uses(result: fallline.Result, folder: Path, dice: random.Random) -> Iterator[Callable[[], Any]]:
    """All that is done with a model that was loaded."""
    frame, n = table(), len(result.feature_names)
    yield lambda: str(result)
    yield lambda: repr(result)
    yield result._repr_html_
    yield result.history._repr_html_
    yield result.to_json
    yield result.to_sql
    yield lambda: result.to_sql("sqlite")
    yield lambda: result.diagnose(healthy=True)
    if result.loss is not None:
        yield lambda: json.dumps(as_object(result, None), allow_nan=False)
    yield lambda: [finding._repr_html_() for finding in result.findings]
    yield lambda: None if result.inference is None else result.inference.table()
    if result.encoder is not None:
        encoder = result.encoder
        yield lambda: list(Predictor(result, encoder, "new.csv").frames(iter([frame, frame.head(1)])))
    else:
        yield lambda: result.predict(np.ones((2, n)))
        yield lambda: result.look_at(np.ones((30, n)))
    if dice.random() < SHOWN:
        yield lambda: page({"m": result}).encode()
        yield lambda: page({"m": result, "n": result}).encode()
        yield lambda: str(result.rate_report())
        yield result.to_onnx
        yield result.to_sklearn
        yield lambda: fallline.load(result.save(folder / "again.fall"))


def trial(data: bytes, folder: Path, dice: random.Random, met: Counter[str]) -> None:
    """Load and use a file; anything but a sentence of ours is an error."""
    path = folder / "m.fall"
    path.write_bytes(data)
    try:
        result = fallline.load(path)
    except FalllineError as error:
        told = str(error).removeprefix(f"{path}: ")
        assert told.isprintable() and len(told) <= LONGEST, repr(told)
        met["refused"] += 1
        return
    met["loaded"] += 1
    for use in uses(result, folder, dice):
        try:
            use()
        except FalllineError as error:
            met["refused when used"] += 1
            assert "\x1b" not in str(error) or result.encoder is not None


@pytest.fixture(name="quiet", autouse=True)
def _quiet() -> Iterator[None]:
    """Overflow in the numbers of a stranger is no news; what takes a minute is a hang."""
    signal.alarm(3600 if LONG > 1 else 300)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
    signal.alarm(0)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each field of JSON; of a list the first two entries and the last one."""
    yield at
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*at, key))
    elif isinstance(value, list):
        for k in sorted({0, 1, len(value) - 1} & set(range(len(value)))):
            yield from places(value[k], (*at, k))


def changed(model: dict[str, Any], dice: random.Random) -> None:
    """Change one field, or a few: to something odd, to another field, away, more of it, another name."""
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        every = [at for at in places(model) if at]
        *way, last = dice.choice(every)
        inside: Any = model
        for key in way:
            inside = inside[key]
        how = dice.random()
        if how < 0.6:
            inside[last] = copy.deepcopy(dice.choice(ODD))
        elif how < 0.7:
            del inside[last]
        elif how < 0.8:
            other: Any = model
            for key in dice.choice(every):
                other = other[key]
            inside[last] = copy.deepcopy(other)
        elif how < 0.9 and isinstance(inside, list):
            inside.extend(copy.deepcopy(inside) * dice.choice((1, 3)))
        elif isinstance(inside, dict):
            inside[dice.choice(("more", "$more", "", "name", "\x1b[2J"))] = copy.deepcopy(inside[last])


def changed_arrays(tensors: dict[str, Any], dice: random.Random) -> None:
    """Change an array, or a few: a number in it, its length, its shape, its type, or all of it."""
    for _ in range(dice.choice((1, 1, 2))):
        name, how = dice.choice(sorted(tensors)), dice.random()
        array = tensors[name].copy()
        if how < 0.5 and array.size:
            array.flat[dice.randrange(array.size)] = dice.choice(NUMBERS)
            tensors[name] = array
        elif how < 0.6 and array.size:
            tensors[name] = np.full_like(array, dice.choice(NUMBERS))
        elif how < 0.7:
            tensors[name] = array.ravel()[:-1].copy()
        elif how < 0.8:
            del tensors[name]
        elif how < 0.85:
            tensors[name] = array[None].copy()
        elif how < 0.9:
            tensors[name] = array.astype(np.float32)
        else:
            tensors[dice.choice(EXTRA)] = np.random.default_rng(dice.randrange(9)).normal(size=dice.choice(SHAPES))


@pytest.mark.parametrize("what", ["fields", "arrays", "both"])
def test_files_with_a_right_checksum_are_refused_or_can_be_used(models: list[Model], tmp_path: Path, what: str) -> None:
    dice, met = random.Random(f"{what} 18"), Counter[str]()
    for _ in range({"fields": 160, "arrays": 60, "both": 60}[what] * LONG):
        sealed, tensors = copy.deepcopy(dice.choice(models))
        if what != "arrays":
            changed(sealed["model"], dice)
        if what != "fields":
            changed_arrays(tensors, dice)
        if not tensors or not all(tensor.size for tensor in tensors.values()) and dice.random() < 0.5:
            continue
        try:
            data = closed(sealed, tensors)
        except (ValueError, UnicodeError):  # what JSON cannot hold
            continue
        trial(data, tmp_path, dice, met)
    assert met["refused"] > 5 * LONG and met["loaded"] > 5 * LONG, met


def test_every_field_may_be_anything(models: list[Model], tmp_path: Path) -> None:
    """In the long run each field of each model is changed to each of the odd values, else some of them."""
    dice, met = random.Random(19), Counter[str]()
    every = [
        (k, at, value)
        for k, (sealed, _) in enumerate(models) for at in list(places(sealed["model"]))[1:] for value in range(len(ODD))
    ]  # fmt: skip
    for k, at, value in every if LONG > 1 else dice.sample(every, 160):
        sealed, tensors = copy.deepcopy(models[k])
        inside = sealed["model"]
        for key in at[:-1]:
            inside = inside[key]
        inside[at[-1]] = copy.deepcopy(ODD[value])
        trial(closed(sealed, tensors), tmp_path, dice, met)
    assert met["refused"] > 20 and met["loaded"] > 20, met


def test_flipped_bits_and_pieces_are_told(models: list[Model], tmp_path: Path) -> None:
    """A changed byte is met by the checksum, or changes nothing that is shown (the version, a letter of an exponent)."""
    dice, met = random.Random(20), Counter[str]()
    files = [closed(copy.deepcopy(sealed), tensors) for sealed, tensors in models]
    for _ in range(250 * LONG):
        data = bytearray(dice.choice(files))
        for _ in range(dice.choice((1, 1, 1, 5))):
            place, how = dice.randrange(len(data)), dice.random()
            if how < 0.6:
                data[place] ^= 1 << dice.randrange(8)
            elif how < 0.7:
                del data[place:]
            elif how < 0.8:
                data[place:place] = dice.randbytes(dice.choice((1, 8, 100)))
            elif how < 0.9:
                del data[place : place + dice.choice((1, 8, 100))]
            else:
                data[:8] = dice.choice((b"\xff" * 8, b"\0" * 8, (2**62).to_bytes(8, "little"), dice.randbytes(8)))
            data = data or bytearray(b"{")
        trial(bytes(data), tmp_path, dice, met)
    assert met["refused"] > 235 * LONG, met
