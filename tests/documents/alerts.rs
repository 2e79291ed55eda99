//! docs/alerts.md: the night shift's page, alert by alert, from the alerts themselves.

use std::fmt::Write as _;
use std::path::Path;

use super::generated;

const HEAD: &str = "# When an alert fires\n\n\
Written by `BLESS=1 cargo test --test documents` from `deploy/prometheus/consentry.alerts.yml`; do not edit it. When each \
fires exactly is in [seeing.md](seeing.md#alerts); what fails how, and what is lost, in [operating.md](operating.md#what-fails-and-what-then).\n\n\
`critical` wakes somebody: nothing passes, or nothing is answered. `warning` waits for the morning.\n\n\
First of all, on the proxy's machine:\n\n\
<!-- before:\nconsentry smsc --listen 127.0.0.1:2776\nconsentry run -c consentry.toml\n-->\n\n\
```sh\n\
curl -fsS http://127.0.0.1:9464/readyz                        # whether it takes sessions, and if not, why\n\
consentry health -c consentry.toml                            # the same by command, with the token of the configuration\n\
curl -fsS http://127.0.0.1:9464/api/v1/sessions               # who is bound, to which SMSC, what waits\n\
consentry audit search -c consentry.toml --verdict refuse --limit 20\n\
df -h state/audit\n\
```\n\n\
Three things never help: deleting files of the journal by hand, switching a rule off to be quiet, restarting because the SMSC \
is silent.\n";

/// What the value of a key within an alert says, its lines joined.
fn said(alert: &[&str], key: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = alert.iter().skip_while(|line| !line.trim_start().starts_with(key));
    let Some(first) = lines.next() else { return String::new() };
    let value = first.trim_start().trim_start_matches(key).trim();
    if value != ">-" {
        return value.trim_matches('"').to_owned();
    }
    let block = lines.take_while(|line| indent(line) > indent(first));
    block.map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_alert_has_its_place_on_the_night_shifts_page() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus/consentry.alerts.yml");
    let yaml = std::fs::read_to_string(file).expect("the alerts are there");
    let mut text = HEAD.to_owned();
    let mut count = 0;
    for severity in ["critical", "warning"] {
        let _ = write!(text, "\n## {severity}\n");
        for alert in yaml.split("- alert: ").skip(1) {
            let lines: Vec<&str> = alert.lines().collect();
            if !alert.contains(&format!("severity: {severity}")) {
                continue;
            }
            let description = said(&lines[1..], "description:");
            let (means, then) = description.split_once(" Do: ").expect("it says what to do");
            let name = lines[0].trim();
            let _ = write!(text, "\n### {name}\n\n{means}\n\n**Do:** {then}\n");
            count += 1;
        }
    }
    assert!(count > 20, "alerts were found");
    generated::must_be("docs/alerts.md", &text);
}
