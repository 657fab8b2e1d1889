"""Where things are."""
import os
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
TOOLS = ROOT / ".build/venv/bin"
# The programs under test; `cargo build --workspace` puts them there.
PROGRAMS = Path(os.environ.get("PROMCAST_BIN", ROOT / "target/debug"))

# What a program needs of this process's environment, and no PROMCAST_ variable of whoever runs the tests.
ENVIRONMENT = {"PATH": f"{ROOT}/.build/bin:{os.environ.get('PATH', '')}:/usr/sbin", "HOME": os.environ.get("HOME", "/")}


def documents(text):
    """The objects of a YAML text."""
    return [one for one in yaml.safe_load_all(text) if one]


def seconds(duration):
    """A duration such as 20s or 1m30s, in seconds."""
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    parts = re.findall(r"(\d+)(ms|s|m|h)", str(duration))
    assert parts and "".join(number + unit for number, unit in parts) == str(duration), duration
    return sum(int(number) * units[unit] for number, unit in parts)
