#!/usr/bin/env python3
"""Writes dashboards/*.json from what is said here: each panel is a line or a few.

deploy/grafana/make.py          writes the files
deploy/grafana/make.py --check  says whether they are what it would write

Only Python is needed. Users of Grafana need only the files.
"""

import json
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent / "dashboards"
COLUMNS = 24
# Which scrapes a dashboard is about: one variable names the instances.
OF = 'instance=~"$instance"'
GREEN, YELLOW, RED, GREY = "green", "yellow", "red", "text"


def rate(metric, by=(), more="", how="rate"):
    """The sum of the rates of a counter, by some of its labels."""
    labels = OF + ("," + more if more else "")
    grouped = f" by ({', '.join(by)})" if by else ""
    return f"sum{grouped} ({how}({metric}{{{labels}}}[$__rate_interval]))"


def gauge(metric, by=(), more="", how="sum"):
    labels = OF + ("," + more if more else "")
    grouped = f" by ({', '.join(by)})" if by else ""
    return f"{how}{grouped} ({metric}{{{labels}}})"


def quantile(rank, metric, by=(), more=""):
    return f"histogram_quantile({rank}, {rate(metric + '_bucket', ('le', *by), more)})"


def quantiles(metric, more=""):
    return [(quantile(rank, metric, more=more), name) for rank, name in ((0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"))]


def targets(queries, instant=False, form="time_series"):
    made = []
    for letter, (expr, legend) in zip("ABCDEFGH", queries):
        one = {"refId": letter, "expr": expr, "legendFormat": legend, "datasource": SOURCE, "format": form}
        made.append(one | ({"instant": True, "range": False} if instant else {"range": True}))
    return made


SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def steps(*of):
    """Thresholds: the first colour is for all below the first value."""
    values = [None, *of[1::2]]
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in zip(of[0::2], values)]}


def panel(kind, title, says, queries, unit, width, height, options, custom=None, limits=None, **more):
    defaults = {"unit": unit, "custom": custom or {}, "color": {"mode": "thresholds" if limits else "palette-classic"}}
    if limits:
        defaults["thresholds"] = limits
    defaults |= more.pop("defaults", {})
    return {
        "type": kind, "title": title, "description": says, "datasource": SOURCE,
        "gridPos": {"x": 0, "y": 0, "w": width, "h": height},
        "targets": queries, "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options, **more,
    }


def stat(title, says, expr, unit="short", limits=None, width=4, mappings=None, decimals=None):
    extra = {"min": 0}
    if mappings:
        extra["mappings"] = [{"type": "value", "options": {str(value): {"text": text, "color": color, "index": at}
                                                           for at, (value, text, color) in enumerate(mappings)}}]
    if decimals is not None:
        extra["decimals"] = decimals
    options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "value",
               "graphMode": "area", "justifyMode": "auto", "orientation": "auto", "textMode": "auto"}
    return panel("stat", title, says, targets([(expr, "")]), unit, width, 4, options,
                 limits=limits or steps(GREY), defaults=extra)


def lines(title, says, queries, unit="short", width=12, stacked=False, limits=None, logarithmic=False):
    custom = {"lineWidth": 1, "fillOpacity": 30 if stacked else 5, "showPoints": "never", "spanNulls": False,
              "stacking": {"mode": "normal" if stacked else "none", "group": "A"}}
    if logarithmic:
        custom["scaleDistribution"] = {"type": "log", "log": 10}
    if limits:
        custom["thresholdsStyle"] = {"mode": "dashed"}
    options = {"legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]},
               "tooltip": {"mode": "multi", "sort": "desc"}}
    made = panel("timeseries", title, says, targets(queries), unit, width, 8, options, custom=custom, defaults={"min": 0})
    if limits:
        made["fieldConfig"]["defaults"]["thresholds"] = limits
    return made


