//! Every metric is told of and shown, and nothing that is told of or shown is not there.
//! What the expressions return is seen by `tests/seeing/run.py`, against a real Prometheus.

use std::collections::BTreeSet;
use std::path::Path;

use consentry::metrics::Metrics;
use consentry::policy::Rule;

/// Families that no panel shows, and why.
const NOT_SHOWN: &[(&str, &str)] = &[(
    "consentry_spans_total",
    "always 0 but in a program with the feature otlp; what is lost is spans",
)];

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn dashboards() -> String {
    ["overview", "compliance", "latency", "audit", "nodes", "providers"]
        .map(|name| read(&format!("deploy/grafana/dashboards/{name}.json")))
        .concat()
}

/// The families that a process shows, all switches on.
fn families() -> BTreeSet<String> {
    let mut metrics = Metrics::new(&Rule::ALL.map(|rule| rule.name()));
    metrics.by_provider();
    metrics.provider("示例商城有限公司");
    metrics.config("ab");
    metrics.mirror("collector");
    metrics.stream("crm");
    metrics.certificate("listen1.server");
    metrics.upstream("0.0.0.0:2775", "192.0.2.10:2775", &["connect"]);
    let _of_many_nodes = (metrics.ledger(), metrics.cluster());
    let text = metrics.render();
    let named = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    named.map(str::to_owned).collect()
}

/// Each name of a metric of ours in a text, without what a histogram or a rule adds to it.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
    let words = text.split(|letter: char| !is_part(letter));
    let ours = words.filter(|word| {
        let known = ["consentry_", "process_"].iter().any(|prefix| word.starts_with(prefix));
        known && !word.contains(':')
    });
    let base = |word: &str| {
        let ends = ["_bucket", "_count", "_sum"].iter().find_map(|end| word.strip_suffix(end));
        ends.unwrap_or(word).to_owned()
    };
    ours.map(base).collect()
}

/// The names in `` `...` `` at the beginning of table rows, labels left out.
fn told(document: &str) -> BTreeSet<String> {
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split('|').next());
    rows.flat_map(names).collect()
}

/// What `left` has and `right` has not.
fn lacking(left: &BTreeSet<String>, right: &BTreeSet<String>) -> Vec<String> {
    left.difference(right).cloned().collect()
}

#[test]
fn every_metric_is_told_of_and_every_one_told_of_is_there() {
    let (families, told) = (families(), told(&read("docs/seeing.md")));
    assert!(families.len() > 30, "{families:?}");
    assert_eq!(lacking(&families, &told), [""; 0], "not in docs/seeing.md");
    assert_eq!(lacking(&told, &families), [""; 0], "in docs/seeing.md, and not there");
}

#[test]
fn every_metric_is_shown_in_a_panel_or_stands_here_with_a_reason() {
    let (families, shown) = (families(), names(&dashboards()));
    let excused: BTreeSet<String> = NOT_SHOWN.iter().map(|(name, _)| (*name).to_owned()).collect();
    let missing = lacking(&families, &shown);
    assert_eq!(missing, excused.iter().cloned().collect::<Vec<_>>(), "in no panel");
}

#[test]
fn panels_rules_and_alerts_name_only_metrics_that_are_there() {
    let rules = read("deploy/prometheus/consentry.rules.yml");
    let alerts = read("deploy/prometheus/consentry.alerts.yml");
    let asked = names(&[dashboards(), rules, alerts].concat());
    assert!(asked.len() > 30, "{asked:?}");
    assert_eq!(lacking(&asked, &families()), [""; 0]);
}

#[test]
fn alerts_and_their_table_are_the_same() {
    let alerts = read("deploy/prometheus/consentry.alerts.yml");
    let is_name = |letter: char| letter.is_ascii_alphanumeric();
    let (mut alert, mut written) = ("", BTreeSet::new());
    for line in alerts.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("- alert: ") {
            alert = name;
        } else if let Some(severity) = line.strip_prefix("labels: {severity: ") {
            written.insert(format!("{alert} {}", severity.trim_end_matches('}')));
        }
    }
    let document = read("docs/seeing.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `Consentry"));
    let told = rows.filter_map(|row| {
        let (name, rest) = row.split_once('`')?;
        let severity = rest.trim_end_matches(['|', ' ']).rsplit(' ').next()?;
        name.chars().all(is_name).then(|| format!("Consentry{name} {severity}"))
    });
    assert!(written.len() > 15, "{written:?}");
    assert_eq!(told.collect::<BTreeSet<_>>(), written);
}
