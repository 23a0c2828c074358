"""Model files: whole or not at all, the same after loading, and no harm from strangers."""

from __future__ import annotations

import dataclasses
import errno
import functools
import json
import math
import os
import pickle
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

import fallline
from fallline import modelfile, modelparts
from fallline.errors import ModelFileError, SettingError, SettingTypeError
from fallline.history import COLUMNS, History
from fallline.losses import losses
from fallline.losses.huber import Huber
from fallline.losses.logistic import Logistic
from fallline.losses.softmax import Softmax
from fallline.losses.squared import Squared
from fallline.modelfile import load_model, save_model
from fallline.optimizers import optimizers
from fallline.optimizers._base import Optimizer
from fallline.penalties import penalties
from fallline.penalties.bounds import Bounds
from fallline.penalties.l1 import L1
from fallline.penalties.l2 import L2
from fallline.penalties.none import NoPenalty
from fallline.penalties.total import Total
from fallline.summary import DataSummary
from fallline.symptoms._base import Finding
from fallline.verdict import Certainty, Verdict


def history_of(rows: int) -> History:
    history = History()
    for t in range(rows):
        history.append(step=t, passes=t, loss=math.exp(-t / 100.0), learning_rate=0.1, seconds=t / 7.0)
    return history


def some_result(**other: Any) -> SimpleNamespace:
    """All that a Result has, with the awkward values in it."""
    n = 3
    parts: dict[str, Any] = {
        "theta": np.array([0.1, -0.0, 1e-300, 1 / 3]), "coef": np.array([0.1, -0.0, 1e-300]), "intercept": 1 / 3,
        "history": history_of(20), "verdict": Verdict.GOOD_ENOUGH, "certainty": Certainty.MEASURED,
        "sentence": "the gradient is 0.1 % of its size at the start: \u00e9.",
        "findings": [
            Finding(
                "D02", "diverging", Certainty.PROVED, "up", "fallline.fit(X, y, l2=0.1)",
                {"L": math.inf, "m": np.int64(3), "of": "f"}, 7,
            )
        ],
        "gap": np.float64(1e-9), "best_loss": 0.25, "baseline_loss": math.nan, "loss": Huber(np.float64(0.7)),
        "penalty": Total((L2(0.1), Bounds(lower=0.0, upper=(1.0, 2.0, math.inf)))),
        "optimizer": optimizers()["momentum"](beta=0.5),
        "rate_reason": "0.21 = 1/L", "method": "gradient descent",
        "feature_names": ("a", 'quote " \\ \n', "\U0001f600\ud800"), "target_name": "price", "classes": None,
        "summary": DataSummary(
            ("a", 'quote " \\ \n', "\U0001f600\ud800"), 100, np.zeros(n), np.ones(n), np.full(n, -3.0), np.full(n, 3.0),
            "price", 1.5, 0.5, -1.0, math.inf, {"a": 3},
        ),
        "check": {"rows": 20.0, "loss": 0.3, "baseline_loss": 0.5, "r2": -math.inf},
        "settings": {"l2": 0.1, "tol": np.float32(0.5), "ends": (0, None), "$odd": {"$float": 1}, "all": [1, True]},
        "encoder": None, "stop_reason": "gradient", "seconds": 1.25, "passes": 20.0, "steps": np.int64(19),
        "inference": None, "no_inference": "it was not asked for", "reliability": None, "evidence": None, "bowl": None,
        "path": None,
    }  # fmt: skip
    return SimpleNamespace(**(parts | other))


def same(a: Any, b: Any) -> bool:
    """Equal in value and in kind, NaN like NaN."""
    if isinstance(a, History):
        return len(a) == len(b) and all(same(a[name], b[name]) for name in COLUMNS)
    if isinstance(a, np.ndarray):
        return type(b) is np.ndarray and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    a = a.item() if isinstance(a, np.generic) else a
    if isinstance(a, float):
        return isinstance(b, float) and (a == b or (math.isnan(a) and math.isnan(b)))
    return type(a) is type(b) and a == b


def assert_loads_as(path: Path, result: SimpleNamespace) -> None:
    loaded, expected = load_model(path), vars(result)
    assert set(loaded) == set(expected)
    assert [name for name in expected if not same(expected[name], loaded[name])] == []


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "model.fall"


