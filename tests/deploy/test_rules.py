"""Alert rules: promtool finds no fault, each alert is tested to fire and to be quiet, and the runbook has a section for each."""
import re
import unittest

import yaml
from paths import DEPLOY, ROOT
from processes import run

RULES = sorted((DEPLOY / "prometheus/rules").glob("*.yml"))
TESTS = sorted((DEPLOY / "prometheus/tests").glob("*.yml"))


def alerts():
    """All alert rules by name."""
    rules = [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]
    return {rule["alert"]: rule for rule in rules}


class Rules(unittest.TestCase):
    def test_promtool_finds_no_fault(self):
        code, output = run(["promtool", "check", "rules", "--lint-fatal", *RULES])
        self.assertEqual(code, 0, output)

    def test_alerts_fire_where_they_should_and_nowhere_else(self):
        code, output = run(["promtool", "test", "rules", *TESTS])
        self.assertEqual(code, 0, output)

    def test_each_alert_is_tested_to_fire_and_to_be_quiet(self):
        fires, quiet = set(), set()
        for path in TESTS:
            for case in yaml.safe_load(path.read_text())["tests"]:
                for asked in case["alert_rule_test"]:
                    (fires if asked["exp_alerts"] else quiet).add(asked["alertname"])
        self.assertEqual(fires, set(alerts()))
        self.assertEqual(quiet, set(alerts()))

    def test_each_alert_says_how_bad_it_is_and_what_is_wrong(self):
        for name, rule in alerts().items():
            with self.subTest(alert=name):
                self.assertIn(rule["labels"]["severity"], {"critical", "warning"})
                self.assertEqual(set(rule["annotations"]), {"summary", "description"})

    def test_the_runbook_has_a_section_for_each_alert_and_no_other(self):
        sections = re.findall(r"^### (\w+)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE)
        self.assertEqual(sorted(sections), sorted(alerts()))

    def test_nobody_is_woken_by_a_gpu(self):
        critical = [name for name, rule in alerts().items() if rule["labels"]["severity"] == "critical"]
        self.assertTrue(critical)
        self.assertFalse([name for name in critical if name.startswith("Gpu")])

    def test_the_configuration_of_prometheus_is_valid(self):
        for path in [DEPLOY / "prometheus/local.yml", DEPLOY / "kubernetes/overlays/dev/prometheus.yml"]:
            code, output = run(["promtool", "check", "config", path])
            self.assertEqual(code, 0, output)