def heat(title, says, metric, more="", width=12):
    options = {"calculate": False, "yAxis": {"unit": "s", "axisPlacement": "left"}, "cellGap": 1,
               "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "fill": "dark-orange", "reverse": False},
               "filterValues": {"le": 1e-9}, "legend": {"show": True}, "exemplars": {"color": "rgba(255,0,255,0.7)"},
               "tooltip": {"mode": "single", "yHistogram": True}, "rowsFrame": {"layout": "auto"}, "showValue": "never"}
    query = targets([(rate(metric + "_bucket", ("le",), more, "increase"), "{{le}}")], form="heatmap")
    made = panel("heatmap", title, says, query, "short", width, 8, options)
    made["fieldConfig"]["defaults"] = {"custom": {"scaleDistribution": {"type": "linear"}}}
    return made


def table(title, says, expr, column, value, unit="short", width=12):
    options = {"showHeader": True, "cellHeight": "sm", "sortBy": [{"displayName": value, "desc": True}],
               "footer": {"show": False, "reducer": ["sum"], "countRows": False, "fields": ""}}
    made = panel("table", title, says, targets([(expr, "")], instant=True, form="table"), unit, width, 8, options,
                 custom={"align": "auto", "filterable": True})
    shown = {"id": "organize", "options": {"excludeByName": {"Time": True}, "indexByName": {column: 0, "Value": 1},
                                           "renameByName": {"Value": value}}}
    return made | {"transformations": [shown]}


YES = [(1, "yes", GREEN), (0, "NO", RED)]
PER_SECOND = "cps"
PASSED = 'verdict!="refuse"'
REFUSED = 'verdict="refuse"'
ALL_VERDICTS = rate("consentry_verdicts_total")

AVAILABLE = [
    stat("Journal takes records", "0: nothing is forwarded. consentry_audit_available of the worst instance.",
         gauge("consentry_audit_available", how="min"), limits=steps(RED, GREEN, 1), mappings=YES),
    stat("Ledger answers", "0: advertising is refused until a restart. consentry_consent_available of the worst instance.",
         gauge("consentry_consent_available", how="min"), limits=steps(RED, GREEN, 1), mappings=YES),
]

