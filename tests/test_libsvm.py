"""libsvm's text, narrow and wide: the matrix that scikit-learn reads, the model that it makes, and what is wrong by its line."""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix, random_array
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

import fallline
from fallline.arrivals import Arrivals
from fallline.cli import main
from fallline.errors import DataError, ModelFileError, SchemaError, SettingError
from fallline.rows.arrays import ArrayRows
from fallline.rows.encoder import Encoder
from fallline.rows.sources import as_source
from fallline.rows.sources.libsvm import LibsvmSource, is_libsvm
from fallline.rows.stored import StoredRows
from fallline.rows.vectors import entries_of, vector_type
from fallline.tables import Asked, asked, prepare

WIDE = 300
ROWS = 900


@pytest.fixture(autouse=True)
def anything_goes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(asked, "LEAST_MEMORY", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def matrix(rows: int = ROWS, width: int = WIDE, seed: int = 0) -> tuple[Any, Any]:
    """A sparse matrix, whose last column is not empty, and two classes that it tells apart more often than not."""
    rng = np.random.default_rng(seed)
    some = random_array((rows, width), density=0.03, format="coo", rng=rng)
    X = csr_matrix((np.r_[some.data, 2.0], (np.r_[some.coords[0], 0], np.r_[some.coords[1], width - 1])), some.shape)
    z = X @ np.random.default_rng(1).normal(size=width) * 2
    return X, np.where(rng.random(rows) < 1 / (1 + np.exp(-z)), 1.0, -1.0)


def written(file: Path, X: Any, y: Any, **how: Any) -> Path:
    dump_svmlight_file(X, y, str(file), zero_based=False, **how)
    return file


def as_matrix(file: Path, width: int, lowest: int = 1) -> tuple[Any, Any]:
    frame = pl.concat(list(as_source(file).frames()))
    starts, where, values = entries_of(frame["x"])
    return csr_matrix((values, where - lowest, starts), shape=(frame.height, width)), frame["target"].to_numpy()


def test_it_is_known_by_its_name() -> None:
    assert all(map(is_libsvm, ("t.svm", "T.SVM.bz2", "a9a.libsvm.train", "data/x.svmlight.gz")))
    assert not any(map(is_libsvm, ("t.csv", "t.svm.csv", "t.csv.gz", "svm", "t.svm.d/t.parquet")))


def test_a_wide_file_is_the_matrix_that_scikit_learn_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fallline.rows.sources.libsvm.CHUNK", 5_000)  # in many pieces
    X, y = matrix()
    own, targets = as_matrix(written(tmp_path / "t.svm", X, y), WIDE)
    other, its = load_svmlight_file(str(tmp_path / "t.svm"), n_features=WIDE, zero_based=False)
    assert (own != other).nnz == 0 and own.has_canonical_format
    np.testing.assert_array_equal(targets, its)


PAIR = st.tuples(st.integers(1, 2_000), st.floats(allow_nan=False, allow_infinity=False, width=32))
ROW = st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.lists(PAIR, max_size=6, unique_by=lambda p: p[0]))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(ROW, min_size=1, max_size=8), st.sampled_from([" ", "  ", "\t"]), st.sampled_from(["\n", "\r\n", " \n\n"])
)
def test_whatever_is_between_the_numbers(rows: Any, blank: str, end: str) -> None:
    import tempfile

    told = [blank.join([repr(y), *(f"{j}:{v!r}" for j, v in pairs)]) for y, pairs in [*rows, (1.0, [(2_000, 1.0)])]]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "t.svm")
        file.write_bytes(end.join([told[0] + " # 3:4 a comment", "# a line of it", *told[1:]]).encode())
        own, targets = as_matrix(file, 2_000)
    dense = np.zeros((len(told), 2_001))
    for i, (_, pairs) in enumerate([*rows, (1.0, [(2_000, 1.0)])]):
        for j, v in pairs:
            dense[i, j] = v
    np.testing.assert_array_equal(own.toarray(), dense[:, 1:])
    np.testing.assert_array_equal(targets, [y for y, _ in rows] + [1.0])


