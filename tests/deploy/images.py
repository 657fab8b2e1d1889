"""What the Dockerfile says of each image."""
import json
import re
import tempfile
from pathlib import Path

from paths import ROOT

TEXT = (ROOT / "Dockerfile").read_text()


def _stages():
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", TEXT, flags=re.MULTILINE))
    stages, lines = {}, []
    for line in joined.splitlines():
        head = re.match(r"FROM \S+ AS (\S+)$", line)
        if head:
            lines = stages.setdefault(head.group(1), [])
        elif line.strip():
            lines.append(line.strip())
    return stages


STAGES = _stages()


def instructions(stage, word):
    """The arguments of each instruction of this name in a stage."""
    return [line.split(maxsplit=1)[1] for line in STAGES[stage] if line.startswith(word + " ")]


def instruction(stage, word):
    """The arguments of the last of them."""
    return (instructions(stage, word) or [None])[-1]


# What stands in for the pages in the image of the gateway, where a program is run without it. They are gone with the tests.
_pages = tempfile.TemporaryDirectory()
PAGES = Path(_pages.name)
(PAGES / "index.html").write_text("<!doctype html><title>Pages</title>")


def environment(stage):
    """What its ENV sets, with pages that are here."""
    said = dict(pair.split("=", 1) for pair in (instruction(stage, "ENV") or "").split())
    return {name: str(PAGES) if name == "PROMCAST_HTTP_PAGES" else value for name, value in said.items()}


def program(stage):
    """The name of the program that it starts."""
    return json.loads(instruction(stage, "ENTRYPOINT"))[0].rsplit("/", 1)[1]


# From the name of an image, as compose and Kubernetes write it, to its stage.
BY_IMAGE = {"promcast-gateway": "gateway", "promcast-poller": "poller", "promcast-dcgm-sim": "dcgm-sim"}


def stage_of(image):
    """The stage that an image is built from; None for those of others."""
    return BY_IMAGE.get(image.split(":")[0])