OVERVIEW = [
    stat("Proxies up", "Scrapes that succeed.", f'sum(up{{job="consentry",{OF}}})', limits=steps(RED, GREEN, 1)),
    stat("Alerts firing", "Of deploy/prometheus/consentry.alerts.yml; their annotations say what to do.",
         'count(ALERTS{alertname=~"Consentry.*",alertstate="firing"}) or vector(0)', limits=steps(GREEN, RED, 1)),
    *AVAILABLE,
    stat("Forwarded", "Messages that went on, observed ones among them.", rate("consentry_verdicts_total", more=PASSED), PER_SECOND),
    stat("Refused", "Share of all judged requests.", f'{rate("consentry_verdicts_total", more=REFUSED)} / {ALL_VERDICTS}',
         "percentunit", steps(GREEN, YELLOW, 0.05, RED, 0.25)),
    lines("Verdicts", "Each judged request: passed, refused, or passed although a rule in observe mode refuses it.",
          [(rate("consentry_verdicts_total", ("verdict",)), "{{verdict}}")], PER_SECOND, stacked=True),
    lines("PDUs", "All that was read, requests and responses, by the side that sent it and command.",
          [(f'{rate("consentry_pdus_total", ("side", "command"))} > 0', "{{side}} {{command}}")], PER_SECOND),
    lines("Waiting for the SMSC", "Requests without an answer, over all sessions; sessions of which nothing is read because their window is full.",
          [(gauge("consentry_window_messages"), "open requests"), (gauge("consentry_windows_full"), "full windows")]),
    lines("Answer of the SMSC", "From a request written to its response read.",
          quantiles("consentry_smsc_response_seconds")[:3], "s"),
    lines("SMSCs", "1 gets binds, 0 is ejected because of what it did or did not do.",
          [(gauge("consentry_upstream_up", ("instance", "upstream"), how="min"), "{{upstream}} {{instance}}"),
           (gauge("consentry_upstream_draining", ("instance", "upstream"), how="max"), "drained: {{upstream}} {{instance}}")]),
    lines("Sessions, by SMSC", "Connected now.", [(gauge("consentry_upstream_sessions", ("upstream",)), "{{upstream}}")], stacked=True),
    lines("Binds, by SMSC", "Accepted, and what spoke against an SMSC.",
          [(rate("consentry_upstream_binds_total", ("upstream",)), "accepted {{upstream}}"),
           (rate("consentry_upstream_failures_total", ("upstream", "reason")), "{{reason}} {{upstream}}")], PER_SECOND),
    lines("Sessions", "By state (SMPP 3.4 2.2).", [(gauge("consentry_sessions", ("state",)), "{{state}}")], stacked=True),
    lines("Sessions that ended", "By reason; reasons that did not occur are left out.",
          [(f'{rate("consentry_sessions_ended_total", ("reason",))} > 0', "{{reason}}")], PER_SECOND),
    lines("Binds", "By the command_status that the ESME was answered.",
          [(f'{rate("consentry_binds_total", ("status",))} > 0', "{{status}}")], PER_SECOND),
    lines("Turned away", "Connections refused by a limit, peers that speak another protocol, streams that cannot be cut into PDUs.",
          [(rate("consentry_connections_refused_total", ("reason",)), "limit: {{reason}}"),
           (rate("consentry_foreign_protocol_total", ("protocol",)), "protocol: {{protocol}}"),
           (rate("consentry_frame_faults_total", ("side",)), "framing: {{side}}")], PER_SECOND),
    lines("Memory", "Resident memory, and what waits in the buffers of all sessions.",
          [(gauge("process_resident_memory_bytes", ("instance",)), "resident {{instance}}"),
           (gauge("process_virtual_memory_bytes", ("instance",)), "virtual {{instance}}"),
           (gauge("consentry_buffered_octets", ("instance",)), "buffered {{instance}}")], "bytes"),
    lines("CPU", "Cores in use.", [(rate("process_cpu_seconds_total", ("instance",)), "{{instance}}")], "short"),
    lines("File descriptors", "Open, as a share of what the process may have. A session takes two.",
          [(gauge("process_open_fds", ("instance",)) + " / " + gauge("process_max_fds", ("instance",)), "{{instance}}")],
          "percentunit", limits=steps(GREEN, RED, 0.8)),
    table("Versions and configurations", "One line an instance. Proxies that should be alike show the same hash (consentry check prints it).",
          f"consentry_build_info{{{OF}}} * on (job, instance) group_left (hash) consentry_config_info{{{OF}}}", "instance", "is 1"),
    stat("Next certificate ends", "The first of the TLS certificates and authorities; their names: consentry_certificate_expiry_seconds.",
         gauge("consentry_certificate_expiry_seconds", how="min"), "s", steps(RED, YELLOW, 7 * 86400, GREEN, 14 * 86400)),
    stat("Loaded", "Since the files in force were loaded: configuration, registry, templates, lists.",
         f"time() - max(consentry_reload_last_success_seconds{{{OF}}})", "s", width=4),
    stat("Reloads that failed", "In the shown time: files that cannot be in force, so that nothing changed. The log says which.",
         f'sum(increase(consentry_reloads_total{{{OF},result="failed"}}[$__range]))', limits=steps(GREEN, RED, 1), width=4),
    stat("Up for", "Since the newest start of a process.", f"time() - max(process_start_time_seconds{{{OF}}})", "s", width=4),
]

