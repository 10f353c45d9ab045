"""One server per test file, shared by the three Python suites."""

from importlib.util import find_spec

import pytest
from server import running_server

for module in ("trustedtwin", "mpt_api_client", "sailpoint"):
    if find_spec(module) is None:
        pytest.exit(f"{module} is not installed: run `clients/run`, which installs it", returncode=2)


@pytest.fixture(scope="module")
def server():
    with running_server() as running:
        yield running