def test_queries_are_passed_over_and_columns_may_begin_with_zero(tmp_path: Path) -> None:
    X, y = matrix()
    file = written(tmp_path / "t.svm", X, y, query_id=np.arange(ROWS) // 10)
    assert abs(as_matrix(file, WIDE)[0] - X).max() < 1e-15
    dump_svmlight_file(X, y, str(file), zero_based=True)
    assert fallline.fit(file, "target", loss="logistic", l2=0.01).feature_names[:2] == ("x0", "x1")
    (tmp_path / "small.svm").write_text("1 0:5 2:1\n-1 1:2\n2 0:1\n")
    assert next(as_source(tmp_path / "small.svm").frames()).rows() == [(1, 5, 0, 1), (-1, 0, 2, 0), (2, 1, 0, 0)]


@pytest.mark.parametrize("how", [{}, {"check": 0.25}, {"standardize": False}], ids=str)
def test_the_model_is_that_of_the_matrix(how: dict[str, Any], tmp_path: Path) -> None:
    X, y = matrix()
    file = written(tmp_path / "t.svm", X, y)
    of_file = fallline.fit(file, "target", loss="logistic", l2=0.01, tol=1e-10, **how)
    if "check" not in how:
        of_matrix = fallline.fit(X, y, loss="logistic", l2=0.01, tol=1e-10, **how)
        np.testing.assert_allclose(of_file.coef, of_matrix.coef, atol=1e-6 * np.abs(of_matrix.coef).max())
        np.testing.assert_allclose(of_file.predict(next(as_source(file).frames())), of_matrix.predict(X))
    assert of_file.feature_names == tuple(f"x{j}" for j in range(1, WIDE + 1))
    assert str(of_file.certainty) == "proved" and of_file.classes == (-1.0, 1.0)
    assert (of_file.check is not None) == ("check" in how)


def test_streamed_it_is_the_same(tmp_path: Path) -> None:
    X, y = matrix(6_000)
    file = written(tmp_path / "t.svm", X, y)
    prepared = prepare(as_source(file), Asked("target", memory=200_000, check=0.2))
    rows = prepared.rows
    assert isinstance(rows, StoredRows) and len(rows.reader.shape.blocks) > 1 and prepared.held is not None
    entries = rows.stored + prepared.held.stored
    assert entries == X.nnz and rows.m + prepared.held.m == 6_000  # nothing is as wide as the matrix
    assert sum(file.stat().st_size for file in Path(prepared.where).rglob("rows.bin")) < 20 * (X.nnz + 6_000)
    prepared.close(True)
    how: dict[str, Any] = {"loss": "logistic", "l2": 0.01, "tol": 1e-10}
    whole, part = (fallline.fit(file, "target", memory=memory, **how) for memory in (None, 200_000))
    assert str(part.certainty) == "proved" and part.best_loss == pytest.approx(whole.best_loss, rel=1e-9)
    np.testing.assert_allclose(part.coef, whole.coef, atol=2e-4 * np.abs(whole.coef).max())
    np.testing.assert_allclose(part.summary.mean, whole.summary.mean, rtol=1e-9, atol=1e-12)
    small = fallline.fit(file, "target", memory=200_000, optimizer="adam", batch_size=64, max_passes=5, **how)
    assert small.best_loss < 0.99 * small.baseline_loss


def test_slopes_a_level_are_streamed_sparse(tmp_path: Path) -> None:
    """A number times a text of many levels: as many columns as levels, of which one is not zero."""
    pytest.importorskip("formulaic")
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({
        "a": rng.normal(size=9_000), "town": [f"t{k:03}" for k in rng.integers(0, 230, 9_000)],
        "y": rng.normal(size=9_000),
    })  # fmt: skip
    how: dict[str, Any] = {"l2": 0.01, "tol": 1e-10}
    whole, part = (fallline.fit(frame, "y ~ a:town", memory=memory, **how) for memory in (None, 200_000))
    np.testing.assert_allclose(part.coef, whole.coef, atol=1e-6 * np.abs(whole.coef).max())
    prepared = prepare(as_source(frame), Asked("y ~ a:town", memory=200_000, check=0.0))
    assert isinstance(prepared.rows, StoredRows) and prepared.rows.stored == 9_000
    prepared.close(True)


def test_a_model_predicts_files_of_other_widths(tmp_path: Path) -> None:
    X, y = matrix()
    model, out = tmp_path / "m.fall", tmp_path / "p.csv"
    fallline.fit(written(tmp_path / "t.svm", X, y), "target", loss="logistic", l2=0.01).save(model)
    result = fallline.load(model)
    narrow, more = tmp_path / "narrow.svm", tmp_path / "more.svm"
    narrow.write_text("1 3:1.5 7:2\n-1 9:1\n")
    more.write_text("1 3:1.5 7:2 301:4 5000:1\n-1 0:3 9:1\n")
    for file, said in ((narrow, ""), (more, "3 entries of columns that training never met ('x0', 'x301', 'x5000')")):
        done = CliRunner().invoke(main, ["predict", str(model), str(file), "--out", str(out), "--plain"])
        assert done.exit_code == 0 and said in " ".join(done.output.split()), done.output
        dense = np.zeros((2, WIDE))
        dense[0, [2, 6]], dense[1, 8] = (1.5, 2.0), 1.0
        predicted = pl.read_csv(out)
        np.testing.assert_allclose(predicted["probability 1.0"], result.predict_probability(dense)[:, 1], rtol=1e-12)
    with pytest.raises(SchemaError, match="trained on sparse vectors"):
        result.predict(pl.DataFrame({"x": [1.0]}))
    with pytest.raises(SettingError, match="sparse vectors, which databases do not have"):
        result.to_sql()


def test_a_narrow_model_predicts_files_of_other_widths(tmp_path: Path) -> None:
    """a9a has 123 columns, and its test file 122: the last one was never set there."""
    X, y = matrix(width=20)
    fallline.fit(written(tmp_path / "t.svm", X, y), "target", loss="logistic").save(tmp_path / "m.fall")
    (tmp_path / "narrow.svm").write_text("1 3:1.5 7:2\n")
    (tmp_path / "more.svm").write_text("1 3:1.5 7:2 22:1 999999:1\n")
    run = CliRunner()
    first, second = (
        run.invoke(main, ["predict", str(tmp_path / "m.fall"), str(tmp_path / name), "--plain"])
        for name in ("narrow.svm", "more.svm")
    )
    assert first.exit_code == second.exit_code == 0, first.output + second.output
    assert first.stdout == second.stdout
    assert "Not used by the model: 'x21', 'x22'" in second.output and "Not used" not in first.output


def test_what_is_wrong_is_said_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "t.svm"
    for text, said in {
        "1 900:0.5\n\n1 2;3\n": r"line 3: '1 2;3' is not 'target column:value",
        "1 900:0.5\nyes 2:3\n": r"line 2: 'yes 2:3'",
        "1 900:0.5\n1 2:x\n": r"line 2: '1 2:x'",
        "1 900:0.5\n1 -2:1\n": r"line 2: '1 -2:1'",
        "1 900:0.5\n1 2:1:3\n": r"line 2: '1 2:1:3'",
        "1 900:0.5\n1 2.5:1\n": r"line 2: '1 2.5:1'",
        "1 900:0.5\n1 2:1 4:1 2:5\n": "line 2: '1 2:1 4:1 2:5' names a column twice",
        "1 900:0.5\n-1 2:nan\n": "Column 'x2', row 1: nan is not a finite number",
        "1 900:0.5\n-1 2:inf\n": "Column 'x2', row 1: inf is not a finite number",
    }.items():  # fmt: skip
        file.write_text(text)
        with pytest.raises(DataError, match=said):
            fallline.fit(file, "target")
    file.write_text("1 900:0.5\n" + "1 3:1\n" * 40_000 + "1 2;3\n")
    with pytest.raises(DataError, match=r"line 40,002: '1 2;3'"):
        fallline.fit(file, "target")
    with pytest.raises(DataError, match=r"no file .*u\.svm"):
        fallline.fit(tmp_path / "u.svm", "target")
    file.write_text("1 900:0.5\n2 3:1\n")
    with pytest.raises(SchemaError, match="no column 'price'"):
        fallline.fit(file, "price")


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_packed(suffix: str, pack: Any, tmp_path: Path) -> None:
    X, y = matrix()
    plain = written(tmp_path / "t.svm", X, y)
    packed = tmp_path / f"t.svm{suffix}"
    packed.write_bytes(pack(plain.read_bytes()))
    own, _ = as_matrix(packed, WIDE)
    assert abs(own - X).max() < 1e-15  # 16 digits
    packed.write_bytes(pack(plain.read_bytes())[:-40])
    with pytest.raises(DataError, match="cannot be read"):
        fallline.fit(packed, "target")


def test_columns_are_left_out_by_name(tmp_path: Path) -> None:
    X, y = matrix()
    file = written(tmp_path / "t.svm", X, y)
    result = fallline.fit(file, "target", loss="logistic", l2=0.01, drop=["x3", "x300"])
    assert result.coef[2] == 0.0 and len(result.coef) == 299
    less = X.tolil()
    less[:, [2, 299]] = 0.0
    other = fallline.fit(less.tocsr(), y, loss="logistic", l2=0.01)
    assert result.best_loss == pytest.approx(other.best_loss, rel=1e-6)
    with pytest.raises(DataError, match="no column 'price' to drop"):
        fallline.fit(file, "target", drop=["x3", "price"])


def test_dense_ones_become_dense(tmp_path: Path) -> None:
    """As gisette: many columns, and most of them filled."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 250)), rng.normal(size=300)
    prepared = prepare(as_source(written(tmp_path / "t.svm", X, y)), Asked("target", check=0.0))
    assert isinstance(prepared.rows, ArrayRows) and isinstance(prepared.rows.X, np.ndarray)
    np.testing.assert_allclose(prepared.rows.X, X)


def test_the_encoder_is_kept_in_a_few_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fallline.rows.sources.libsvm.FEW_COLUMNS", 3_000_000)
    file = tmp_path / "t.svm"
    file.write_text("1 2000000:0.5\n-1 3:1\n")
    assert isinstance(as_source(file), LibsvmSource)
    encoder = prepare(as_source(file), Asked("target", check=0.0)).encoder
    assert len(encoder.features) == 2_000_000 and len(encoder.to_json()) < 500
    assert Encoder.from_json(encoder.to_json()) == encoder


def test_what_arrives_is_looked_at_sparse_as_it_is_dense() -> None:
    rng = np.random.default_rng(0)
    X, y = matrix()
    shift = np.full(WIDE, 0.0)
    shift[:3] = (1.0, 2.0, 0.0)  # columns of which zero is no value of training
    dense = X.toarray() + shift
    summary = fallline.fit(dense, y, l2=0.1).summary
    assert summary is not None
    new = X[rng.permutation(ROWS)[:200]] * 3.0
    one, two = Arrivals(summary), Arrivals(summary)
    one.add(new.toarray())
    two.add(new)
    for name in ("_sums", "_squares", "_outside", "_near", "_near_squares"):
        np.testing.assert_allclose(getattr(two, name), getattr(one, name), rtol=1e-10, atol=1e-9)
    assert [f.sentence for f in one.findings()] == [f.sentence for f in two.findings()] != []


def test_millions_of_names_need_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are numbers; written out, those of six million columns were more than a model's header may hold."""
    monkeypatch.setattr("fallline.rows.sources.libsvm.FEW_COLUMNS", 10**9)
    file = tmp_path / "t.svm"
    file.write_text("1 6000000:0.5\n-1 3:1\n1 5:1\n")
    prepared = prepare(as_source(file), Asked("target", check=0.0))
    result = fallline.fit(np.eye(3), [1.0, 0.0, 1.0], loss="logistic", l2=0.1)
    wide = dataclasses.replace(
        result, encoder=prepared.encoder, feature_names=prepared.encoder.features, summary=None, bowl=None, path=None,
        coef=np.zeros(6_000_000), theta=np.zeros(6_000_001), evidence=None,
    )  # fmt: skip
    wide.save(tmp_path / "m.fall")
    assert fallline.load(tmp_path / "m.fall").feature_names == wide.feature_names
    named = dataclasses.replace(wide, encoder=None)
    with pytest.raises(ModelFileError, match="names and settings take"):
        named.save(tmp_path / "n.fall")
    file.write_text("1 100000000:0.5\n-1 3:1\n")
    with pytest.raises(DataError, match="'x100000000' is named"):
        fallline.fit(file, "target")


def test_new_rows_like_the_old_ones_have_not_drifted() -> None:
    """Of thousands of rare columns some are in none of the new rows, and some in twice as many: that says nothing."""
    rng = np.random.default_rng(0)

    def drawn(rows: int, shift: float = 0.0) -> Any:
        where = np.minimum((2_000 * rng.random((rows, 20)) ** 3).astype(int), 1_999)
        X = csr_matrix((rng.random(20 * rows) + shift, (np.repeat(np.arange(rows), 20), where.ravel())), (rows, 2_000))
        X.sum_duplicates()
        return X

    X = drawn(4_000)
    model = fallline.fit(X, rng.normal(size=4_000), l2=0.1)
    for rows in (25, 400, 4_000):
        assert model.look_at(drawn(rows)) == []
    assert [finding.code for finding in model.look_at(drawn(400, 9.0))] == ["D22"]


def test_cells_of_a_data_frame_are_not_taken_on_trust() -> None:
    def table(*cells: Any) -> pl.DataFrame:
        vectors = [[{"column": c, "value": v} for c, v in cell] for cell in cells]
        return pl.DataFrame({"x": pl.Series(vectors, dtype=vector_type()), "y": [1.0, 2.0, 4.0]})

    fine = table([(1, 1.0), (1, 2.0), (3, 1.0)], [], [(2, 5.0)])
    prepared = prepare(as_source(fine), Asked("y", check=0.0))
    np.testing.assert_array_equal(
        np.asarray(prepared.encoder.transform(fine, "dense")[0]), [[3, 0, 1], [0, 0, 0], [0, 5, 0]]
    )
    with pytest.raises(DataError, match="empty or below 0"):
        fallline.fit(table([(-5, 1.0)], [], [(2, 5.0)]), "y")
    with pytest.raises(DataError, match="empty or below 0"):
        fallline.fit(table([(None, 1.0)], [], [(2, 5.0)]), "y")
    with pytest.raises(DataError, match="has empty cells"):
        fallline.fit(table([(1, 1.0)], [], [(2, 5.0)]).with_columns(x=pl.when(pl.col("y") > 1.0).then("x")), "y")