COMPLIANCE = [
    stat("Refused", "Share of all judged requests.", f'{rate("consentry_verdicts_total", more=REFUSED)} / {ALL_VERDICTS}',
         "percentunit", steps(GREEN, YELLOW, 0.05, RED, 0.25)),
    stat("Would be refused", "Share of requests that passed although a rule in observe mode refuses them.",
         f"""{rate("consentry_verdicts_total", more='verdict="observe"')} / {ALL_VERDICTS}""", "percentunit", steps(GREEN, YELLOW, 0.01)),
    stat("Opt-outs", "Of the last hour, to a message that went on.",
         f'sum(increase(consentry_consent_revocations_total{{{OF},cause="refused"}}[1h])) / sum(increase(consentry_verdicts_total{{{OF},{PASSED}}}[1h]))',
         "percentunit", steps(GREEN, YELLOW, 0.01, RED, 0.02), decimals=2),
    stat("Blind ports", "Commercial codes whose provider is not bound to receive: opt-outs to them are not heard.",
         gauge("consentry_blind_ports"), limits=steps(GREEN, RED, 1)),
    stat("Next licence ends", "The first of the licences in force.",
         f"(min(consentry_licence_ends_timestamp_seconds{{{OF}}} > 0) - time())", "s", steps(RED, YELLOW, 7 * 86400, GREEN, 30 * 86400)),
    stat("Without a licence", "Providers in the registry whose messages are all refused.",
         gauge("consentry_providers_unlicensed", how="max"), limits=steps(GREEN, YELLOW, 1)),
    lines("Refused, by rule", "Rules that refused nothing are left out. A surge of one rule is a sender who changed, or a registry that did.",
          [(f'{rate("consentry_verdicts_total", ("rule",), REFUSED)} > 0', "{{rule}}")], PER_SECOND, stacked=True),
    lines("Would be refused, by rule", "Rules in observe mode: look here before you enforce.",
          [(f"""{rate("consentry_verdicts_total", ("rule",), 'verdict="observe"')} > 0""", "{{rule}}")], PER_SECOND, stacked=True),
    table("Rules over the shown time", "Refusals and observations; see them with consentry audit search --rule.",
          f'sum by (rule, verdict) (increase(consentry_verdicts_total{{{OF},rule!="none"}}[$__range])) > 0', "rule", "requests"),
    lines("Consent events", "What the ledger took: by messages, handsets, imports and the API.",
          [(rate("consentry_consent_events_total", ("event",)), "{{event}}")], PER_SECOND),
    lines("Revocations, by cause", "Refused by the recipient, a number with a new owner, a complaint, the operator. Of an hour each.",
          [(f"sum by (cause) (increase(consentry_consent_revocations_total{{{OF}}}[1h]))", "{{cause}}")]),
    lines("Pairs in the ledger", "Of an entity and a recipient.", [(gauge("consentry_consent_pairs", ("instance",)), "{{instance}}")]),
    lines("Binds refused", "By status and mode.",
          [(f"""{rate("consentry_binds_total", ("status", "mode"), 'status!="ESME_ROK"')} > 0""", "{{status}} {{mode}}")], PER_SECOND),
]

LATENCY = [
    lines("Added latency of what passes", "From a PDU read from the ESME to its octets written to the SMSC. With durability synced a disk sync is in it.",
          quantiles("consentry_added_latency_seconds", 'verdict="pass"'), "s", limits=steps(GREEN, RED, 0.1), logarithmic=True),
    heat("Added latency of what passes", "How many messages took how long.", "consentry_added_latency_seconds", 'verdict="pass"'),
    lines("Time to a refusal", "From a PDU read to its refusal ready for the ESME.",
          quantiles("consentry_added_latency_seconds", REFUSED), "s", logarithmic=True),
    lines("Sync of the journal", "One sync to disk; a slow disk shows here first.", quantiles("consentry_audit_sync_seconds"), "s", logarithmic=True),
    lines("Waiting for the ledger", "How long batches waited for standings that the node lacked, where many nodes share the ledger. It is part of the added latency.",
          quantiles("consentry_consent_lookup_wait_seconds"), "s", logarithmic=True),
    lines("Answer of the SMSC", "From a request written to its response read. This is not the proxy's time.",
          quantiles("consentry_smsc_response_seconds"), "s", limits=steps(GREEN, RED, 2), logarithmic=True),
    heat("Answer of the SMSC", "How many answers took how long.", "consentry_smsc_response_seconds"),
    lines("Unanswered", "Requests that no answer came to in [timeouts] response.", [(rate("consentry_unanswered_total", ("instance",)), "{{instance}}")], PER_SECOND),
    lines("Windows", "Requests that wait for their answer, and sessions whose ESME waits for it.",
          [(gauge("consentry_window_messages", ("instance",)), "open {{instance}}"), (gauge("consentry_windows_full", ("instance",)), "full {{instance}}")]),
    lines("Buffered", "Octets that wait in the buffers of all sessions; the limit is [limits] buffered.",
          [(gauge("consentry_buffered_octets", ("instance",)), "{{instance}}")], "bytes"),
]

