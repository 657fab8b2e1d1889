"""The Dockerfile: linted, and each image runs one program as nobody in particular. No container engine is needed, and none is used."""
import json
import re
import shutil
import tempfile
import unittest
from pathlib import Path

import images
from paths import ROOT, TOOLS
from processes import run


class Images(unittest.TestCase):
    def test_hadolint_finds_no_fault(self):
        code, output = run([TOOLS / "hadolint", "--failure-threshold", "style", ROOT / "Dockerfile"])
        self.assertEqual(code, 0, output)

    def test_each_image_runs_its_program_without_a_shell_as_an_ordinary_user(self):
        for stage in images.BY_IMAGE.values():
            with self.subTest(image=stage):
                self.assertEqual(images.instruction(stage, "USER"), "65532:65532")
                self.assertFalse([line for line in images.STAGES[stage] if line.startswith("RUN")])
                started = json.loads(images.instruction(stage, "ENTRYPOINT"))
                copied = images.instructions(stage, "COPY")
                self.assertIn(f"--from=programs /out/{images.program(stage)} {started[0]}", copied)

    def test_the_gateway_has_the_pages_that_it_is_told_of(self):
        [pages] = [pair.split("=")[1] for pair in images.instruction("gateway", "ENV").split() if "HTTP_PAGES" in pair]
        self.assertIn(f"--from=pages /src/web/dashboard/dist {pages}", images.instructions("gateway", "COPY"))
        for part in ("client", "dashboard"):
            self.assertIn(f"web/{part} web/{part}", images.instructions("pages", "COPY"))
            self.assertTrue((ROOT / "web" / part / "package-lock.json").exists())

    def test_programs_check_their_own_health(self):
        for stage in ("gateway", "poller"):
            check = json.loads(images.instruction(stage, "HEALTHCHECK").split("CMD ", 1)[1])
            self.assertEqual(check[0], json.loads(images.instruction(stage, "ENTRYPOINT"))[0])
            # Nobody answers, so it says no; it would say 64 if it did not know the command.
            required = {"PROMCAST_AUTH_MODE": "none", "PROMCAST_PROMETHEUS_URL": "http://127.0.0.1:1"}
            if stage == "poller":
                required = {"PROMCAST_BUS_URL": "nats://127.0.0.1:1", "PROMCAST_PROMETHEUS_URL": "http://127.0.0.1:1"}
            required["PROMCAST_ADMIN_LISTEN"] = "127.0.0.1:1"
            code, output = run([images.program(stage), *check[1:]], required)
            self.assertEqual(code, 1, output)

    def test_bases_are_pinned(self):
        for line in images.TEXT.splitlines():
            if line.startswith("ARG ") and line.split("=")[0].endswith("_IMAGE"):
                self.assertRegex(line, r"=[^:]+:(?!latest)\S+$")

    def test_what_is_copied_is_a_workspace_that_cargo_understands(self):
        allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
        with tempfile.TemporaryDirectory() as folder:
            for line in images.STAGES["programs"]:
                if not line.startswith("COPY"):
                    continue
                *sources, target = line.split()[1:]
                for source in sources:
                    self.assertIn(source.split("/")[0] if source.startswith("web/") else source, allowed, "the .dockerignore keeps it out")
                    here, there = ROOT / source, Path(folder) / target
                    there = there / here.name if target.endswith("/") else there
                    there.parent.mkdir(parents=True, exist_ok=True)
                    copy = shutil.copytree if here.is_dir() else shutil.copy
                    copy(here, there, **({"ignore": shutil.ignore_patterns("node_modules", "dist")} if here.is_dir() else {}))
            (Path(folder) / "tests/src").mkdir()
            (Path(folder) / "tests/src/lib.rs").touch()
            # Of this platform alone: what it does not need was never downloaded.
            host = re.search(r"^host: (\S+)$", run(["rustc", "-vV"])[1], re.MULTILINE).group(1)
            metadata = ["cargo", "metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", host]
            code, output = run(metadata, folder=folder)
            self.assertEqual(code, 0, output[-2000:])
