"""The dashboards as Grafana's own model (grafana-foundation-sdk) reads them."""

import json
import pathlib
import subprocess
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard, heatmap, prometheus, stat, table, timeseries

DEPLOY = pathlib.Path(__file__).resolve().parent.parent.parent / "deploy/grafana"
# The models of what the panels have.
OPTIONS = {"stat": stat.Options, "timeseries": timeseries.Options, "heatmap": heatmap.Options, "table": table.Options}
CUSTOM = {"timeseries": timeseries.FieldConfig, "heatmap": heatmap.FieldConfig, "table": table.FieldConfig}
# Units of Grafana that are used here (its list: packages/grafana-data, valueFormats).
UNITS = {"short", "s", "bytes", "percentunit", "cps"}


def files():
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted((DEPLOY / "dashboards").glob("*.json"))}


def targets():
    """Each panel's targets: the dashboard's name, the panel, the target."""
    return [(name, panel, target) for name, one in files().items() for panel in one["panels"] for target in panel["targets"]]


def not_written_by_make():
    done = subprocess.run([sys.executable, DEPLOY / "make.py", "--check"], capture_output=True, text=True, timeout=30)
    return [done.stderr.strip()] if done.returncode else []


def plain(value):
    return json.loads(JSONEncoder().encode(value))


def lost(ours, read, where):
    """Keys and values of ours that the model does not have."""
    if isinstance(ours, dict) and isinstance(read, dict):
        found = [f"{where}.{key}: not known" for key in ours if key not in read]
        return found + [fault for key in ours if key in read for fault in lost(ours[key], read[key], f"{where}.{key}")]
    if isinstance(ours, list) and isinstance(read, list) and len(ours) == len(read):
        return [fault for at, (one, other) in enumerate(zip(ours, read)) for fault in lost(one, other, f"{where}[{at}]")]
    return [] if ours == read else [f"{where}: {ours!r} is read as {read!r}"]


def by_model(model, value, where):
    try:
        return lost(value, plain(model.from_json(value)), where)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return [f"{where}: {error!r}"]


def faults():
    register_default_plugins()
    found, uids = [], set()
    for name, one in files().items():
        found += by_model(dashboard.Dashboard, one, name)
        if one["uid"] in uids:
            found.append(f"{name}: its uid is another's")
        uids.add(one["uid"])
        for panel in one["panels"]:
            where = f"{name}, {panel['title']}"
            kind, defaults = panel["type"], panel["fieldConfig"]["defaults"]
            if kind not in OPTIONS:
                found.append(f"{where}: no model of {kind}")
                continue
            found += by_model(OPTIONS[kind], panel["options"], f"{where}.options")
            if kind in CUSTOM:
                found += by_model(CUSTOM[kind], defaults["custom"], f"{where}.custom")
            for target in panel["targets"]:
                found += by_model(prometheus.Dataquery, target, f"{where}.{target['refId']}")
            if not panel["description"]:
                found.append(f"{where}: no description")
            if kind != "heatmap" and defaults["unit"] not in UNITS:
                found.append(f"{where}: {defaults['unit']} is no unit that was looked up")
            if kind == "stat" and not defaults["thresholds"]["steps"]:
                found.append(f"{where}: no thresholds")
        found += overlaps(name, one["panels"])
    return found


def overlaps(name, panels):
    """Panels that lie over each other or beyond the 24 columns."""
    taken, found = {}, []
    for panel in panels:
        at = panel["gridPos"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                if x >= 24 or (x, y) in taken:
                    found.append(f"{name}, {panel['title']}: lies over {taken.get((x, y), 'the edge')}")
                taken[x, y] = panel["title"]
    return sorted(set(found))