AUDIT = [
    *AVAILABLE[:1],
    stat("Records", "Written to the journal.", rate("consentry_audit_records_total"), PER_SECOND),
    stat("Waiting", "Records that are not written yet.", gauge("consentry_audit_backlog_records"), limits=steps(GREEN, YELLOW, 10_000, RED, 100_000)),
    stat("Budget used", "Of [audit] disk_budget; empty without one. At the whole of it every message is refused.",
         f"max(consentry_audit_disk_octets{{{OF}}} / (consentry_audit_disk_budget_octets{{{OF}}} > 0))", "percentunit", steps(GREEN, YELLOW, 0.8, RED, 0.9)),
    stat("Journal takes", "Octets of its folder.", gauge("consentry_audit_disk_octets"), "bytes"),
    stat("Capture", "Whether traces are written.", gauge("consentry_capture_running", how="max"), mappings=[(1, "running", YELLOW), (0, "off", GREY)]),
    lines("Records", "Written a second.", [(rate("consentry_audit_records_total", ("instance",)), "{{instance}}")], PER_SECOND),
    lines("Backlog", "Records that wait to be written.", [(gauge("consentry_audit_backlog_records", ("instance",)), "{{instance}}")]),
    lines("Sync", "One sync of the journal to disk.", quantiles("consentry_audit_sync_seconds"), "s", logarithmic=True),
    lines("Records of one sync", "How many messages share a sync: the more, the less a slow disk matters.",
          [(f'{rate("consentry_audit_records_total")} / {rate("consentry_audit_sync_seconds_count")}', "records")]),
    lines("Disk", "What the journal's folder takes, and what it may.",
          [(gauge("consentry_audit_disk_octets", ("instance",)), "taken {{instance}}"),
           (gauge("consentry_audit_disk_budget_octets", ("instance",)) + " > 0", "budget {{instance}}")], "bytes"),
    lines("Mirrors: behind", "Records on the disk that a mirror has not delivered. One of Parquet files is behind for the time of a file.",
          [(gauge("consentry_mirror_lag_records", ("instance", "mirror")), "{{mirror}} {{instance}}")]),
    lines("Mirrors: delivered", "Rows, and those that the other side refused for ever.",
          [(rate("consentry_mirror_rows_total", ("mirror",)), "delivered {{mirror}}"),
           (rate("consentry_mirror_rejected_rows_total", ("mirror",)), "refused {{mirror}}")], PER_SECOND),
    lines("Mirrors: failures", "Deliveries that were tried again, and records that were purged before they were delivered.",
          [(rate("consentry_mirror_failures_total", ("mirror",)), "failures {{mirror}}"),
           (rate("consentry_mirror_skipped_records_total", ("mirror",)), "purged {{mirror}}")], PER_SECOND),
    lines("Streams in: behind", "Messages of consent that are not taken yet, and failures that were tried again.",
          [(gauge("consentry_stream_lag_messages", ("instance", "stream")), "{{stream}} {{instance}}"),
           (rate("consentry_stream_failures_total", ("stream",)), "failures a second {{stream}}")]),
    lines("Streams in: messages", "By what became of them: taken, known from before, rejected.",
          [(rate("consentry_stream_messages_total", ("stream", "outcome")), "{{outcome}} {{stream}}")], PER_SECOND),
    lines("Capture: PDUs", "Written to trace files, and dropped because the writer was behind.",
          [(rate("consentry_capture_frames_total", ("outcome",)), "{{outcome}}")], PER_SECOND),
    lines("Capture: how far back", "Time until the ring of files is overwritten, at the present rate.",
          [(f'{gauge("consentry_capture_ring_octets")} / {rate("consentry_capture_octets_total")}', "reaches back")], "s"),
    lines("Capture: octets", "That wait for the file, and those written a second.",
          [(gauge("consentry_capture_backlog_octets"), "waiting"), (rate("consentry_capture_octets_total"), "written a second")], "bytes"),
    lines("Captures that ended", "By reason; storage: the file could not be written.",
          [(rate("consentry_capture_ended_total", ("reason",), how="increase"), "{{reason}}")]),
]

