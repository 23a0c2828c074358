"""Caches and journals change no result: whatever is damaged, planted, cut short or run twice, the bits are the same."""

from __future__ import annotations

import json
import os
import random
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import fallline
from fallline.errors import DataError, FalllineError
from fallline.losses.huber import Huber
from fallline.losses.squared import Squared
from fallline.rows._base import Pass
from fallline.rows.arrays import ArrayRows
from fallline.rows.index import FORMAT, Index
from fallline.rows.journal import Journal
from fallline.rows.packed import Reader
from fallline.rows.sources import as_source
from fallline.rows.sources.frames import stamp
from fallline.rows.stored import StoredRows
from fallline.settings import Settings
from fallline.tables import Asked, asked, prepare, stream
from fallline.tables.cache import STALE, Cache
from faults import ERRORS, Faults, Killed

LONG = bool(os.environ.get("FALLLINE_LONG_TESTS"))  # all faults instead of a sample of them
ROWS, SMALL = 600, 100_000  # a budget of so many bytes
POSIX = pytest.mark.skipif(os.name != "posix", reason="owners, modes and locks are POSIX's")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Budgets and blocks may be tiny, and the cache is the test's own."""
    monkeypatch.setattr(asked, "LEAST_MEMORY", 1)
    monkeypatch.setattr(stream, "LEAST_BLOCK", 8_000)
    monkeypatch.setattr(stream, "FEW_BUCKETS", 2)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A table of numbers and text, a fifth of whose rows are checked on."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, ROWS))
    town = rng.choice(["north", "south", "east"], ROWS)
    frame = pl.DataFrame({"a": a, "b": b, "town": town, "y": a - 2.0 * b + (town == "east") + rng.normal(size=ROWS)})
    frame.write_parquet(tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


@pytest.mark.parametrize("relative", [".", "cache", ""])
def test_rows_never_lie_in_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, file: Path, relative: str
) -> None:
    """A relative cache folder counts as none, and so does a relative home."""
    here, own = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("own")
    monkeypatch.chdir(here)
    monkeypatch.setenv("XDG_CACHE_HOME", relative)
    monkeypatch.setenv("HOME", str(own))
    fitted(file)
    assert (own / ".cache" / "fallline" / "rows").is_dir()
    monkeypatch.setenv("HOME", relative or ".")
    monkeypatch.setattr("tempfile.tempdir", str(own))
    fitted(file)
    assert len(list(own.glob("fallline-rows-*"))) == 1 and not list(here.iterdir())


def fitted(file: Path, cache: Path | None = None, **how: Any) -> fallline.Result:
    return fallline.fit(file, "y", memory=SMALL, check=0.2, cache=cache, **{"tol": 1e-12, **how})


def bits(result: fallline.Result) -> tuple[Any, ...]:
    """All that a run tells, to the last bit."""
    history = result.history
    told = (result.best_loss, result.gap, result.steps, result.passes, str(result.verdict), json.dumps(result.check))
    return (
        result.theta.tobytes(),
        *told,
        history["loss"].tobytes(),
        history["full_loss"].tobytes(),
        result.feature_names,
    )


def home_of(tmp_path: Path) -> Path:
    return tmp_path / "home" / "fallline" / "rows"


def files_of(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file())


