#!/usr/bin/env python3
"""Makes the files of Grafana and Perses, and the PrometheusRule of Kubernetes, from their one source each.

    .build/venv/bin/python deploy/dashboards/render.py            writes them
    .build/venv/bin/python deploy/dashboards/render.py --check    says which are not what they would be written as
"""
import json
import re
import sys
from pathlib import Path

import yaml

DEPLOY = Path(__file__).resolve().parent.parent
COLUMNS = 24
HEIGHTS = {"stat": 4, "timeseries": 8}
# What is written in a source, and the name of it in Grafana and in Perses. Perses knows no watts.
UNITS = {
    None: ("short", {"unit": "decimal", "shortValues": True}),
    "seconds": ("s", {"unit": "seconds"}),
    "per_second": ("ops", {"unit": "ops/sec"}),
    "bytes": ("bytes", {"unit": "bytes"}),
    "bytes_per_second": ("Bps", {"unit": "bytes/sec"}),
    "percent": ("percent", {"unit": "percent"}),
    "ratio": ("percentunit", {"unit": "percent-decimal"}),
    "celsius": ("celsius", {"unit": "celsius"}),
    "watts": ("watt", {"unit": "decimal"}),
    "hertz": ("hertz", {"unit": "decimal", "shortValues": True}),
}
# Good, worth a look, bad.
COLOURS = ("green", "orange", "red")
HEX = {"green": "#2e9e4f", "orange": "#e88b1a", "red": "#d1332e"}


def placed(row):
    """Each panel of a row with its place: (panel, x, y, width, height), y from the top of the row."""
    x = y = height = 0
    for panel in row["panels"]:
        width, tall = panel.get("width", 8), HEIGHTS[panel.get("kind", "timeseries")]
        if x + width > COLUMNS:
            x, y, height = 0, y + height, 0
        yield panel, x, y, width, tall
        x, height = x + width, max(height, tall)


def grafana(source):
    """Grafana's own JSON, of schema 39 (Grafana 11)."""
    panels, top = [], 0
    for row in source["rows"]:
        panels.append({"type": "row", "title": row["title"], "collapsed": False, "panels": [], "id": len(panels) + 1,
                       "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": top}})
        bottom = top = top + 1
        for panel, x, y, width, height in placed(row):
            place = {"h": height, "w": width, "x": x, "y": top + y}
            panels.append({"id": len(panels) + 1, "gridPos": place, **grafana_panel(panel)})
            bottom = max(bottom, top + y + height)
        top = bottom
    return {
        "uid": source["uid"], "title": source["title"], "description": source["description"],
        "tags": source["tags"], "schemaVersion": 39, "version": 1, "editable": True, "graphTooltip": 1,
        "refresh": "15s", "time": {"from": "now-1h", "to": "now"}, "timezone": "browser",
        "annotations": {"list": []}, "links": [],
        "templating": {"list": [
            {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus"},
            *(grafana_variable(variable) for variable in source["variables"]),
        ]},
        "panels": panels,
    }


GRAFANA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def grafana_variable(variable):
    query = f"label_values({variable['metric']}, {variable['of']})"
    return {"type": "query", "name": variable["name"], "label": variable["label"], "datasource": GRAFANA_SOURCE,
            "query": {"query": query, "refId": "labels"}, "definition": query, "refresh": 2, "sort": 3,
            "multi": True, "includeAll": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"}}


def grafana_panel(panel):
    kind = panel.get("kind", "timeseries")
    steps = [{"color": COLOURS[0], "value": None}]
    steps += [{"color": colour, "value": at} for colour, at in zip(COLOURS[1:], panel.get("thresholds", []))]
    defaults = {"unit": UNITS[panel.get("unit")][0], "thresholds": {"mode": "absolute", "steps": steps}}
    if "max" in panel:
        defaults |= {"min": 0, "max": panel["max"]}
    stat = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
    lines = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
    return {
        "type": kind, "title": panel["title"], "description": panel.get("about", ""), "datasource": GRAFANA_SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []}, "options": stat if kind == "stat" else lines,
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": GRAFANA_SOURCE, "expr": query["expr"],
             "legendFormat": query.get("legend", "")}
            for number, query in enumerate(panel["queries"])
        ],
    }