OF_PROVIDER = 'provider=~"$provider"'
PROVIDERS = [
    lines("Forwarded, by provider", "Needs [metrics] providers = true.",
          [(rate("consentry_provider_verdicts_total", ("provider",), f"{OF_PROVIDER},{PASSED}"), "{{provider}}")], PER_SECOND, stacked=True),
    lines("Refused, by provider", "Which rule it was: consentry audit search --provider.",
          [(rate("consentry_provider_verdicts_total", ("provider",), f"{OF_PROVIDER},{REFUSED}"), "{{provider}}")], PER_SECOND, stacked=True),
    lines("Share refused", "Of the provider's own requests.",
          [(f'{rate("consentry_provider_verdicts_total", ("provider",), f"{OF_PROVIDER},{REFUSED}")} / {rate("consentry_provider_verdicts_total", ("provider",), OF_PROVIDER)}',
            "{{provider}}")], "percentunit"),
    table("Over the shown time", "Requests by provider and verdict.",
          f"sum by (provider, verdict) (increase(consentry_provider_verdicts_total{{{OF},{OF_PROVIDER}}}[$__range]))", "provider", "requests"),
]

NODES = [
    stat("Engine", "Whether the database of the shared ledger answers every node.", gauge("consentry_consent_engine_up", how="min"),
         mappings=[(1, "answers", GREEN), (0, "does not", RED)]),
    stat("Known up to", "How old what any node knows may be. Beyond [consent] staleness commercial messages get ESME_RMSGQFUL.",
         gauge("consentry_consent_staleness_seconds", how="max"), "s", steps(GREEN, YELLOW, 1, RED, 5)),
    stat("In outboxes", "Events that nodes have taken and the database has not.", gauge("consentry_consent_outbox_events"),
         limits=steps(GREEN, YELLOW, 1_000, RED, 100_000)),
    stat("Nodes seen", "That serve, as the one that sees fewest.", gauge("consentry_cluster_nodes", more='state="seen"', how="min")),
    stat("Absent", "Nodes that are not heard of and did not say that they leave.", gauge("consentry_cluster_nodes", more='state="absent"', how="max"),
         limits=steps(GREEN, YELLOW, 1)),
    stat("Clocks", "The farthest that a node's clock is from the database's.",
         f"max(abs(consentry_consent_clock_offset_seconds{{{OF}}}))", "s", steps(GREEN, YELLOW, 1, RED, 60)),
    lines("How old what is known may be", "By node.", [(gauge("consentry_consent_staleness_seconds", ("instance",)), "{{instance}}")], "s"),
    lines("Outboxes", "Events that wait to be delivered, by node.", [(gauge("consentry_consent_outbox_events", ("instance",)), "{{instance}}")]),
    lines("Look-ups", "hit: answered from memory; fetched: looked up in the database; late: not there in time, ESME_RMSGQFUL.",
          [(rate("consentry_consent_lookups_total", ("result",)), "{{result}}")], PER_SECOND),
    lines("Leases of rates", "Messages granted ahead, given back unused, gone ahead of a lease.",
          [(rate("consentry_cluster_leased_messages_total", ("what",)), "{{what}}")], PER_SECOND),
    lines("Since nodes exchanged", "Rates, sweeps, keywords; the oldest.", [(gauge("consentry_cluster_exchange_age_seconds", ("what",), how="max"), "{{what}}")], "s"),
    lines("Neighbourhoods of numbers", "Told to the others, heard from them, and numbers that were more than can be told.",
          [(rate("consentry_cluster_sweep_cells_told_total"), "told"), (rate("consentry_cluster_sweep_cells_heard_total"), "heard"),
           (rate("consentry_cluster_sweep_numbers_untold_total"), "numbers untold")], PER_SECOND),
]

