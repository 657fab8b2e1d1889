"""What the Dockerfile says of each image."""
import json
import re

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


def instruction(stage, word):
    """The arguments of the last instruction of this name in a stage."""
    found = [line.split(maxsplit=1)[1] for line in STAGES[stage] if line.startswith(word + " ")]
    return found[-1] if found else None


# Files that a stage of the image builds, and what stands for them where no image is built.
STAND_IN = {"/usr/share/promcast/pages": str(ROOT / "web/plain")}


def environment(stage):
    """What its ENV sets, with the image's own files as they are here."""
    pairs = (pair.split("=", 1) for pair in (instruction(stage, "ENV") or "").split())
    return {name: STAND_IN.get(value, value) for name, value in pairs}


def program(stage):
    """The name of the program that it starts."""
    return json.loads(instruction(stage, "ENTRYPOINT"))[0].rsplit("/", 1)[1]


# From the name of an image, as compose and Kubernetes write it, to its stage.
BY_IMAGE = {"promcast-gateway": "gateway", "promcast-poller": "poller", "promcast-dcgm-sim": "dcgm-sim"}


def stage_of(image):
    """The stage that an image is built from; None for those of others."""
    return BY_IMAGE.get(image.split(":")[0])