def perses_spec(source):
    """The dashboard specification of Perses 0.50 and newer. It takes the default datasource of its project."""
    panels, layouts = {}, []
    for row in source["rows"]:
        items = []
        for panel, x, y, width, height in placed(row):
            name = re.sub(r"[^a-z0-9]+", "-", f"{row['title']} {panel['title']}".lower()).strip("-")
            assert name not in panels, f"two panels are called {name}"
            panels[name] = perses_panel(panel)
            items.append({"x": x, "y": y, "width": width, "height": height, "content": {"$ref": f"#/spec/panels/{name}"}})
        display = {"title": row["title"], "collapse": {"open": True}}
        layouts.append({"kind": "Grid", "spec": {"display": display, "items": items}})
    return {
        "display": {"name": source["title"], "description": source["description"]},
        "duration": "1h", "refreshInterval": "15s",
        "variables": [perses_variable(variable) for variable in source["variables"]],
        "panels": panels, "layouts": layouts,
    }


def perses_variable(variable):
    plugin = {"kind": "PrometheusLabelValuesVariable",
              "spec": {"labelName": variable["of"], "matchers": [variable["metric"]]}}
    return {"kind": "ListVariable", "spec": {
        "name": variable["name"], "display": {"name": variable["label"]}, "allowMultiple": True,
        "allowAllValue": True, "customAllValue": ".*", "defaultValue": "$__all", "plugin": plugin}}


def perses_panel(panel):
    unit = UNITS[panel.get("unit")][1]
    steps = [{"value": at, "color": HEX[colour]} for colour, at in zip(COLOURS[1:], panel.get("thresholds", []))]
    thresholds = {"thresholds": {"defaultColor": HEX[COLOURS[0]], "steps": steps}} if steps else {}
    if panel.get("kind") == "stat":
        plugin = {"kind": "StatChart", "spec": {"calculation": "last-number", "format": unit, **thresholds}}
    else:
        axis = {"format": unit} | ({"min": 0, "max": panel["max"]} if "max" in panel else {})
        plugin = {"kind": "TimeSeriesChart", "spec": {
            "legend": {"position": "bottom", "mode": "list"}, "yAxis": axis, **thresholds}}
    queries = [{"kind": "TimeSeriesQuery", "spec": {"plugin": {
        "kind": "PrometheusTimeSeriesQuery",
        "spec": {"query": query["expr"], "seriesNameFormat": query.get("legend", "")}}}} for query in panel["queries"]]
    display = {"name": panel["title"], "description": panel.get("about", "")}
    return {"kind": "Panel", "spec": {"display": display, "plugin": plugin, "queries": queries}}


def perses(source):
    """A resource for `percli apply`."""
    return {"kind": "Dashboard", "metadata": {"name": source["uid"], "project": "promcast"}, "spec": perses_spec(source)}


def perses_resource(source):
    """The same for the Perses operator."""
    return {"apiVersion": "perses.dev/v1alpha2", "kind": "PersesDashboard", "metadata": {"name": source["uid"]},
            "spec": {"config": perses_spec(source)}}


def rule_resource(path):
    """Rules of Prometheus for the Prometheus operator."""
    return {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": {"name": path.stem},
            "spec": yaml.safe_load(path.read_text())}


def text_of_yaml(source, *documents):
    head = f"# Written by deploy/dashboards/render.py from {source}. Change that.\n"
    return head + yaml.safe_dump_all(documents, sort_keys=False, width=120, allow_unicode=True)


def files():
    """What is written: path and text."""
    for path in sorted((DEPLOY / "dashboards").glob("*.yml")):
        source, name = yaml.safe_load(path.read_text()), f"deploy/dashboards/{path.name}"
        yield DEPLOY / f"grafana/dashboards/{path.stem}.json", json.dumps(grafana(source), indent=2) + "\n"
        yield DEPLOY / f"perses/{path.stem}.yaml", text_of_yaml(name, perses(source))
        yield DEPLOY / f"kubernetes/components/perses/{path.stem}.yaml", text_of_yaml(name, perses_resource(source))
    for path in sorted((DEPLOY / "prometheus/rules").glob("*.yml")):
        text = text_of_yaml(f"deploy/prometheus/rules/{path.name}", rule_resource(path))
        yield DEPLOY / f"kubernetes/components/monitoring/rules-{path.stem}.yaml", text


def main():
    stale = [(path, text) for path, text in files() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path, _ in stale:
            print(f"error: {path.relative_to(DEPLOY.parent)} is not what deploy/dashboards/render.py makes: run it", file=sys.stderr)
        return 1 if stale else 0
    for path, text in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(path.relative_to(DEPLOY.parent))
    return 0


if __name__ == "__main__":
    sys.exit(main())