def flip(data: bytes, rng: random.Random) -> bytes:
    k = rng.randrange(8 * len(data))
    return data[: k // 8] + bytes([data[k // 8] ^ (1 << k % 8)]) + data[k // 8 + 1 :]


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes | None]] = {
    "flipped": flip,
    "cut": lambda data, rng: data[: rng.randrange(len(data))],
    "gone": lambda data, rng: None,
    "empty": lambda data, rng: b"",
    "zeroed": lambda data, rng: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
    "longer": lambda data, rng: data + b"0123456789abcdef",
    "turned": lambda data, rng: data[len(data) // 2 :] + data[: len(data) // 2],
}


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_a_damaged_file_of_the_cache_changes_nothing(damage: str, file: Path, tmp_path: Path) -> None:
    cache, good, rng = tmp_path / "cache", tmp_path / "good", random.Random(damage)
    expected = bits(fitted(file, cache))
    shutil.copytree(cache, good)
    damaged = [path for path in files_of(good) if path.suffix != ".lock"]
    assert {path.name for path in damaged} == {"rows.bin", "index.json", "journal"}
    assert len(damaged) == 4  # rows to train on and to check on
    for path in damaged:
        for _ in range(20 if LONG else 1):
            shutil.rmtree(cache)
            shutil.copytree(good, cache)
            after = DAMAGES[damage](path.read_bytes(), rng)
            where = cache / path.relative_to(good)
            where.unlink() if after is None else where.write_bytes(after)
            assert bits(fitted(file, cache)) == expected, path
            if path.name != "journal":  # whose loss costs passes, and no rows
                assert where.read_bytes() == path.read_bytes()


def test_a_folder_of_check_rows_that_is_deleted_is_made_again(file: Path, tmp_path: Path) -> None:
    first = fitted(file, tmp_path)
    assert first.check is not None
    shutil.rmtree(next(tmp_path.glob("rows-*/check")))
    assert bits(fitted(file, tmp_path)) == bits(first)


def test_the_command_line_says_why_rows_were_made_anew(file: Path, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from fallline.cli import main

    args = ["fit", str(file), "--target", "y", "--memory", str(SMALL), "--cache", str(tmp_path / "cache"), "--plain"]
    args += ["--out", str(tmp_path / "m.fall")]
    assert CliRunner().invoke(main, args).exit_code == 0
    rows = next((tmp_path / "cache").glob("rows-*/check/rows.bin"))
    rows.write_bytes(flip(rows.read_bytes(), random.Random(0)))
    told = " ".join(CliRunner().invoke(main, args).output.split())
    assert "made anew" in told and "damaged" in told
    assert "made anew" not in CliRunner().invoke(main, args).output


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "a level's name": lambda index: index.update(encoder=index["encoder"].replace("north", "nurth")),
    "the weight": lambda index: index["shape"].update(total_weight=2.0 * index["shape"]["total_weight"]),
    "a block less": lambda index: index["shape"]["blocks"].pop(),
    "no check rows": lambda index: index.update(check=None),
    "the loss": lambda index: index.update(loss="huber"),
    "the count": lambda index: index.update(total=1),
    "what it was made of": lambda index: index.update(made_of="0" * 64),
    "the format": lambda index: index.update(format=FORMAT - 1),
    "huge rows": lambda index: index["shape"].update(m=2**62, blocks=[[0, 2**62, 0, 0]]),
    "huge columns": lambda index: index["shape"].update(n=2**62),
    "huge entries": lambda index: index["shape"].update(groups=-2, entries=[2**62] * len(index["shape"]["blocks"])),
    "a number for a list": lambda index: index.update(shape=7),
    "another field": lambda index: index["shape"].update(more=1),
    "a side of its own": lambda index: index["shape"].update(sides=["y", "y"]),
}


@pytest.mark.parametrize("sealed", [False, True], ids=["as found", "with a checksum made again"])
def test_a_changed_index_changes_nothing(sealed: bool, file: Path, tmp_path: Path) -> None:
    from fallline.rows import index as module

    expected = bits(fitted(file, tmp_path))
    path = next(tmp_path.glob("rows-*/train/index.json"))
    good = json.loads(path.read_text(encoding="utf-8"))
    told = ["the weight", "a level's name", "no check rows", "the loss", "the count"]  # of which a forger knows best
    for name, change in CHANGES.items():
        if sealed and name in told:
            continue
        index = json.loads(json.dumps(good))
        change(index)
        if sealed:
            del index["blake2b"]
            index = {"blake2b": module._digest(index), **index}
        path.write_text(json.dumps(index), encoding="utf-8")
        assert bits(fitted(file, tmp_path)) == expected, name
        assert json.loads(path.read_text(encoding="utf-8")) == good, name


def test_sizes_that_cannot_be_are_refused_before_anything_is_allocated(file: Path, tmp_path: Path) -> None:
    from fallline.rows import index as module

    fitted(file, tmp_path)
    path = next(tmp_path.glob("rows-*/train/index.json"))
    index = json.loads(path.read_text(encoding="utf-8"))
    index["shape"]["entries"] = [2**62] * len(index["shape"]["blocks"])
    del index["blake2b"]
    path.write_text(json.dumps({"blake2b": module._digest(index), **index}), encoding="utf-8")
    with pytest.raises(DataError, match="damaged"):
        Index.read(path.parent, index["made_of"])
    path.write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(DataError, match="damaged"):
        Index.read(path.parent, index["made_of"])


def test_the_cache_of_another_table_is_not_taken(file: Path, tmp_path: Path) -> None:
    """Files or whole folders swapped: what is bound to other rows is made anew."""
    other = tmp_path / "u.parquet"
    pl.read_parquet(file).with_columns(y=pl.col("y") * 3.0).write_parquet(other)
    expected, different = bits(fitted(file, tmp_path / "a")), bits(fitted(other, tmp_path / "b"))
    assert expected != different
    mine, others = (
        next((tmp_path / "a").glob("rows-*/train")).parent,
        next((tmp_path / "b").glob("rows-*/train")).parent,
    )
    for name in ("train/rows.bin", "check/rows.bin", "train/index.json", "journal", "train", "check", ""):
        assert bits(fitted(file, tmp_path / "a")) == expected
        source, target = others / name, mine / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
        assert bits(fitted(file, tmp_path / "a")) == expected, name


def test_damage_while_a_run_reads_is_a_sentence_and_the_next_run_is_right(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = bits(fitted(file))
    own = stream.found

    def then_damaged(*given: Any) -> Any:
        prepared = own(*given)
        if prepared is not None:
            (Path(prepared.where) / "train" / "rows.bin").write_bytes(b"")
        return prepared

    fitted(file, tmp_path)
    shutil.copy(next(tmp_path.glob("rows-*/train/rows.bin")), tmp_path / "rows")
    next(tmp_path.glob("rows-*/journal")).unlink()
    monkeypatch.setattr(stream, "found", then_damaged)
    with pytest.raises(DataError, match="Run again: it is made anew") as refused:
        fitted(file, tmp_path)
    assert len(str(refused.value)) <= 300 + len(str(tmp_path))
    monkeypatch.setattr(stream, "found", own)
    assert bits(fitted(file, tmp_path)) == expected


def test_damaged_targets_are_noticed_where_they_are_read_alone(file: Path, tmp_path: Path) -> None:
    prepared = prepare(as_source(file), Asked("y", memory=SMALL, check=0.2))
    for name, rows in (("train", prepared.rows), ("check", prepared.held)):
        path = Path(prepared.where) / name / "rows.bin"
        good = path.read_bytes()
        assert rows is not None and list(rows.sides())
        for bad in (bytes([good[0] ^ 1]) + good[1:], good[:100], None):
            path.unlink() if bad is None else path.write_bytes(bad)
            with pytest.raises(DataError, match=r"rows\.bin (is damaged|cannot be read).*Run again"):
                list(StoredRows(Reader(path.parent, rows.reader.shape)).sides())
            path.write_bytes(good)
    prepared.close(True)


def test_rows_on_their_way_have_checksums(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = stream.Streaming.finish

    def damaged(self: Any) -> Any:
        self.train.flush()
        path = next(path for path in self.train.files if path.exists())
        path.write_bytes(flip(path.read_bytes(), random.Random(0)))
        return own(self)

    monkeypatch.setattr(stream.Streaming, "finish", damaged)
    with pytest.raises(DataError, match=r"spill is damaged.*Run again"):
        fitted(file)


def rewritten(file: Path, change: Callable[[bytearray], None]) -> None:
    """Other bytes in the same place, of the same size and time."""
    before, data = file.stat(), bytearray(file.read_bytes())
    change(data)
    file.write_bytes(data)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_rows_of_the_same_size_and_time_are_other_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rng = np.random.default_rng(0)
    x = rng.integers(1, 9, ROWS)
    path.write_text("x,y\n" + "".join(f"{a},{2 * a:02}\n" for a in x), encoding="utf-8")
    first = fitted(path, tmp_path / "cache", loss="squared")
    text = "x,y\n" + "".join(f"{a},{5 * a:02}\n" for a in x)

    def change(data: bytearray) -> None:
        data[:] = text.encode()

    rewritten(path, change)
    again = fitted(path, tmp_path / "cache", loss="squared")
    assert (round(first.coef[0], 6), round(again.coef[0], 6)) == (2.0, 5.0)


@POSIX
def test_a_stamp_sees_a_change_between_its_samples(tmp_path: Path) -> None:
    """By the time of the change, which nobody can put back."""
    path = tmp_path / "a"
    path.write_bytes(bytes(6 << 20))
    before = stamp([path])
    time.sleep(0.02)  # the clock of the file system ticks every 4 ms
    rewritten(path, lambda data: data.__setitem__(100_000, 1))
    assert stamp([path]) != before


@POSIX
def test_a_stamp_sees_contents_names_and_inodes(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_bytes(bytes(1000))
    seen = {stamp(paths), stamp(paths[:1]), stamp(paths[1:]), stamp(paths[::-1]), stamp([])}
    rewritten(paths[1], lambda data: data.__setitem__(999, 1))
    seen.add(stamp(paths))
    shutil.copy2(paths[0], tmp_path / "c")
    (tmp_path / "c").replace(paths[0])
    seen.add(stamp(paths))
    paths[0].unlink()
    seen.add(stamp(paths))
    os.mkfifo(paths[0])  # which opening would wait for
    seen.add(stamp(paths))
    assert len(seen) == 9


def test_a_stamp_reads_contents_even_where_all_times_are_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(6 << 20))
    same = path.stat()
    monkeypatch.setattr(Path, "stat", lambda self, **_: same)
    before = stamp([path])
    for where in (0, (6 << 20) - 1):
        rewritten(path, lambda data, where=where: data.__setitem__(where, 1))
        after = stamp([path])
        assert after != before
        before = after


def modes(folder: Path) -> set[str]:
    return {oct(stat.S_IMODE(path.lstat().st_mode)) for path in [folder, *folder.rglob("*")]}


@POSIX
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_nobody_else_may_read_a_cache(umask: int, file: Path, tmp_path: Path) -> None:
    before = os.umask(umask)
    seen: set[str] = set()
    own = stream.Streaming.finish

    def look(self: Any) -> Any:
        self.train.flush()
        seen.update(modes(self.folder))  # rows on their way
        return own(self)

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stream.Streaming, "finish", look)
            fitted(file, tmp_path / "new" / "cache")
        with pytest.raises(KeyboardInterrupt):
            fitted(file, callback=interrupted)
        fitted(pl.read_parquet(file), tmp_path / "new" / "cache")
    finally:
        os.umask(before)
    assert seen | modes(tmp_path / "new" / "cache") | modes(home_of(tmp_path)) == {"0o700", "0o600"}


def interrupted(_: Any) -> None:
    raise KeyboardInterrupt


@POSIX
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777, 0o703])
def test_a_cache_that_others_can_write_to_is_refused(mode: int, file: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(mode)
    with pytest.raises(DataError, match="can be written to by others"):
        fitted(file, cache)
    assert not list(cache.iterdir())
    cache.chmod(0o755)
    fitted(file, cache)


@POSIX
def test_a_cache_of_another_user_is_refused(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    for cache in (tmp_path / "cache", None):
        if cache is None:
            home_of(tmp_path).mkdir(parents=True)
        with pytest.raises(DataError, match=r"belongs to another user.*--cache DIR") as refused:
            fitted(file, cache)
        assert len(str(refused.value)) - len(str(tmp_path)) <= 300


@POSIX
def test_a_folder_that_others_opened_is_made_anew(file: Path, tmp_path: Path) -> None:
    expected = bits(fitted(file, tmp_path))
    folder = next(tmp_path.glob("rows-*/train")).parent
    folder.chmod(0o777)
    assert bits(fitted(file, tmp_path)) == expected
    assert modes(folder) == {"0o700", "0o600"}


@POSIX
def test_a_link_in_the_place_of_the_cache_is_not_followed(file: Path, tmp_path: Path) -> None:
    expected = bits(fitted(file, tmp_path / "cache"))
    folder = next((tmp_path / "cache").glob("rows-*/train")).parent
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    before = {path: path.read_bytes() for path in files_of(tmp_path / "elsewhere")}
    assert bits(fitted(file, tmp_path / "cache")) == expected
    assert {path: path.read_bytes() for path in files_of(tmp_path / "elsewhere")} == before


@POSIX
@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "device"])
def test_what_is_no_file_in_the_place_of_one_is_not_read(kind: str, file: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    expected = bits(fitted(file, cache))
    for path in [path for path in files_of(cache) if path.suffix != ".lock"]:
        before = path.read_bytes()
        path.rename(tmp_path / "away")
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to("/dev/zero" if kind == "device" else tmp_path / "away")
        assert bits(fitted(file, cache)) == expected, path
        assert (tmp_path / "away").read_bytes() == before


@POSIX
def test_a_cleanup_leaves_alone_what_is_in_use(file: Path, tmp_path: Path) -> None:
    """However old it looks: a laptop may have slept for a week."""
    home = home_of(tmp_path)
    (home / "rows-dead").mkdir(parents=True)
    found: list[Any] = []

    def others(_: Any) -> None:
        living = [path for path in home.glob("rows-*") if path.is_dir()]
        for path in home.rglob("*"):
            os.utime(path, (1.0, 1.0))
        fitted(pl.read_parquet(file))  # cleans up
        found.append([path for path in living if path.exists()])

    fitted(file, callback=others, max_passes=3)
    fitted(pl.read_parquet(file), callback=others, max_passes=3)
    assert all([path.name for path in paths] not in ([], ["rows-dead"]) and len(paths) == 1 for paths in found)
    assert len(found) > 1 and not list(home.glob("rows-*"))


@POSIX
@pytest.mark.parametrize("named", [False, True], ids=["ours", "named by the user"])
def test_what_a_killed_run_left_and_nobody_can_find_is_deleted_at_once(named: bool, file: Path, tmp_path: Path) -> None:
    home = tmp_path / "cache" if named else home_of(tmp_path)
    cache = home if named else None
    faults = Faults(at=60)
    with pytest.raises(Killed), faults:
        fitted(pl.read_parquet(file), cache)
    assert len(list(home.glob("rows-once-*"))) == 2  # with its lock
    mine = home / "rows-once-mine"  # has no lock: not made by a run
    mine.mkdir()
    fitted(pl.read_parquet(file), cache)
    assert list(home.glob("rows-*")) == [mine]
    os.utime(mine, (1.0, 1.0))
    fitted(pl.read_parquet(file), cache)
    assert list(home.glob("rows-*")) == ([mine] if named else [])
    assert STALE > 86_400


@POSIX
def test_two_runs_at_once_do_not_share_a_folder(file: Path, tmp_path: Path) -> None:
    expected = bits(fitted(file))
    others: list[Any] = []
    for cache in (None, tmp_path / "cache"):
        result = fitted(file, cache, callback=lambda _, cache=cache: others.append(bits(fitted(file, cache))))
        assert bits(result) == expected
    assert len(others) > 1 and set(others) == {expected}
    left = [path.name for path in (tmp_path / "cache").iterdir()]
    assert len(left) == 2 and not list(home_of(tmp_path).glob("rows-*"))


def test_a_killed_run_is_found_again_when_no_memory_was_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = as_source(file)
    names = set()
    for free in (1_000, 2_000):
        monkeypatch.setattr(asked, "free_memory", lambda free=free: free)
        names.add(Cache.of(source, Asked("y")).digest)
    assert len(names) == 1 and None not in names
    assert Cache.of(source, Asked("y", memory=SMALL)).digest not in names


class Doubled(Squared):
    """A loss of the user's own, whose formula may be another next time."""

    name = "doubled"


def test_a_loss_of_ones_own_is_not_looked_up(file: Path, tmp_path: Path) -> None:
    assert Cache.of(as_source(file), Asked("y", loss=Doubled())).digest is None
    fitted(file, tmp_path, loss=Doubled())
    assert not list(tmp_path.glob("rows-*"))


def test_a_database_without_a_file_is_not_looked_up() -> None:
    source = fallline.SqlSource("select 1 as y", "postgresql://me:secret@host/name")
    assert Cache.of(source, Asked("y")).digest is None


# Journals


def journal_of(
    path: Path, made: list[int], bound: str = "rows", settings: str | None = "a", passes: int = 4
) -> list[Any]:
    journal = Journal(path, bound)
    journal.begin(settings)

    def make(k: int) -> Any:
        made.append(k)
        return 0.1 * k, np.arange(3.0) * k, None, k

    found = [journal.remembered(f"pass {k}", lambda k=k: make(k), lambda found: found) for k in range(passes)]
    return [(a, b.tolist(), c, d) for a, b, c, d in found]


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_a_damaged_journal_answers_nothing_wrong(damage: str, tmp_path: Path) -> None:
    path, rng = tmp_path / "journal", random.Random(damage)
    expected = journal_of(path, [])
    good = path.read_bytes()
    for _ in range(50):
        after = DAMAGES[damage](good, rng)
        path.unlink(missing_ok=True)
        if after is not None:
            path.write_bytes(after)
        assert journal_of(path, []) == expected
        assert path.read_bytes().startswith(good)
    made: list[int] = []
    assert journal_of(path, made) == expected and made == []


def test_entries_of_a_journal_stay_in_their_place(tmp_path: Path) -> None:
    """Dropped, doubled, swapped, or from the journal of other rows: each has the checksum of the one before it."""
    path, other = tmp_path / "journal", tmp_path / "other"
    ends = [journal_of(path, [], passes=k) and path.stat().st_size for k in range(1, 5)]
    expected, data = journal_of(path, []), path.read_bytes()
    journal_of(other, [], bound="other rows")
    foreign = other.read_bytes()
    assert len(foreign) == len(data)
    begin = ends[0] - (ends[1] - ends[0])
    cut = [data[:begin], *(data[a:b] for a, b in zip([begin, *ends], ends, strict=False))]
    mixed = [cut[0], cut[2], cut[1], *cut[3:]], [*cut[:2], *cut[3:]], [*cut[:3], cut[2], *cut[3:]]
    for parts in (*mixed, [foreign], [cut[0], foreign[begin:]], [foreign[:begin], data[begin:]]):
        path.write_bytes(b"".join(parts))
        made: list[int] = []
        assert journal_of(path, made) == expected and made and path.read_bytes() == data


@pytest.mark.parametrize(("bound", "settings"), [("other", "a"), ("rows", "b"), ("rows", None)])
def test_a_journal_is_bound_to_rows_and_settings(bound: str, settings: str | None, tmp_path: Path) -> None:
    journal_of(tmp_path / "journal", [])
    made: list[int] = []
    journal_of(tmp_path / "journal", made, bound, settings)
    assert made == [0, 1, 2, 3]


def test_what_is_too_large_for_a_journal_costs_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fallline.rows.journal.LARGEST", 1_000)
    for asked_for in ([0, 1, 2], [1]):
        journal = Journal(tmp_path / "journal")
        made: list[int] = []
        journal.begin("a")

        def make(k: int, made: list[int] = made) -> Any:
            made.append(k)
            return np.zeros(500 if k == 1 else 5)

        for k in range(3):
            journal.remembered(f"{k}", lambda k=k, make=make: make(k), lambda found: found)
        assert made == asked_for


def test_a_journal_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    made: list[int] = []
    assert journal_of(tmp_path / "nowhere" / "journal", made) and made == [0, 1, 2, 3]


def test_a_journal_answers_no_other_question(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is stopped elsewhere than the one before asks for other sums, at the same place and for the same theta."""

    def fused(part: Any, loss: Any, coef: Any, b: float) -> Pass:
        z = part._block(slice(0, part.m)).X @ coef + b
        return Pass(float(loss.value(part.y, z).sum()), coef, 0.0)

    monkeypatch.setattr(ArrayRows, "fused", fused)

    def rows() -> Any:
        prepared = prepare(as_source(file), Asked("y", memory=SMALL, cache=tmp_path))
        prepared.rows.begin(lambda: "a")
        prepared.close(finished=False)
        return prepared.rows

    def sums(factor: float) -> Callable[[Any], Any]:
        return lambda batch: factor * float(batch.y.sum())

    first = rows()
    coef = np.ones(first.n)
    total, cost = first.sum(sums(1.0)), first.fused(Squared(), coef, 0.0).loss
    again = rows()
    assert (again.sum(sums(1.0)), again.fused(Squared(), coef, 0.0).loss) == (total, cost)
    assert again.journal.answered == 2
    assert rows().sum(sums(2.0)) == pytest.approx(2.0 * total)
    first = rows()
    first.fused(Squared(), coef, 0.0)
    other = rows()
    assert other.fused(Huber(0.1), coef, 0.0).loss < cost and other.journal.answered == 0


def test_settings_are_told_apart_by_all_their_numbers() -> None:
    """``repr`` leaves out the middle of long arrays."""
    start = np.zeros(2_001)
    paths = {Settings(start=start).path(Squared()), Settings(start=None).path(Squared())}
    start[1_000] = 1e-300
    paths |= {
        Settings(start=start).path(Squared()),
        Settings(start=start).path(Huber(2.0)),
        Settings(start=start).path(Huber()),
    }
    assert len(paths) == 5 and None not in paths
    assert Settings().path(Doubled()) is None
    assert Settings(seed=1).path(Squared()) == Settings(seed=1).path(Squared())


# Faults at every call that changes the disk

# of the kernel, and about how many of them a run makes
SYSTEM_CALLS = {"write": 60, "rename": 1, "unlink,unlinkat": 20, "mkdir": 5, "fsync": 3, "flock": 1, "ftruncate": 9}


def faulty(file: Path, home: Path, cache: Path | None, at: int, error: int | None, lasting: bool) -> str:
    """What came of a run with that fault, beside the bits of one that goes after it without."""
    shutil.rmtree(home, ignore_errors=True)
    faults = Faults(at, error, lasting)
    try:
        with faults:
            came = str(bits(fitted(file, cache)))
    except Killed:
        came = "killed"
    except FalllineError as refused:
        assert "\n" not in str(refused) and len(str(refused)) - str(refused).count(str(home)) * len(str(home)) <= 300
        came = "refused"
    return came if faults.hit else "no such call"


def calls_of(file: Path, cache: Path | None) -> int:
    with Faults() as counted:
        fitted(file, cache)
    return counted.count


@POSIX
@pytest.mark.parametrize("kept", [False, True], ids=["deleted", "kept"])
@pytest.mark.parametrize("what", ["killed", *ERRORS])
def test_a_fault_at_any_call_leaves_the_same_bits(what: str, kept: bool, file: Path, tmp_path: Path) -> None:
    home = tmp_path / "cache" if kept else home_of(tmp_path)
    cache = home if kept else None
    expected = bits(fitted(file, cache))
    shutil.rmtree(home)
    every = calls_of(file, cache)
    assert every > 50
    chosen = range(1, every + 1) if LONG else sorted(random.Random(what).sample(range(1, every + 1), 8))
    seen = set()
    for at in chosen:
        for lasting in (False, True) if LONG and what != "killed" else (at % 2 == 0,):
            came = faulty(file, home, cache, at, ERRORS.get(what), lasting)
            assert came in ("killed", "refused", str(expected)), (at, came)
            seen.add(came)
            assert bits(fitted(file, cache)) == expected, at
            left = [path.name for path in home.iterdir()]
            assert len(left) == 2 * kept, (at, left)  # a folder and its lock, or nothing
    assert seen


@POSIX
@pytest.mark.slow
@pytest.mark.skipif(not LONG or shutil.which("strace") is None, reason="FALLLINE_LONG_TESTS=1, and strace")
@pytest.mark.parametrize("calls", sorted(SYSTEM_CALLS))
@pytest.mark.parametrize("fault", ["signal=SIGKILL", "error=ENOSPC", "error=EIO", "error=EACCES"])
def test_a_fault_of_the_system_itself(calls: str, fault: str, file: Path, tmp_path: Path) -> None:
    """In a process of its own, by the kernel."""
    code = (
        "import sys, test_caches as t, pathlib; t.asked.LEAST_MEMORY = 1; t.stream.LEAST_BLOCK = 8000; "
        "t.stream.FEW_BUCKETS = 2; r = t.fitted(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])); "
        "pathlib.Path(sys.argv[3]).write_text(repr(t.bits(r)))"
    )
    out, cache = tmp_path / "out", tmp_path / "cache"
    command = [sys.executable, "-c", code, str(file), str(cache), str(out)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    expected, most = repr(bits(fitted(file))), SYSTEM_CALLS[calls]
    for at in random.Random(calls + fault).sample(range(1, most + 1), min(5, most)):
        shutil.rmtree(cache, ignore_errors=True)
        traced = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={calls}"]
        subprocess.run(
            [*traced, "-e", f"inject={calls}:{fault}:when={at}", *command], env=environment, capture_output=True
        )
        out.unlink(missing_ok=True)
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert out.read_text() == expected, at
