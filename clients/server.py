"""Starts the real `patchbay` binary on a fresh sample directory, and stops it again."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
START_SECONDS = 30
STOP_SECONDS = 15


@dataclass(frozen=True)
class Server:
    url: str
    sample: dict  # what `patchbay init --sample --json` printed: keys, accounts and users


def binary() -> str:
    named = os.environ.get("PATCHBAY_BIN")
    places = (
        [Path(named)]
        if named
        else [REPOSITORY / "target" / profile / "patchbay" for profile in ("release", "debug")]
    )
    for place in places:
        if place.is_file():
            return str(place.resolve())
    looked = " or ".join(str(place) for place in places)
    raise RuntimeError(f"no patchbay binary at {looked}: build it with `cargo build --release`")


@contextmanager
def running_server(settings: dict[str, str] | None = None):
    """Yields a Server. `settings` are PATCHBAY_... environment variables."""
    program = binary()
    with tempfile.TemporaryDirectory(prefix="patchbay-clients-") as folder:
        data = str(Path(folder) / "data")
        # The caller's own PATCHBAY_ variables and the configuration file of the current
        # folder must not change what the tests see.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PATCHBAY_")}
        environment |= settings or {}
        place = {"cwd": folder, "env": environment}

        made = subprocess.run(
            [program, "init", "--data", data, "--sample", "--json"],
            capture_output=True, text=True, **place,
        )
        if made.returncode != 0:
            raise RuntimeError(f"patchbay init failed:\n{made.stderr}")

        address = f"127.0.0.1:{_free_port()}"
        log = Path(folder) / "server.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [program, "serve", "--data", data, "--listen", address],
                stdout=output, stderr=subprocess.STDOUT, **place,
            )
        try:
            _wait_until_healthy(f"http://{address}", process, log)
            yield Server(f"http://{address}", json.loads(made.stdout))
        finally:
            _stop(process, log)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_healthy(url: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.05)
    raise RuntimeError(f"patchbay did not become healthy; its log:\n{_tail(log)}")


def _stop(process: subprocess.Popen, log: Path) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        code = process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise RuntimeError(f"patchbay did not stop on SIGTERM; its log:\n{_tail(log)}") from None
    if code not in (0, -signal.SIGTERM):
        raise RuntimeError(f"patchbay ended with {code}; its log:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]