@pytest.fixture(name="saved")
def _saved(path: Path) -> Path:
    save_model(some_result(), path)
    return path


def opened(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The JSON and the arrays of a model file."""
    with safetensors.safe_open(path, framework="numpy") as file:
        text = file.metadata()["fallline"]
    return json.loads(text), dict(safetensors.numpy.load_file(path))


def close(path: Path, sealed: dict[str, Any], tensors: dict[str, Any], *, seal: bool = True) -> None:
    """Write them again, with a checksum that is right, as somebody with intent would."""
    if seal:
        sealed["sha256"] = modelfile._digest(sealed["model"], tensors)
    path.write_bytes(safetensors.numpy.save(tensors, metadata={"fallline": json.dumps(sealed)}))


# There and back


def test_everything_comes_back(saved: Path) -> None:
    assert_loads_as(saved, some_result())


def test_the_arguments_are_those_of_a_result(saved: Path) -> None:
    assert set(load_model(saved)) == {field.name for field in dataclasses.fields(fallline.Result)}


def test_the_same_result_gives_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    save_model(some_result(), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == saved.read_bytes()
    save_model(SimpleNamespace(**load_model(saved)), tmp_path / "third")
    assert (tmp_path / "third").read_bytes() == saved.read_bytes()


@pytest.mark.parametrize(
    "classes",
    [("no", "yes"), (0, 1), (-1.5, 2.0), (False, True), (np.str_("a"), np.str_("b")), ("1", 1), (0.0, math.inf)],
)
def test_labels_keep_their_kind(path: Path, classes: tuple[Any, ...]) -> None:
    save_model(some_result(loss=Logistic(), classes=classes), path)
    assert same(classes, load_model(path)["classes"])


def test_several_classes(path: Path) -> None:
    result = some_result(
        loss=Softmax(), classes=("a", "b"), coef=np.arange(6.0).reshape(3, 2), intercept=np.array([1.0, 2.0]),
        theta=np.asfortranarray(np.arange(8.0).reshape(4, 2)),
    )  # fmt: skip
    save_model(result, path)
    assert_loads_as(path, result)


@pytest.mark.parametrize("x", [np.array(3.0), np.zeros((2, 3)), np.ones(5)])
def test_a_point_of_minimize(path: Path, x: Any) -> None:
    result = some_result(
        theta=x, coef=x, intercept=0.0, loss=None, penalty=None, summary=None, feature_names=(), gap=None, check=None,
        findings=[], history=History(),
    )  # fmt: skip
    save_model(result, path)
    assert_loads_as(path, result)


def test_float32_stays(path: Path) -> None:
    result = some_result(theta=np.ones(3, dtype=np.float32), coef=np.ones(3, dtype=np.float32))
    save_model(result, path)
    assert_loads_as(path, result)


@pytest.mark.parametrize("name", list(losses()))
def test_every_loss(path: Path, name: str) -> None:
    loss, several = losses()[name](), {}
    if loss.link == "softmax":
        several = {"theta": np.ones((4, 2)), "coef": np.ones((3, 2)), "intercept": np.ones(2), "classes": ("a", "b")}
    save_model(some_result(loss=loss, **several), path)
    assert load_model(path)["loss"] == loss


@pytest.mark.parametrize("name", list(optimizers()))
def test_every_optimizer(path: Path, name: str) -> None:
    save_model(some_result(optimizer=optimizers()[name]()), path)
    assert load_model(path)["optimizer"] == optimizers()[name]()


@pytest.mark.parametrize(
    "penalty",
    [
        NoPenalty(),
        L2(1),
        L1(0.5),
        penalties()["elastic net"](0.1, 0.2),
        Bounds(),
        Bounds(upper=[1, 2]),
        Total((L1(1.0),)),
    ],
)
def test_every_penalty(path: Path, penalty: Any) -> None:
    save_model(some_result(penalty=penalty), path)
    assert load_model(path)["penalty"] == penalty


def test_members_of_no_family(path: Path) -> None:
    class Mine(Squared):
        name = "squared"

    class Rule(Optimizer[Any]):
        name = "rule"

        def init(self, theta: Any) -> Any:
            return ()

        def update(self, g: Any, state: Any, lr: float) -> Any:
            return g, state

    class Prior(L2):
        name = "prior"

    with pytest.raises(ModelFileError, match="loss Mine is not one of fallline's"):
        save_model(some_result(loss=Mine()), path)
    assert not path.exists()
    save_model(some_result(optimizer=Rule(), penalty=Total((Prior(1.0), L1(1.0)))), path)
    loaded = load_model(path)
    assert loaded["optimizer"] is None and loaded["penalty"] is None


def test_what_cannot_be_kept_is_refused(path: Path) -> None:
    with pytest.raises(ModelFileError, match="class label .* of the kind complex"):
        save_model(some_result(loss=Logistic(), classes=(1j, 2j)), path)
    with pytest.raises(ModelFileError, match="not plain data"):
        save_model(some_result(settings={"f": print}), path)
    assert not path.exists()


def test_an_encoder(path: Path) -> None:
    pl = pytest.importorskip("polars")
    from fallline.rows.encoder import Encoder

    frame = pl.DataFrame({"town": ["A", "B\u00e9", None, "A"] * 20, "size": [1.0, 2.0, None, 4.0] * 20, "y": range(80)})
    encoder = Encoder.learn(frame, "y")
    n = len(encoder.features)
    parts = {"theta": np.ones(n + 1), "coef": np.ones(n), "feature_names": encoder.features, "summary": None}
    save_model(some_result(encoder=encoder, **parts), path)
    loaded = load_model(path)["encoder"]
    assert loaded == encoder
    assert loaded.to_json() == encoder.to_json()


# The history


def test_columns_without_a_value_take_no_room(saved: Path) -> None:
    _, tensors = opened(saved)
    columns = {"step", "passes", "loss", "learning_rate", "seconds", "accepted"}
    assert {name for name in tensors if name.startswith("history.")} == {f"history.{name}" for name in columns}


def test_a_long_history_is_thinned_and_keeps_what_matters(path: Path) -> None:
    history = history_of(18_000)
    for row, column, value in (
        (13_111, "accepted", 0.0),
        (12_345, "loss", -1.0),
        (777, "check_loss", 0.5),
        (9, "gap", 1.0),
    ):
        history._data[row, COLUMNS.index(column)] = value
    finding = Finding("D02", "diverging", Certainty.PROVED, "", "", step=10_001)
    save_model(some_result(history=history, findings=[finding]), path)
    loaded = load_model(path)["history"]
    assert len(loaded) <= modelparts.MOST_HISTORY
    assert {0.0, 17_999.0, 13_111.0, 12_345.0, 777.0, 9.0, 10_001.0} <= set(loaded.step)
    assert np.all(np.diff(loaded.step) > 0) and np.diff(loaded.step).max() <= 9
    np.testing.assert_array_equal(loaded.seconds, history.seconds[loaded.step.astype(int)])
    assert path.stat().st_size < 1_000_000
    assert opened(path)[0]["model"]["history"] == {"rows": len(loaded), "of": 18_000}


def test_a_history_where_every_row_is_an_event(path: Path) -> None:
    history = history_of(20_000)
    history._data[:, COLUMNS.index("accepted")] = 0.0
    save_model(some_result(history=history), path)
    assert modelparts.MOST_HISTORY - 2600 <= len(load_model(path)["history"]) <= modelparts.MOST_HISTORY


# Writing


@pytest.fixture(name="only_old")
def _only_old(path: Path) -> Iterator[Path]:
    """A file that is there already: after the test it is as it was, and alone."""
    path.write_bytes(b"old")
    yield path
    assert path.read_bytes() == b"old"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_disk_that_fills_up_while_writing(only_old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, left = os.write, [1000]

    def write(handle: int, data: Any) -> int:
        """As a disk does: what fits is taken, and the next attempt tells why there was no more."""
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = real(handle, data[: left[0]])
        left[0] -= taken
        return taken

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(ModelFileError, match="was not written: the disk is full. Nothing was changed"):
            save_model(some_result(), only_old)
    assert left == [0]


@pytest.mark.parametrize(("call", "code", "words"), [
    ("fsync", errno.ENOSPC, "the disk is full"),
    ("fsync", errno.EDQUOT, "quota"),
    ("open", errno.EROFS, "read-only"),
    ("open", errno.EACCES, "no permission"),
    ("replace", errno.EIO, os.strerror(errno.EIO)),
])  # fmt: skip
def test_a_disk_that_refuses(only_old: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int, words: str) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(ModelFileError, match=words):
            save_model(some_result(), only_old)


def test_a_limit_on_the_size_of_files(only_old: Path) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(ModelFileError, match="larger than is allowed"):
            save_model(some_result(), only_old)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_an_interrupt_leaves_nothing(only_old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            save_model(some_result(), only_old)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_and_file(path: Path) -> None:
    path.write_bytes(b"old")
    path.chmod(0o400)
    with pytest.raises(ModelFileError, match="no permission"):
        save_model(some_result(), path)
    path.parent.chmod(0o500)
    try:
        with pytest.raises(ModelFileError, match="no permission"):
            save_model(some_result(), path.with_name("other"))
    finally:
        path.parent.chmod(0o700)
    assert path.read_bytes() == b"old"


def test_places_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such folder"):
        save_model(some_result(), tmp_path / "none" / "model.fall")
    with pytest.raises(ModelFileError, match="is a folder"):
        save_model(some_result(), tmp_path)
    assert list(tmp_path.iterdir()) == []
    for path in (3, None):
        with pytest.raises(SettingTypeError, match="must be a file name"):
            save_model(some_result(), path)
    for name in ("", "a\0b"):
        with pytest.raises(SettingError, match="must be a file name"):
            save_model(some_result(), name)
        with pytest.raises(SettingError, match="must be a file name"):
            load_model(name)


def test_an_existing_model_is_replaced_and_keeps_its_mode_and_its_link(path: Path, tmp_path: Path) -> None:
    path.write_bytes(b"old")
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(path)
    save_model(some_result(), link)
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert_loads_as(path, some_result())


def test_names_without_end_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modelfile, "MOST_HEADER", 1000)
    with pytest.raises(ModelFileError, match="1,000 is the most"):
        save_model(some_result(), path)
    assert not path.exists()


# Reading what is not a model, or was one


def says(path: Path, words: str) -> None:
    """Loading fails in one sentence that begins with the file's name."""
    with pytest.raises(ModelFileError, match=words) as caught:
        load_model(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message and message.endswith(".")
    assert caught.value.__cause__ is None


def test_not_a_file(tmp_path: Path) -> None:
    says(tmp_path / "none.fall", "no such file")
    says(tmp_path, "folder or a device")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        says(tmp_path / "pipe", "folder or a device")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"{", "not a fallline model"),
        (b"town,price\nA,1\n" * 100, "not a fallline model"),
        (pickle.dumps({"coef": [1.0] * 100}), "not a fallline model"),
        (b"PK\x03\x04" + bytes(100), "not a fallline model"),
        (b"\xff" * 7 + b"\x7f{", "header of 9,2"),
        ((2).to_bytes(8, "little") + b"{}", "not one of a fallline model"),
        ((4).to_bytes(8, "little") + b"{\xff\xfe}", "not written by fallline"),
        ((200_002).to_bytes(8, "little") + b'{"a":' + b"[" * 199_997, "not written by fallline"),
        (safetensors.numpy.save({"coef": np.ones(3)}), "not one of a fallline model"),
        (safetensors.numpy.save({"coef": np.ones(3)}, {"format": "pt"}), "not one of a fallline model"),
        (safetensors.numpy.save({"coef": np.ones(3)}, {"fallline": "[1"}), "not written by fallline"),
        (safetensors.numpy.save({"coef": np.ones(3)}, {"fallline": "[]"}), "not written by fallline"),
        (safetensors.numpy.save({"coef": np.ones(3)}, {"fallline": '{"format":1,"library":""}'}), "is missing"),
        (safetensors.numpy.save({"c": np.ones(3, dtype=np.int8)}, {"fallline": '{"format":1,"library":""}'}), "of I8"),
    ],
)  # fmt: skip
def test_not_a_model(path: Path, content: bytes, words: str) -> None:
    path.write_bytes(content)
    says(path, words)


