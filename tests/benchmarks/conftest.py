"""What all benchmarks share: works timed in turn, and tables that become pages of the docs.

pytest-benchmark measures, keeps and compares (`--benchmark-autosave`, `--benchmark-compare`); the others that a work is
set against are timed between its rounds, since a machine that others use too is never the same for long.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Work = Callable[[], object]
InTurn = Callable[..., dict[str, float]]
PRINTED = pytest.StashKey[list[str]]()
DOCS = Path(__file__).parents[2] / "docs"


def title(value: object) -> str:
    """What `-k` knows a case by: a shape as 5x1x3x4x2."""
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


@pytest.fixture
def in_turn(benchmark: Any) -> InTurn:
    """A function from works by name, and a number of rounds, to their median times in s.

    pytest-benchmark keeps the first; in each of its rounds all of them are timed, that one included, in the same way.
    """

    def timed(works: dict[str, Work], rounds: int) -> dict[str, float]:
        times: dict[str, list[float]] = {name: [] for name in works}

        def in_turn() -> None:
            for name, work in works.items():
                rested(work)
                start = time.perf_counter()
                work()
                times[name].append(time.perf_counter() - start)

        first = next(iter(works))
        benchmark.pedantic(works[first], setup=in_turn, rounds=rounds)
        found = {name: statistics.median(seconds) for name, seconds in times.items()}
        benchmark.extra_info["times that of"] = {name: found[first] / found[name] for name in works if name != first}
        return found

    return timed


def rested(work: Work) -> None:
    """A run that does not count, after a pause in which the threads of the work before it go to sleep."""
    time.sleep(0.1)
    work()


@pytest.fixture(scope="module")
def page(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """The rows of a module's table, which is a page of the docs once all of them are there."""
    rows: list[str] = []
    yield rows
    if request.config.getoption("benchmark_disable"):
        return
    module = request.module
    head = module.HEAD.format(command=f"python -m pytest tests/benchmarks/{Path(module.__file__).name}")
    text = head.lstrip() + "\n".join(rows) + "\n"
    request.config.stash.setdefault(PRINTED, []).append(text)
    if len(rows) == module.ROWS:
        (DOCS / module.PAGE).write_text(text, encoding="utf-8")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The tables, of which a run of some rows prints these alone."""
    for text in config.stash.get(PRINTED, []):
        terminalreporter.write_line("\n" + text)
