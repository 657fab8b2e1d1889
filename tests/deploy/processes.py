"""Programs that run for a test: their output goes to a file, and they end with the test."""
import json
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from paths import ENVIRONMENT, PROGRAMS

PATIENCE = 30


def program(name):
    """A program of the workspace, or a server that is installed."""
    built = PROGRAMS / name
    if built.is_file():
        return str(built)
    found = shutil.which(name, path=ENVIRONMENT["PATH"])
    assert found, f"{name} is missing: run `make tools` and `cargo build --workspace`"
    return found


def until(what, condition, patience=PATIENCE, pause=0.05):
    """Waits for something to be true, and gives it."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(pause)
    raise AssertionError(f"{what}: not within {patience} s")


def free_port(host):
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        return listener.getsockname()[1]


def get(url, timeout=5):
    """Status and body of an answer; (0, why) where there is none."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except (OSError, ValueError) as error:
        return 0, str(error)


def query(prometheus, expression):
    """What Prometheus answers to an instant query."""
    data = urllib.parse.urlencode({"query": expression}).encode()
    try:
        with urllib.request.urlopen(f"{prometheus}/api/v1/query", data=data, timeout=10) as answer:
            return json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{expression}: {error.read().decode()}") from error


class Processes:
    """Those of one test case."""

    def __init__(self, folder):
        self.folder = folder
        self.running = []

    def start(self, name, command, env):
        """Starts a command with this environment alone."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [program(command[0]), *command[1:]], env={**ENVIRONMENT, **env}, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        self.running.append((name, process, log))
        return process

    def said(self, name, pattern):
        """What the first group of a pattern holds, once the program has written it."""
        log = self.folder / f"{name}.log"

        def find():
            found = re.search(pattern, log.read_text(errors="replace"))
            return found and found.group(1)

        try:
            return until(f"{name} writes {pattern}", find)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{log.read_text(errors='replace')[-3000:]}") from None

    def stop(self):
        """Ends all of them, the last first."""
        for _, process, _ in reversed(self.running):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for _, process, _ in reversed(self.running):
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.clear()


def run(command, env=None, folder=None):
    """Runs a command to its end: exit code, and all it printed."""
    done = subprocess.run(
        [program(command[0]) if "/" not in str(command[0]) else str(command[0]), *map(str, command[1:])],
        env={**ENVIRONMENT, **(env or {})}, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr
