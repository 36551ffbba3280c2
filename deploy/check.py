#!/usr/bin/env python3
"""Holds the dashboard and the alert rules against a real page of /metrics.

    python3 deploy/check.py http://127.0.0.1:9090/metrics    (or a file with such a page)

Every metric that a query names must be on the page, and every label it selects or groups by must
be one of that metric's. A counter with labels shows itself with its first event, so take the page
after some traffic (`e2e/run.py --metrics-out` makes one). Where an event cannot be provoked, name
the metric by `--unseen NAME`: it is then not checked, and that is said.
Standard library only; exit code 1 when a query names something that is not there.

    python3 deploy/check.py --as-rules > F && promtool check rules F

prints the dashboard's queries as a rules file, so that promtool reads their syntax.
"""

import argparse
import json
import re
import sys
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
DASHBOARD = HERE / "grafana" / "dashboards" / "portcullis.json"
RULES = HERE / "rules.yaml"

#: Labels that Prometheus itself adds.
ADDED = {"instance", "job", "le"}
SAMPLE = re.compile(r"^(portcullis_\w+)(?:\{(.*)\})? \S+$")
SELECTOR = re.compile(r"\b(portcullis[_:][\w:]+)(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\b(?:by|without)\s*\(([^)]*)\)")
LABEL = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
VARIABLE = re.compile(r"label_values\((portcullis_\w+), (\w+)\)")
LEGEND = re.compile(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}")


def page_labels(page):
    """Every metric of a page, histograms with their suffixes, and its labels."""
    labels = {}
    for line in page.splitlines():
        if sample := SAMPLE.match(line):
            name, given = sample.groups()
            labels.setdefault(name, set()).update(LABEL.findall(given or ""))
    return labels


def dashboard_queries():
    """Place, expression and legend of every query of the dashboard."""
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield f"panel `{panel['title']}`", target["expr"], target["legendFormat"]
    for variable in dashboard["templating"]["list"]:
        for metric, label in VARIABLE.findall(variable["definition"]):
            yield f"variable `{variable['name']}`", f"sum by ({label}) ({metric})", ""


def rule_queries():
    """Place and expression of every rule, and the names of the recorded ones."""
    place, block, indent = None, None, 0
    for line in [*RULES.read_text().splitlines(), ""]:
        depth = len(line) - len(line.lstrip())
        if block is not None:
            if line.strip() and indent < depth:
                block.append(line)
                continue
            yield place, "\n".join(block), ""
            block = None
        if named := re.match(r"\s*- (?:alert|record): (\S+)", line):
            place = named.group(1)
        elif expr := re.match(r"(\s*)expr: (.*)$", line):
            indent = len(expr.group(1))
            if expr.group(2) == "|":
                block = []
            else:
                yield place, expr.group(2), ""


def faults_of(place, expr, legend, known, unseen):
    """What a query names and the page does not have."""
    named, grouped = SELECTOR.findall(expr), GROUPING.findall(expr)
    grouped = {label.strip() for group in grouped for label in group.split(",") if label.strip()}
    available = set(ADDED)
    for metric, selected in named:
        if metric in unseen:
            available |= set(LABEL.findall(selected)) | grouped
            continue
        if metric not in known:
            yield f"{place}: /metrics has no `{metric}`"
            continue
        available |= known[metric]
        for label in set(LABEL.findall(selected)) - known[metric] - ADDED:
            yield f"{place}: `{metric}` has no label `{label}`"
    if not named:
        yield f"{place}: the query names no metric of ours: {expr}"
    for label in grouped - available:
        yield f"{place}: groups by `{label}`, which none of its metrics has"
    for label in set(LEGEND.findall(legend)) - grouped:
        yield f"{place}: the legend shows `{label}`, by which the query does not group"


def as_rules():
    """The dashboard's queries as recording rules, Grafana's variables filled in (JSON is YAML)."""
    variables = {"$__rate_interval": "5m", "$__range": "1h", "$instance": ".*"}
    rules = []
    for idx, (_, expr, _) in enumerate(dashboard_queries()):
        for name, value in variables.items():
            expr = expr.replace(name, value)
        rules.append({"record": f"dashboard:query:{idx}", "expr": expr})
    return {"groups": [{"name": "dashboard", "rules": rules}]}


def read_page(source):
    if source.startswith(("http://", "https://")):
        with urllib.request.urlopen(source, timeout=10) as answer:
            return answer.read().decode()
    return Path(source).read_text()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", nargs="?", help="URL or file of a /metrics page")
    parser.add_argument("--as-rules", action="store_true", help="print the queries for promtool")
    parser.add_argument("--unseen", action="append", default=[], help="a metric not provoked")
    options = parser.parse_args()
    if options.as_rules:
        print(json.dumps(as_rules(), indent=1))
        return 0
    if not options.page:
        parser.error("name a page of /metrics")
    known = page_labels(read_page(options.page))
    rules = list(rule_queries())
    # What a rule records is a metric without labels here.
    known.update({place: set() for place, _, _ in rules if ":" in place})
    queries = [*dashboard_queries(), *rules]
    faults = [fault for query in queries for fault in faults_of(*query, known, options.unseen)]
    for fault in faults:
        print(f"FAIL  {fault}")
    for metric in options.unseen:
        print(f"note  `{metric}` was not on the page and was not checked")
    print(f"{len(queries)} queries checked, {len(faults)} faults")
    return 1 if faults or not known else 0


if __name__ == "__main__":
    sys.exit(main())