def test_every_truncation_is_told(saved: Path) -> None:
    whole = saved.read_bytes()
    for length in (*range(0, 60), *range(60, len(whole), 97), len(whole) - 1):
        saved.write_bytes(whole[:length])
        says(saved, "cut off|not a fallline model|empty")
    saved.write_bytes(whole + b"x")
    says(saved, "longer than it says")


def test_a_newer_version(saved: Path) -> None:
    sealed, tensors = opened(saved)
    close(saved, {"format": 7, "library": "9.9", "new": []}, tensors, seal=False)
    says(
        saved, rf"this model was written by fallline 9.9 \(format 7\); this is fallline {fallline.__version__}, which "
        "reads formats 1 to 1: upgrade fallline",
    )  # fmt: skip
    close(saved, sealed | {"format": 0}, tensors, seal=False)
    says(saved, "train it again")
    close(saved, sealed | {"format": "1"}, tensors, seal=False)
    says(saved, "format is '1'")
    close(saved, sealed | {"format": 8, "library": "\x1b[31mred\n"}, tensors, seal=False)
    says(saved, r"fallline \\x1b\[31mred\\n")


def test_damage_is_told_by_the_checksum(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[-3] ^= 1
    saved.write_bytes(content)
    says(saved, "checksum")
    sealed, tensors = opened(saved)
    sealed["model"]["steps"] += 1
    close(saved, sealed, tensors, seal=False)
    says(saved, "checksum")


REWRITTEN = [
    ("verdict", "perfect", "'perfect' is not a valid Verdict"),
    ("certainty", None, "not a valid Certainty"),
    ("sentence", 3, "sentence is 3"),
    ("steps", 1.5, "steps is 1.5"),
    ("steps", True, "steps is True"),
    ("best_loss", "low", "best_loss is 'low'"),
    ("best_loss", {"$float": "low"}, "could not convert"),
    ("best_loss", 10**400, "out of range"),
    ("gap", [1], "gap is"),
    ("findings", [{"code": "D01"}], "is missing"),
    ("findings", 3, "findings is 3"),
    ("loss", {"name": "os.system", "settings": {}}, "names the loss 'os.system', which fallline .* does not have"),
    ("loss", {"name": ["huber"], "settings": {}}, "not written by fallline"),
    ("loss", {"name": "huber", "settings": {"delta": "1"}}, "the loss 'huber' has '1' as its delta"),
    ("loss", {"name": "huber", "settings": {"delta": True}}, "has True as its delta"),
    ("loss", {"name": "huber", "settings": {"delta": -1.0}}, "Huber"),
    ("loss", {"name": "huber", "settings": {"__class__": 1}}, "'__class__' is missing"),
    ("loss", {"name": "huber"}, "'settings' is missing"),
    ("loss", "huber", "not written by fallline"),
    ("penalty", {"name": "total", "settings": {"parts": [1]}}, "as its parts"),
    ("penalty", {"name": "total", "settings": {"parts": {"$tuple": [{"$tuple": []}]}}}, "as its parts"),
    ("penalty", {"name": "total", "settings": {"parts": {"$tuple": [{"$loss": {"name": "squared", "settings": {}}}]}}},
     "as its parts"),
    ("penalty", {"name": "l2", "settings": {"strength": {"$tuple": [1.0]}}}, "as its strength"),
    ("penalty", {"name": "l2", "settings": {}}, "strength"),
    ("optimizer", {"name": "momentum", "settings": {"beta": None}}, "as its beta"),
    ("feature_names", ["a", "b"], "one entry for each of its 2"),
    ("feature_names", ["a", "b", 3], "a column's name is 3"),
    ("feature_names", "abc", "the columns' names is 'abc'"),
    ("classes", ["a", "b", "c"], "3 classes"),
    ("classes", [None, "b"], "class label None"),
    ("classes", [[], "b"], "class label"),
    ("check", [1], r"check is \[1\]"),
    ("check", {"rows": "many"}, "rows is 'many'"),
    ("settings", [], "settings is"),
    ("settings", {"$eval": "1"}, "'eval' is missing"),
    ("encoder", {"columns": 3}, "columns cannot be read"),
    ("encoder", "{}", "columns cannot be read"),
    ("history", {"rows": 21}, "columns of the history"),
    ("history", {"rows": 10**12}, "columns of the history"),
    ("history", {}, "'rows' is missing"),
    ("summary", {"names": ["a"]}, "one entry for each"),
    ("summary", {"names": None}, "is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("part", "value", "words"), REWRITTEN)
def test_rewritten_with_intent(saved: Path, part: str, value: Any, words: str) -> None:
    sealed, tensors = opened(saved)
    sealed["model"][part] = value
    close(saved, sealed, tensors)
    says(saved, words)


LATER = (
    "inference",
    "no_inference",
    "reliability",
    "evidence",
    "bowl",
    "path",
)  # came after the first files, which have none of them


@pytest.mark.parametrize("part", [part for part in vars(some_result()) if part not in LATER])
def test_every_part_must_be_there(saved: Path, part: str) -> None:
    sealed, tensors = opened(saved)
    if part in sealed["model"]:
        del sealed["model"][part]
    else:
        del tensors[part]
    close(saved, sealed, tensors)
    says(saved, f"'{part}' is missing")


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("coef", np.ones(4)), ("coef", np.ones((3, 2))), ("coef", np.array(1.0)), ("intercept", np.ones(2)),
        ("theta", np.ones(5)), ("theta", np.ones((4, 1))), ("history.loss", np.ones(3)),
        ("history.loss", np.ones((20, 1))),
        ("summary.sd", np.ones(2)), ("coef", np.zeros((3, 0))),
    ],
)  # fmt: skip
def test_arrays_of_other_shapes(saved: Path, name: str, tensor: Any) -> None:
    sealed, tensors = opened(saved)
    close(saved, sealed, tensors | {name: tensor})
    says(saved, "do not fit together|history|one entry for each")


def test_nothing_that_a_file_says_is_run(saved: Path, tmp_path: Path) -> None:
    sealed, tensors = opened(saved)
    sealed["model"]["settings"] = {"a": f"__import__('pathlib').Path({str(tmp_path / 'trace')!r}).touch()"}
    close(saved, sealed, tensors)
    load_model(saved)
    assert not (tmp_path / "trace").exists()


# Fuzz: a valid file with random damage either loads as the same result or raises ModelFileError, and nothing else


@pytest.fixture(name="valid", scope="module")
def _valid(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, dict[str, Any]]:
    path = tmp_path_factory.mktemp("fuzz") / "model.fall"
    save_model(some_result(), path)
    return path, path.read_bytes(), load_model(path)


def loads_equal_or_is_refused(valid: tuple[Path, bytes, dict[str, Any]], content: bytes) -> None:
    path, _, expected = valid
    path.write_bytes(content)
    try:
        loaded = load_model(path)
    except ModelFileError:
        return
    assert [name for name in expected if not same(expected[name], loaded[name])] == []


@given(cut=st.floats(0.0, 1.0))
def test_fuzz_truncation(valid: Any, cut: float) -> None:
    loads_equal_or_is_refused(valid, valid[1][: int(cut * len(valid[1]))])


@given(flips=st.lists(st.tuples(st.floats(0.0, 1.0, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4))
def test_fuzz_flipped_bytes(valid: Any, flips: list[tuple[float, int]]) -> None:
    content = bytearray(valid[1])
    for place, mask in flips:
        content[int(place * len(content))] ^= mask
    loads_equal_or_is_refused(valid, bytes(content))


@given(
    start=st.floats(0.0, 1.0), length=st.integers(0, 40), other=st.binary(max_size=40),
)  # fmt: skip
def test_fuzz_replaced_bytes(valid: Any, start: float, length: int, other: bytes) -> None:
    begin = int(start * len(valid[1]))
    loads_equal_or_is_refused(valid, valid[1][:begin] + other + valid[1][begin + length :])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=5) | st.sampled_from(["$tuple", "$float", "$array", "$dict", "$loss", "name", "settings"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(part=st.sampled_from(sorted(set(vars(some_result())) - {"theta", "coef", "intercept"})), value=JSON)
def test_fuzz_rewritten_parts(valid: Any, part: str, value: Any) -> None:
    """With a right checksum: the result may differ, but only ModelFileError is raised."""
    path, content, _ = valid
    path.write_bytes(content)
    sealed, tensors = opened(path)
    sealed["model"][part] = value
    close(path, sealed, tensors)
    try:
        loaded = load_model(path)
    except ModelFileError:
        return
    assert isinstance(loaded["sentence"], str) and isinstance(loaded["steps"], int)


# Real results


@pytest.mark.parametrize("loss", list(losses()))
def test_predictions_are_bit_equal_after_loading(path: Path, loss: str) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(80, 3)) * [1.0, 100.0, 0.01]
    z = X @ [1.0, -0.01, 50.0]
    task = losses()[loss].task
    y: Any = np.exp(z / 2.0)
    if task == "two classes":
        y = np.where(z + random.logistic(size=80) > 0.0, "yes", "no")
    elif task == "classes":
        y = np.array(["a", "b", "c"])[np.digitize(z + random.logistic(size=80), [-0.5, 0.5])]
    result = fallline.fit(X, y, loss=loss, l2=0.01, check=0.25, max_passes=200)
    assert result.save(path) == path
    loaded = fallline.load(path)
    fresh = random.normal(size=(50, 3))
    np.testing.assert_array_equal(loaded.predict(fresh), result.predict(fresh))
    assert loaded.decision(fresh).tobytes() == result.decision(fresh).tobytes()
    for field in dataclasses.fields(result):
        assert same(getattr(result, field.name), getattr(loaded, field.name)), field.name


def test_a_minimum_is_saved_and_loaded(path: Path) -> None:
    result = fallline.minimize(lambda x: float(np.sum((x - 1.0) ** 2)), np.zeros((2, 2)), grad=lambda x: 2 * (x - 1.0))
    result.save(path)
    assert fallline.load(path).theta.tobytes() == result.theta.tobytes()


MODELS = Path(__file__).parent / "models"  # written by the first release of each format; README.md there says how


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.fall")), ids=lambda path: path.stem)
def test_files_of_every_earlier_format_still_predict_the_same(path: Path, tmp_path: Path) -> None:
    form, _, name = path.stem.partition("-")
    said = json.loads((MODELS / f"{form}.json").read_text())[name]
    result = fallline.load(path)
    if result.loss is None:
        assert result.theta.tolist() == said
        return
    if result.encoder is None:
        found = result.predict(np.random.default_rng(0).normal(size=(80, 3))[:5])
    else:
        found = result.predict(_first_table().head(5))
    assert found.tolist() == said if found.dtype.kind == "U" else np.allclose(found, said, rtol=1e-12, atol=0.0)
    assert result.inference is None and result.reliability is None and len(result.history) > 0
    assert fallline.load(result.save(tmp_path / "again.fall")).coef.tobytes() == result.coef.tobytes()


def _first_table() -> Any:
    import datetime

    import polars as pl

    return pl.DataFrame(
        {
            "area": [None if k % 9 == 0 else float(k) for k in range(80)],
            "town": ["north", "south", "east"] * 26 + ["north", None],
            "sold": [datetime.date(2020, 1, 1) + datetime.timedelta(days=11 * k) for k in range(80)],
        }
    )


# Files of strangers that are right in form


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["theta", "coef", "intercept"])
def test_weights_that_are_not_finite_are_refused(saved: Path, name: str, value: float) -> None:
    sealed, tensors = opened(saved)
    tensors[name] = np.where(np.arange(max(tensors[name].size, 1)) == 0, value, tensors[name]).reshape(
        tensors[name].shape
    )
    close(saved, sealed, tensors)
    says(saved, f"its {name} is not finite")


def test_weights_that_are_not_finite_are_not_saved(path: Path) -> None:
    with pytest.raises(ModelFileError, match="not finite"):
        save_model(some_result(coef=np.array([1.0, math.nan, 1.0])), path)
    assert not path.exists()


def test_a_file_that_is_large_and_empty_is_refused_before_it_is_read(saved: Path) -> None:
    """Its size costs nobody anything: it has no blocks on the disk."""
    cells = 10**11
    header = {
        "__metadata__": {"fallline": json.dumps({"format": 1, "library": "1", "sha256": "", "model": {}})},
        "theta": {"dtype": "F64", "shape": [cells], "data_offsets": [0, 8 * cells]},
    }
    text = json.dumps(header).encode()
    with saved.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + 8 * cells)
    says(saved, r"its arrays take 800\.0 GB")


def test_a_header_of_millions_of_parts_is_refused_before_it_is_taken_apart(saved: Path) -> None:
    text = b'{"a":[' + b"[]," * (modelfile.MOST_PARTS // 2) + b"1]}"
    saved.write_bytes(len(text).to_bytes(8, "little") + text)
    says(saved, "more than 4,000,000 parts")


STRANGE = [
    ("check", {"rows": 3}, "lacks loss, baseline_loss"),
    ("check", {"rows": {"$float": "nan"}, "loss": 1, "baseline_loss": 1}, "rows of the check is nan"),
    ("seconds", {"$float": "nan"}, "seconds is nan"),
    ("gap", -1.0, "gap is -1.0"),
    ("steps", -1, "which is no count"),
    ("settings", {"versions": [1]}, "versions"),
    ("settings", {"command": {"named": {"l2": 1}}}, "command"),
    ("settings", {"a": functools.reduce(lambda inner, _: [inner], range(45), 1)}, "deep in one another"),
    ("sentence", "a" * 100_001, "100,001 letters"),
    ("classes", ["a"], "1 classes"),
    ("findings", [{"code": "x; rm", "title": "", "sentence": "", "remedy": "", "automatic": ""}], "no code of a finding"),
]  # fmt: skip


@pytest.mark.parametrize(("part", "value", "words"), STRANGE)
def test_what_could_not_be_shown_is_refused(saved: Path, part: str, value: Any, words: str) -> None:
    sealed, tensors = opened(saved)
    sealed["model"][part] = value
    close(saved, sealed, tensors)
    says(saved, words)


FORMULAS = [
    {"terms": []}, {"terms": "a", "text": "", "target": "y", "intercept": True},
    {"terms": [["a"]], "text": "", "target": "y", "intercept": 1}, {"terms": [[3]], "text": "", "target": "y", "intercept": True},
    {"terms": [["-" * 1900 + "a"]], "text": "", "target": "y", "intercept": True},
    {"terms": [["1e999 * a"]], "text": "", "target": "y", "intercept": True},
    {"terms": [["a" * 3000]], "text": "", "target": "y", "intercept": True},
]  # fmt: skip
STRANGE_COLUMNS: list[dict[str, Any]] = [
    {"is": "number", "name": "a\ud800", "fill": 0.0}, {"is": "levels", "name": "a", "levels": ["\ud800"], "reference": None},
    {"is": "hashed", "name": "a", "levels": ["1"], "reference": None, "buckets": True},
    {"is": "moment", "name": "a", "first": "2024-01-01", "parts": [{"is": "number", "name": "b: days", "fill": 0.0}]},
    {"is": "moment", "name": "a", "first": "2024-01-01", "parts": [{"is": "number", "name": "a: weekday", "fill": 0.0}]},
    {"is": "moment", "name": "a", "first": "2024-99-01", "parts": []},
]  # fmt: skip


@pytest.mark.parametrize("odd", [*FORMULAS, *STRANGE_COLUMNS], ids=range(len(FORMULAS) + len(STRANGE_COLUMNS)))
def test_columns_that_no_table_can_have_are_refused(saved: Path, odd: dict[str, Any]) -> None:
    sealed, tensors = opened(saved)
    names = ["a", "b", "c"]
    columns: list[dict[str, Any]] = [{"is": "number", "name": name, "fill": 0.0} for name in names]
    own: dict[str, Any] = {"format": 1, "target": "y", "columns": columns, "left_out": {}, "holes": {}}
    sealed["model"] |= {"feature_names": names, "summary": None, "encoder": json.dumps(own)}
    close(saved, sealed, tensors)
    assert load_model(saved)["encoder"].features == ("a", "b", "c")
    if "is" in odd:
        own["columns"] = [odd, *columns[1:]]
    else:
        own["formula"] = odd
    sealed["model"]["encoder"] = json.dumps(own)
    close(saved, sealed, tensors)
    says(saved, "columns cannot be read")
    own |= {"columns": columns[:2], "formula": None}
    sealed["model"]["encoder"] = json.dumps(own)
    close(saved, sealed, tensors)
    says(saved, "not those of its weights")
