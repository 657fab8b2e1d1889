"""docker-compose.yml as Docker Compose understands it, with anchors and variables put in."""
import functools
import json

from paths import ROOT, TOOLS
from processes import run


@functools.cache
def config():
    """The whole of it, all profiles included."""
    code, output = run([TOOLS / "docker-compose", "--file", ROOT / "docker-compose.yml", "--profile", "*", "config",
                        "--format", "json"])
    assert code == 0, output
    return json.loads(output)


def service(name):
    """One service."""
    return config()["services"][name]


def mounts(name):
    """Files and folders of the repository that a service sees: where, and what."""
    return {one["target"]: one["source"] for one in service(name).get("volumes", []) if one["type"] == "bind"}


def words(name):
    """The command of a service with the paths of mounted files turned into those of the repository."""
    return [at_home(name, word) for word in service(name).get("command") or []]


def at_home(name, text):
    """A text in which the place of a mount is what is mounted."""
    for target, source in mounts(name).items():
        text = text.replace(target, source)
    return text
