"""In a real Jupyter kernel: a curve that grows without widgets, and results, records and findings that show themselves."""

from __future__ import annotations

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

TRAIN = """
import numpy as np, fallline
import fallline.loggers.notebook as live
live.REFRESH = live.PATIENCE = 0.0
rng = np.random.default_rng(0)
X = rng.standard_normal((200, 5))
y = X @ np.arange(5.0) + rng.standard_normal(200)
run = fallline.fit(X, y, optimizer="descent", learning_rate=0.01, max_passes=300, tol=0.0)
"""
WATCH = """
from unittest import mock
shown = []
with mock.patch.object(live.NotebookCurve, "_show", lambda self, html: shown.append(html)):
    fallline.fit(X, y, optimizer="descent", learning_rate=0.01, max_passes=40, callback=live.NotebookCurve())
print(len(shown), sum("<svg" in html for html in shown))
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel chooses its own
    cells = [TRAIN, "run", "run.history", "run.findings[0]", WATCH, "run.plot_path().figure"]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
    live, run, history, finding, watched, figure = (cell.outputs for cell in book.cells)
    html = [[output["data"]["text/html"] for output in outputs] for outputs in (live, run, history, finding)]
    assert all(len(pieces) == 1 and "<script" not in pieces[0] for pieces in html)
    assert "<svg" in html[0][0] and "unfinished" in html[0][0]  # the live curve, in its last state
    assert "<svg" in html[1][0] and "D05" in html[1][0]
    assert "<svg" in html[2][0] and "falling all the way" in html[2][0]
    assert "<b>D05</b>" in html[3][0] and "learning_rate=" in html[3][0]
    drawn, curves = map(int, watched[0]["text"].split())
    assert drawn > 20 and curves > 20
    assert "image/png" in figure[0]["data"]
