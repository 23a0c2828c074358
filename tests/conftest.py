"""What the tests share: where the real data lies, how to skip when it is not there, and repeatable property tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# No test is timed, and the same examples are tried on each run: a slow machine or a lucky draw must not decide.
settings.register_profile("house", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


def pytest_configure(config: pytest.Config) -> None:
    """Where tests run in several processes, one that has none left takes from the others: a few tests take very long."""
    if getattr(config.option, "dist", None) == "load":
        config.option.dist = "worksteal"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first: one that is begun last would keep one process busy while the others have nothing to do."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def shared_file(name: str) -> Path:
    """A file of the shared data folder beside the checkout; the test is skipped where there is none."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not beside this checkout")
    return path


@pytest.fixture(name="shared")
def _shared():
    return shared_file


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium, where there is one."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine")
    sync = pytest.importorskip("playwright.sync_api")
    with sync.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()