# File name, title, what it is for, panels, whether it is about providers.
DASHBOARDS = [
    ("overview", "Consentry: overview", "Is it well? The first page of the night shift.", OVERVIEW, False),
    ("compliance", "Consentry: compliance", "What is refused, by which rule, and who said no.", COMPLIANCE, False),
    ("latency", "Consentry: latency", "What the proxy adds, what the disk and the SMSC take.", LATENCY, False),
    ("audit", "Consentry: audit", "The journal, its disk, mirrors, streams, and captures.", AUDIT, False),
    ("nodes", "Consentry: nodes", "What nodes that share a ledger know of each other. Empty on a node with its own.", NODES, False),
    ("providers", "Consentry: providers", "Who sends, and of whom much is refused. Needs [metrics] providers = true.", PROVIDERS, True),
]


def placed(panels):
    """Gives each panel its id and place: left to right, then down."""
    x = y = height = 0
    for number, one in enumerate(panels, 1):
        at = one["gridPos"]
        if x + at["w"] > COLUMNS:
            x, y, height = 0, y + height, 0
        height = max(height, at["h"])
        yield {"id": number} | one | {"gridPos": at | {"x": x, "y": y}}
        x += at["w"]


def variable(name, label, metric):
    return {"name": name, "label": label, "type": "query", "datasource": SOURCE, "multi": True, "includeAll": True, "allValue": ".*",
            "query": {"refId": name, "query": f"label_values({metric}, {name})"}, "refresh": 2, "sort": 1,
            "current": {"text": ["All"], "value": ["$__all"]}, "options": []}


def dashboard(name, title, says, panels, is_of_providers):
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus",
              "current": {"text": "Consentry Prometheus", "value": "consentry-prometheus"}, "refresh": 1, "options": []}
    variables = [source, variable("instance", "Proxy", "consentry_build_info")]
    if is_of_providers:
        variables.append(variable("provider", "Provider", "consentry_provider_verdicts_total"))
    others = {"type": "dashboards", "title": "Consentry", "tags": ["consentry"], "asDropdown": False, "includeVars": True,
              "keepTime": True, "targetBlank": False, "icon": "external link", "tooltip": "", "url": ""}
    return {
        "uid": f"consentry-{name}", "title": title, "description": says, "tags": ["consentry"], "schemaVersion": 39, "editable": True,
        "graphTooltip": 1, "refresh": "30s", "time": {"from": "now-1h", "to": "now"}, "timezone": "browser",
        "links": [others], "templating": {"list": variables}, "annotations": {"list": []}, "panels": list(placed(panels)),
    }


def shown(value, indent=0):
    """JSON with what is short on one line, so that a change of a panel is a change of a line."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + indent <= 130 or not isinstance(value, dict | list) or not value:
        return flat
    inner = "\n" + " " * (indent + 1)
    if isinstance(value, list):
        return "[" + inner + ("," + inner).join(shown(one, indent + 1) for one in value) + "\n" + " " * indent + "]"
    pairs = (f"{json.dumps(key)}: {shown(one, indent + 1)}" for key, one in value.items())
    return "{" + inner + ("," + inner).join(pairs) + "\n" + " " * indent + "}"


def main():
    stale = []
    for name, *rest in DASHBOARDS:
        file, text = FOLDER / f"{name}.json", shown(dashboard(name, *rest)) + "\n"
        if file.exists() and file.read_text(encoding="utf-8") == text:
            continue
        stale.append(file.name)
        if "--check" not in sys.argv[1:]:
            file.write_text(text, encoding="utf-8")
    if "--check" in sys.argv[1:] and stale:
        sys.exit(f"{', '.join(stale)}: not what make.py writes; run deploy/grafana/make.py")


main()
