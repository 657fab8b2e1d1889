"""Dashboards: each expression is PromQL, each panel has its place, and the files of Grafana and Perses are those of the source."""
import json
import subprocess
import sys
import unittest

import yaml
from paths import DEPLOY
from promql import parsed

SOURCES = {path.stem: yaml.safe_load(path.read_text()) for path in (DEPLOY / "dashboards").glob("*.yml")}


def expressions(source):
    """All of a dashboard: its queries, and what its variables look at."""
    for row in source["rows"]:
        for panel in row["panels"]:
            for query in panel["queries"]:
                yield f"{row['title']}: {panel['title']}", query["expr"]
    for variable in source["variables"]:
        yield f"variable {variable['name']}", variable["metric"]


class Dashboards(unittest.TestCase):
    def test_what_is_written_is_what_the_sources_say(self):
        done = subprocess.run([sys.executable, DEPLOY / "dashboards/render.py", "--check"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_each_expression_is_promql(self):
        for name, source in SOURCES.items():
            for where, expression in expressions(source):
                with self.subTest(dashboard=name, where=where):
                    parsed(expression)

    def test_variables_that_are_used_exist(self):
        for name, source in SOURCES.items():
            known = {f"${one['name']}" for one in source["variables"]}
            for where, expression in expressions(source):
                with self.subTest(dashboard=name, where=where):
                    used = {word for word in expression.replace('"', " ").split() if word.startswith("$")}
                    self.assertLessEqual(used, known)

    def test_no_two_panels_of_grafana_overlap_or_share_an_id(self):
        for name in SOURCES:
            dashboard = json.loads((DEPLOY / f"grafana/dashboards/{name}.json").read_text())
            ids = [panel["id"] for panel in dashboard["panels"]]
            self.assertEqual(len(ids), len(set(ids)))
            taken = set()
            for panel in dashboard["panels"]:
                place = panel["gridPos"]
                self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
                cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                         for y in range(place["y"], place["y"] + place["h"])}
                self.assertFalse(cells & taken, f"{name}: {panel['title']} overlaps another panel")
                taken |= cells

    def test_each_panel_of_perses_is_placed_once(self):
        for name in SOURCES:
            spec = yaml.safe_load((DEPLOY / f"perses/{name}.yaml").read_text())["spec"]
            placed = [item["content"]["$ref"] for layout in spec["layouts"] for item in layout["spec"]["items"]]
            self.assertEqual(sorted(placed), sorted(f"#/spec/panels/{panel}" for panel in spec["panels"]))

    def test_grafana_finds_the_datasources_that_are_provisioned(self):
        provisioned = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/promcast.yml").read_text())
        self.assertEqual([one["type"] for one in provisioned["datasources"]], ["prometheus", "prometheus", "jaeger"])
        self.assertTrue(provisioned["datasources"][0]["isDefault"])
