"""Where the peers must be there, as in CI, a missing one is an error and not a skip."""

import os

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Turn skips into failures if DBN_BPTT_REQUIRE_PEERS is set."""
    report = yield
    if report.skipped and os.environ.get("DBN_BPTT_REQUIRE_PEERS"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but peers are required: {call.excinfo}"
    return report
