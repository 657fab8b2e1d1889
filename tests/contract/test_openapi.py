"""docs/openapi.yaml: valid, served as it stands, and true of a running gateway."""
import json
import subprocess
import sys
import unittest
import urllib.request

from installation import Installation, document
from openapi_spec_validator import validate
from paths import ENVIRONMENT, ROOT, TOOLS

METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH", "TRACE")

# Streams that end by themselves, so that each answer has an end; no limit for one address; nothing that lasts.
QUICK = ["--stream-max-lifetime", "100ms", "--stream-linger", "1s", "--stream-open-rate", "100000", "--stream-open-burst", "100000",
         "--http-read-rate", "100000", "--http-read-burst", "100000"]


def answer(url, method):
    """Status and `Allow` of an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as found:
            return found.status, found.headers["Allow"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Allow"]


class OpenApi(Installation):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.description = document("openapi.yaml")
        cls.url = cls.gateway("gateway", "--prometheus-url", cls.prometheus, *QUICK)

    def test_1_it_is_valid(self):
        validate(self.description)

    def test_2_the_gateway_serves_it(self):
        with urllib.request.urlopen(f"{self.url}/openapi.json", timeout=10) as served:
            self.assertEqual(served.headers["Content-Type"], "application/json")
            self.assertEqual(json.load(served), json.loads(json.dumps(self.description)))

    def test_3_a_path_takes_the_methods_that_are_described_and_no_other(self):
        for path, item in self.description["paths"].items():
            described = {method for method in METHODS if method.lower() in item}
            url = self.url + path.replace("{connection_id}", "x").replace("{name}", "job")
            for method in METHODS:
                with self.subTest(path=path, method=method):
                    status, allow = answer(url, method)
                    self.assertEqual(status == 405, method not in described, status)
                    if status == 405:
                        self.assertEqual({one.strip() for one in allow.split(",")} - {"HEAD"}, described)

    def test_4_schemathesis_finds_no_answer_that_is_not_described(self):
        here = ROOT / "tests/contract"
        done = subprocess.run(
            [TOOLS / "schemathesis", "--config-file", here / "schemathesis.toml", "--no-color", "run", f"{self.url}/openapi.json",
             "--url", self.url, "--request-timeout", "10"],
            env={**ENVIRONMENT, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(here), "COLUMNS": "150"}, cwd=self.folder,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
        sys.stderr.write(done.stdout[-700:])
        self.assertEqual(done.returncode, 0, done.stdout[-20000:] + done.stderr[-3000:])


if __name__ == "__main__":
    unittest.main()
