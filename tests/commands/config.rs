//! `consentry.toml`: what is read, what is refused and in which words, and the template of `init`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use consentry::config::{self, Config, MirrorKind, OverrideMode, Place, RecordedContent};
use consentry::smpp::CommandStatus;
use proptest::prelude::*;

const TEMPLATE: &str = include_str!("../../deploy/examples/consentry.toml");
const RULES: &[&str] =
    &["signature.missing", "source.forged", "rate.exceeded", "audit.unavailable"];
const LISTEN: &str = "[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [\"192.0.2.10:2775\"]\n";

fn parse(text: &str) -> Result<Config, config::Fault> {
    config::parse(text, "consentry.toml", Path::new("/etc/consentry"), RULES)
}

fn good(text: &str) -> Config {
    parse(text).unwrap_or_else(|fault| panic!("{fault}\n{text}"))
}

#[test]
fn unwritten_keys_take_their_defaults_and_paths_their_folder() {
    let config = good(LISTEN);
    assert_eq!(config.listen[0].address, SocketAddr::from(([127, 0, 0, 1], 0)));
    assert_eq!(config.listen[0].smsc[0].address, "192.0.2.10:2775");
    assert_eq!(config.limits.sessions, 12_000);
    assert_eq!((config.limits.sessions_per_provider, config.limits.bind_failures), (None, 20));
    assert_eq!((&config.listen[0].tls, &config.listen[0].smsc_tls), (&None, &None));
    assert!(config.listen[0].allow.is_empty() && config.listen[0].proxy_protocol.is_empty());
    assert_eq!(config.limits.pdu_octets, 70_000);
    assert_eq!(config.limits.session_buffer_octets, 256 << 10);
    assert_eq!(config.timeouts.idle, Duration::from_secs(600));
    assert_eq!(config.timeouts.close, Duration::from_secs(2));
    assert_eq!(config.registry_file, PathBuf::from("/etc/consentry/registry.toml"));
    let consent = &config.consent;
    assert_eq!(consent.place, Place::Folder("/etc/consentry/state/consent".into()));
    assert_eq!((&config.cluster.node, config.cluster.nodes), (&None, 1));
    let shared = good(&format!("{LISTEN}[consent]\nurl = \"postgres://db/c\"\npassword = \"p\"\n"));
    let Place::Shared(shared) = shared.consent.place else { panic!("it has a url") };
    assert_eq!(shared.password, Some("/etc/consentry/p".into()));
    assert_eq!(shared.outbox, PathBuf::from("/etc/consentry/state/outbox"));
    let times = (shared.staleness, shared.deadline);
    assert_eq!(times, (Duration::from_secs(10), Duration::from_millis(100)));
    assert_eq!((consent.review.name(), consent.cache_octets), ("strict", 384 << 20));
    assert_eq!(consent.silent_after, Duration::from_secs(7 * 86_400));
    assert_eq!(config.audit.path, PathBuf::from("/etc/consentry/state/audit"));
    assert_eq!(config.audit.keys, PathBuf::from("/etc/consentry/state/keys"));
    assert!(config.audit.parquet);
    assert_eq!(config.admin, None);
    assert!(!config.metrics.providers);
    assert_eq!(config.reload.watch, None);
    let capture = &config.capture;
    assert!(!capture.enabled && capture.providers.is_empty() && capture.verdicts.is_empty());
    assert_eq!(capture.path, PathBuf::from("/etc/consentry/state/capture"));
    assert_eq!((capture.file_octets, capture.files), (16 << 20, 8));
    assert_eq!(capture.text.name(), "redacted");
    // To record content somebody has to make an auditor's key: until then, it is said.
    let [warned] = &config.warnings()[..] else { panic!("one warning") };
    assert!(warned.contains("[audit] content none"), "{warned}");
    assert_eq!(config.digest_hex().len(), 64);
    assert_ne!(good(&format!("{LISTEN}\n")).digest, config.digest);
}

#[test]
fn smscs_are_tried_in_order_or_have_weights_and_standbys() {
    let of = |smsc: &str| {
        let text = format!("[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = {smsc}");
        let smscs = good(&text).listen.remove(0).smsc;
        smscs.into_iter().map(|one| (one.address, one.weight, one.rank)).collect::<Vec<_>>()
    };
    let one = |address: &str, weight, rank| (address.to_owned(), weight, rank);
    assert_eq!(
        of("[\"a:1\", \"b:2\", \"c:3\"]"),
        [one("a:1", 1, 0), one("b:2", 1, 1), one("c:3", 1, 2)]
    );
    let tables = "[{ address = \"a:1\", weight = 3 }, { address = \"b:2\", standby = true }, \
                  { address = \"c:3\", standby = false }]";
    assert_eq!(of(tables), [one("a:1", 3, 0), one("b:2", 1, 1), one("c:3", 1, 0)]);
    let table = "[[listen.smsc]]\naddress = \"a:1\"\nweight = 2";
    let listen = good(&format!("[[listen]]\naddress = \"127.0.0.1:0\"\n{table}")).listen;
    assert_eq!((listen[0].smsc[0].weight, listen[0].enquire_link), (2, None));
    let listen = good(&format!("{LISTEN}enquire_link = \"5s\"")).listen;
    assert_eq!(listen[0].enquire_link, Some(Duration::from_secs(5)));
}

#[test]
fn what_is_written_is_taken() {
    let config = good(
        r#"
        [[listen]]
        address = "[::1]:2775"
        smsc = ["a.example:1", "b.example:2"]
        default_alphabet = "gbk"
        packing = "packed"
        receipts = "ask"
        [[outbind]]
        address = "127.0.0.1:2776"
        esme = ["[2001:db8::1]:3"]
        [limits]
        sessions = 10
        session_buffer = "70000B"
        buffered = "1MiB"
        [timeouts]
        drain = "0s"
        connect = "250ms"
        [rules]
        submit_multi = "narrow"
        [rules.override]
        "signature.missing" = { mode = "off" }
        "source.forged" = { mode = "observe", status = "ESME_RSUBMITFAIL" }
        "rate.exceeded" = { status = "ESME_RMSGQFUL" }
        [cluster]
        node = "proxy-1"
        nodes = 3
        [consent]
        url = "postgres://u:hunter2@db,db2/c?target_session_attrs=read-write&sslmode=verify-full&sslrootcert=ca.pem"
        outbox = "out of the way"
        staleness = "500ms"
        deadline = "10s"
        review = "lenient"
        cache = "8MiB"
        silent_after = "48h"
        schedule_max = "0s"
        validity_max = "72h"
        [audit]
        path = "/var/lib/consentry/audit"
        auditors = ["auditor.pub"]
        content = "all"
        keys = "secrets"
        checkpoint = { every = "1m" }
        zone = "Europe/Berlin"
        segment = "1MiB"
        disk_budget = "2MiB"
        parquet = false
        [[mirror]]
        name = "collector"
        kind = "file"
        path = "out"
        format = "parquet"
        file_size = "1MiB"
        file_age = "5m"
        [[mirror]]
        name = "warehouse"
        kind = "postgres"
        url = "postgres://u:hunter2@db/c"
        table = "audit.records"
        numbers = "whole"
        node = "proxy-1"
        batch = 100
        wait = "100ms"
        [[mirror]]
        name = "stream"
        kind = "kafka"
        brokers = ["a.example:9092"]
        topic = "records"
        [capture]
        enabled = true
        path = "traces"
        file_size = "1MiB"
        files = 1000
        providers = ["示例商城有限公司"]
        sources = ["1069"]
        verdicts = ["refuse", "observe"]
        text = "whole"
        [reload]
        watch = "2s"
        [metrics]
        providers = true
        [admin]
        address = "127.0.0.1:0"
        token_file = "token"
        "#,
    );
    assert!(config.metrics.providers);
    assert_eq!(config.reload.watch, Some(Duration::from_secs(2)));
    assert_eq!(config.listen[0].default_alphabet.name(), "gbk");
    assert_eq!(config.listen[0].packing.name(), "packed");
    assert_eq!(config.listen[0].receipts.name(), "ask");
    assert_eq!(config.outbind[0].esme, ["[2001:db8::1]:3"]);
    assert_eq!(config.limits.sessions_per_address, 10, "never above sessions");
    assert_eq!(config.limits.buffered_octets, 1 << 20);
    assert_eq!(config.timeouts.drain, Duration::ZERO);
    let consent = &config.consent;
    assert_eq!((config.cluster.node.as_deref(), config.cluster.nodes), (Some("proxy-1"), 3));
    let Place::Shared(shared) = &consent.place else { panic!("{:?}", consent.place) };
    assert_eq!(shared.url.to_string(), "db:5432,db2:5432/c");
    assert_eq!(shared.outbox, PathBuf::from("/etc/consentry/out of the way"));
    let times = (shared.staleness, shared.deadline);
    assert_eq!(times, (Duration::from_millis(500), Duration::from_secs(10)));
    assert!(!format!("{consent:?}").contains("hunter2"), "no password");
    assert_eq!((consent.review.name(), consent.cache_octets), ("lenient", 8 << 20));
    assert_eq!(consent.silent_after, Duration::from_secs(2 * 86_400));
    let times = (consent.schedule_max, consent.validity_max);
    assert_eq!(times, (Duration::ZERO, Duration::from_secs(72 * 3_600)));
    assert_eq!(config.rules.submit_multi.name(), "narrow");
    let overrides = &config.rules.overrides;
    assert_eq!(overrides["signature.missing"].mode, Some(OverrideMode::Off));
    assert_eq!(overrides["rate.exceeded"].status, Some(CommandStatus::ESME_RMSGQFUL));
    assert_eq!(config.audit.path, PathBuf::from("/var/lib/consentry/audit"));
    assert_eq!(config.audit.keys, PathBuf::from("/etc/consentry/secrets"));
    assert_eq!((config.audit.keep_months, &config.audit.zone[..]), (6, "Europe/Berlin"));
    assert_eq!(config.audit.auditors, [PathBuf::from("/etc/consentry/auditor.pub")]);
    assert_eq!(config.audit.content, RecordedContent::All);
    let checkpoint = config.audit.checkpoint;
    assert_eq!((checkpoint.records, checkpoint.every), (100_000, Duration::from_secs(60)));
    assert_eq!(config.audit.disk_budget_octets, Some(2 << 20));
    assert!(!config.audit.parquet);
    let mirrors = &config.mirrors;
    let named: Vec<_> = mirrors.iter().map(|one| (one.name.as_str(), one.kind.name())).collect();
    assert_eq!(named, [("collector", "file"), ("warehouse", "postgres"), ("stream", "kafka")]);
    assert_eq!((mirrors[0].batch, mirrors[0].wait), (5_000, Duration::from_secs(1)));
    assert_eq!((mirrors[0].numbers.name(), &mirrors[0].node), ("masked", &None));
    let (octets, age) = (1 << 20, Duration::from_secs(300));
    let (folder, format) = (PathBuf::from("/etc/consentry/out"), config::MirrorFormat::Parquet);
    assert_eq!(mirrors[0].kind, MirrorKind::File { folder, format, octets, age });
    assert_eq!((mirrors[1].batch, mirrors[1].wait), (100, Duration::from_millis(100)));
    assert_eq!((mirrors[1].numbers.name(), mirrors[1].node.as_deref()), ("whole", Some("proxy-1")));
    assert!(
        matches!(&mirrors[1].kind, MirrorKind::Postgres { table, .. } if table == "audit.records")
    );
    assert!(!format!("{mirrors:?}").contains("hunter2"), "no password");
    let capture = &config.capture;
    assert_eq!((capture.enabled, &capture.path), (true, &PathBuf::from("/etc/consentry/traces")));
    assert_eq!((capture.file_octets, capture.files), (1 << 20, 1000));
    assert_eq!((&capture.providers[0][..], &capture.sources[0][..]), ("示例商城有限公司", "1069"));
    assert_eq!(
        capture.verdicts.iter().map(|one| one.name()).collect::<Vec<_>>(),
        ["refuse", "observe"]
    );
    let warned = config.warnings();
    assert!(warned.iter().any(|line| line.starts_with("[capture] text whole")), "{warned:?}");
    assert_eq!(config.admin.as_ref().unwrap().token_file, Some("/etc/consentry/token".into()));
    assert!(!format!("{config:?}").contains("hunter2"), "a password in Debug");
    assert!(!config.warnings().join("\n").contains("hunter2"), "a password in a warning");
}

/// Each row follows [`LISTEN`], whose last line is 3.
#[test]
fn mistakes_are_told_in_one_sentence() {
    for (text, told) in [
        ("[limits]\nwindwo = 1", "line 5: [limits] windwo is not a key here; did you mean window?"),
        ("[limit]\nwindow = 1", "line 4: [limit] is not a key here; did you mean limits?"),
        ("smcs = []", "line 4: [[listen]] smcs is not a key here; did you mean smsc?"),
        (
            "[log]\ncolour = true",
            "line 5: [log] colour is not a key here; known here: format, level",
        ),
        (
            "[rules]\nmode = \"enforced\"",
            "line 5: [rules] mode cannot be \"enforced\"; did you mean enforce?",
        ),
        (
            "[rules]\nset = \"eu\"",
            "line 5: [rules] set cannot be \"eu\"; known here: cn-draft-2014, cn-order31-2015, cn-order74-2026",
        ),
        ("[[listen]]\nsmsc = []", "line 4: [[listen]] has no address"),
        ("[admin]", "line 4: [admin] has no address"),
        (
            "[capture]\nverdict = []",
            "line 5: [capture] verdict is not a key here; did you mean verdicts?",
        ),
        (
            "[capture]\nverdicts = [\"refused\"]",
            "line 5: [capture] verdicts cannot be \"refused\"; did you mean refuse?",
        ),
        (
            "[capture]\ntext = \"none\"",
            "line 5: [capture] text cannot be \"none\"; known here: redacted, whole",
        ),
        (
            "[capture]\nfile_size = \"1023KiB\"",
            "line 5: [capture] file_size is 1023KiB; it may be 1MiB to 1GiB",
        ),
        ("[capture]\nfiles = 1001", "line 5: [capture] files is 1001; it may be 1 to 1000"),
        (
            "[capture]\npath = \"state/audit\"",
            ": [capture] path and [audit] path are the same folder; write two",
        ),
        (
            "[timeouts]\nidle = 30",
            "line 5: [timeouts] idle has no unit: write 30ms, 30s, 30m or 30h",
        ),
        (
            "[timeouts]\nidle = \"30\"",
            "line 5: [timeouts] idle has no unit: write 30ms, 30s, 30m or 30h",
        ),
        (
            "[timeouts]\nidle = \"5 s\"",
            "line 5: [timeouts] idle is not a duration: write a whole number and ms, s, m or h, such as \"30s\"",
        ),
        (
            "[timeouts]\nidle = true",
            "line 5: [timeouts] idle cannot be read: invalid type: boolean `true`, expected a duration such as \"30s\"",
        ),
        (
            "[timeouts]\n\nidle = \"9999ms\"",
            "line 6: [timeouts] idle is 9999ms; it may be 10s to 24h",
        ),
        (
            "[timeouts]\nidle = \"86401s\"",
            "line 5: [timeouts] idle is 86401s; it may be 10s to 24h",
        ),
        (
            "[limits]\npdu = 70000",
            "line 5: [limits] pdu has no unit: write 70000B, 70000KiB, 70000MiB or 70000GiB",
        ),
        ("[limits]\npdu = \"1023B\"", "line 5: [limits] pdu is 1023B; it may be 1KiB to 1MiB"),
        ("[limits]\nwindow = 0", "line 5: [limits] window is 0; it may be 1 to 65536"),
        ("[limits]\nwindow = 65537", "line 5: [limits] window is 65537; it may be 1 to 65536"),
        (
            "[limits]\nwindow = -1",
            "line 5: [limits] window cannot be read: invalid value: integer `-1`, expected u32",
        ),
        (
            "[limits]\nsessions = 5\nsessions_per_address = 6",
            "line 6: [limits] sessions_per_address is above sessions",
        ),
        (
            "[limits]\npdu = \"1MiB\"",
            "line 5: [limits] pdu leaves no room for one PDU: session_buffer must be at least as large as pdu",
        ),
        (
            "[limits]\nbuffered = \"1MiB\"\nsession_buffer = \"1MiB\"",
            "line 5: [limits] buffered leaves no room for one session: buffered must be at least twice session_buffer",
        ),
        (
            "[[listen]]\naddress = \"localhost:1\"\nsmsc = [\"a:1\"]",
            "line 5: [[listen]] address \"localhost:1\" is not an address to listen on: write an IP address and a port, such as \"0.0.0.0:2775\"",
        ),
        (
            "tls = { certificate = \"a\", key = \"k\", client = \"required\" }",
            "line 4: [listen.tls] client needs client_ca: the authorities that sign ESMEs' certificates",
        ),
        (
            "tls = { certificate = \"a\", key = \"k\", client_ca = \"c\", client = \"none\" }",
            "line 4: [listen.tls] client_ca is for nothing: client is \"none\"",
        ),
        ("tls = { certificate = \"a\" }", "line 4: [listen.tls] has no key"),
        (
            "tls = { certificate = \"a\", key = \"k\", min = \"1.1\" }",
            "line 4: [listen.tls] min cannot be \"1.1\"; did you mean 1.2?",
        ),
        (
            "smsc_tls = { ca = \"a\", certificate = \"c\" }",
            "line 4: [listen.smsc_tls] certificate needs key beside it",
        ),
        (
            "smsc_tls = { ca = \"a\", name = \"a b\" }",
            "line 4: [listen.smsc_tls] name \"a b\" is no name of a server: write one such as \"smsc.example\", or an IP address",
        ),
        ("smsc_tls = {}", "line 4: [listen.smsc_tls] has no ca"),
        ("allow = []", "line 4: [[listen]] allow has 0 networks; write 1 to 256, or leave it out"),
        (
            "proxy_protocol = [\"10.0.0.0/33\"]",
            "line 4: [[listen]] proxy_protocol \"10.0.0.0/33\" is no network: write one such as \"203.0.113.0/24\", or an address",
        ),
        (
            "smsc_proxy_protocol = \"v3\"",
            "line 4: [[listen]] smsc_proxy_protocol cannot be \"v3\"; did you mean v1?",
        ),
        (
            "[limits]\nsessions_per_provider = 0",
            "line 5: [limits] sessions_per_provider is 0; it may be 1 to 1000000",
        ),
        (
            "[[listen]]\naddress = \"0.0.0.0:1\"\nsmsc = []",
            "line 6: [[listen]] smsc has 0 addresses; write 1 to 16",
        ),
        (
            "[[listen]]\naddress = \"0.0.0.0:1\"\nsmsc = [\n\"a:1\",\n\"b\"]",
            "line 8: [[listen]] smsc \"b\" is not host:port, such as \"192.0.2.10:2775\", \"[2001:db8::1]:2775\" or \"smsc.example:2775\"",
        ),
        (
            "[[listen]]\naddress = \"0.0.0.0:1\"\nsmsc = [\"a:1\", \"a:1\"]",
            "line 6: [[listen]] smsc \"a:1\" is there twice",
        ),
        (
            "[[listen]]\naddress = \"0.0.0.0:1\"\nsmsc = [{ address = \"a:1\" }, \"b:1\"]",
            "line 6: [[listen.smsc]] mixes addresses with tables; write all as addresses, which are tried in order, or all as tables, such as { address = \"192.0.2.10:2775\", weight = 1 }",
        ),
        (
            "[[listen]]\naddress = \"0.0.0.0:1\"\nsmsc = [{ address = \"a:1\", standby = true }]",
            "line 6: [[listen.smsc]] has only standbys; leave standby out of one",
        ),
        (
            "[[listen]]\naddress = \"0.0.0.0:1\"\nsmsc = [\n{ address = \"a:1\" },\n{ address = \"a:1\", weight = 2 }]",
            "line 8: [[listen.smsc]] address \"a:1\" is there twice",
        ),
        (
            "[[listen]]\naddress = \"0.0.0.0:1\"\nsmsc = [{ address = \"a\" }]",
            "line 6: [[listen.smsc]] address \"a\" is not host:port, such as \"192.0.2.10:2775\", \"[2001:db8::1]:2775\" or \"smsc.example:2775\"",
        ),
        (
            "[[listen]]\naddress = \"0.0.0.0:1\"\nsmsc = [{ address = \"a:1\", weight = 0 }]",
            "line 6: [[listen.smsc]] weight is 0; it may be 1 to 1000",
        ),
        (
            "[[listen]]\naddress = \"0.0.0.0:1\"\nsmsc = [{ address = \"a:1\", wieght = 2 }]",
            "line 6: [[listen.smsc]] wieght is not a key here; did you mean weight?",
        ),
        (
            "[[listen]]\naddress = \"0.0.0.0:1\"\nsmsc = [{ weight = 2 }]",
            "line 6: [[listen.smsc]] has no address",
        ),
        (
            "[[listen]]\naddress = \"0.0.0.0:1\"\nsmsc = [3]",
            "line 6: [[listen]] smsc cannot be read: invalid type: integer `3`, expected \"host:port\" or { address = \"host:port\", weight = 1 }",
        ),
        (
            "[[listen]]\naddress = \"0.0.0.0:1\"\nsmsc = [\"a:1\"]\nenquire_link = \"999ms\"",
            "line 7: [[listen]] enquire_link is 999ms; it may be 1s to 1h",
        ),
        (
            "[[listen]]\naddress = \"0.0.0.0:1\"\nsmsc = [\"0.0.0.0:1\"]",
            "line 6: [[listen]] smsc \"0.0.0.0:1\" is this listener itself",
        ),
        (
            "[[listen]]\naddress = \"0.0.0.0:1\"\nsmsc = [\"a:1\"]\n[[outbind]]\naddress = \"0.0.0.0:1\"\nesme = [\"a:1\"]",
            "line 8: [[outbind]] address \"0.0.0.0:1\" is listened on already",
        ),
        (
            "[rules.override]\n\"signature.mising\" = { mode = \"off\" }",
            "line 5: [rules.override.\"signature.mising\"] names no rule; did you mean signature.missing?",
        ),
        (
            "[rules.override]\n\"signature.missing\" = {}",
            "line 5: [rules.override.\"signature.missing\"] changes nothing; write a mode, a status or both",
        ),
        (
            "[rules.override]\n\"signature.missing\" = { status = \"ESME_RSUBMITFIAL\" }",
            "line 5: [rules.override.\"signature.missing\"] status \"ESME_RSUBMITFIAL\" is no status; did you mean ESME_RSUBMITFAIL?",
        ),
        (
            "[rules.override]\n\"signature.missing\" = { status = \"88\" }",
            "line 5: [rules.override.\"signature.missing\"] status \"88\" is no status; write a name of SMPP 3.4 5.1.3, such as ESME_RSUBMITFAIL",
        ),
        (
            "[rules.override]\n\"signature.missing\" = { status = \"ESME_RTHROTTLED\" }",
            "line 5: [rules.override.\"signature.missing\"] status \"ESME_RTHROTTLED\" makes ESMEs send again what the law forbids; write ESME_RSUBMITFAIL",
        ),
        (
            "[rules.override]\n\"rate.exceeded\" = { status = \"ESME_ROK\" }",
            "line 5: [rules.override.\"rate.exceeded\"] status \"ESME_ROK\" tells the ESME that the message was taken; write an error's name",
        ),
        (
            "[rules.override.\"audit.unavailable\"]\nmode = \"observe\"",
            "line 5: [rules.override.\"audit.unavailable\"] mode must stay enforce: this rule says what the proxy can do, not what the law asks",
        ),
        (
            "[consent]\npath = \"a\"\nurl = \"postgres://db\"",
            "line 6: [consent] url stands beside path; write one of the two",
        ),
        (
            "[consent]\nurl = \"mysql://u:hunter2@db\"",
            "line 5: [consent] url must begin with postgres://",
        ),
        (
            "[consent]\nurl = \"postgres://u:hunt@er2@db\"",
            "line 5: [consent] url has an @ too many; within a password or a value it is written %40",
        ),
        (
            "[consent]\nurl = \"postgres://u@db,db2/c\"",
            "line 5: [consent] url has several hosts, and does not say which is written to: add target_session_attrs=read-write",
        ),
        (
            "[consent]\nurl = \"postgres://u:hunter2@db/c\"\npassword = \"p\"",
            "line 6: [consent] password stands beside a password in url; write one of the two",
        ),
        (
            "[consent]\ndeadline = \"1s\"",
            "line 5: [consent] deadline belongs to url, which is not written",
        ),
        (
            "[consent]\nurl = \"postgres://db\"\nstaleness = \"499ms\"",
            "line 6: [consent] staleness is 499ms; it may be 500ms to 10m",
        ),
        (
            "[consent]\nurl = \"postgres://db\"\noutbox = \"state/audit\"",
            ": [consent] outbox and [audit] path are the same folder; write two",
        ),
        ("[cluster]\nnodes = 0", "line 5: [cluster] nodes is 0; it may be 1 to 256"),
        ("[cluster]\nnode = \" \"", "line 5: [cluster] node must have 1 to 200 octets"),
        ("[consent]\ncache = \"7MiB\"", "line 5: [consent] cache is 7MiB; it may be 8MiB to 64GiB"),
        (
            "[consent]\nreview = \"strickt\"",
            "line 5: [consent] review cannot be \"strickt\"; did you mean strict?",
        ),
        (
            "[consent]\nsilent_after = \"999ms\"",
            "line 5: [consent] silent_after is 999ms; it may be 1s to 8760h",
        ),
        (
            "[consent]\nvalidity_max = \"59s\"",
            "line 5: [consent] validity_max is 59s; it may be 1m to 720h",
        ),
        ("[registry]\nfile = \"\"", "line 5: [registry] file is not a path"),
        (
            "[audit]\ndisk_budget = \"127MiB\"",
            "line 5: [audit] disk_budget is 127MiB; write at least twice [audit] segment, which is 64MiB",
        ),
        ("[reload]\nwatch = \"50ms\"", "line 5: [reload] watch is 50ms; it may be 100ms to 24h"),
        (
            "[audit]\ndisk_budget = \"0B\"",
            "line 5: [audit] disk_budget is 0B; it may be 2MiB to 1048576GiB",
        ),
        (
            "[[mirror]]\nname = \"a\"\nkind = \"flie\"",
            "line 6: [[mirror]] kind \"flie\" is no kind of mirror; did you mean file?",
        ),
        (
            "[[mirror]]\nname = \"A b\"\nkind = \"file\"\npath = \"x\"",
            "line 5: [[mirror]] name \"A b\" is no name of a mirror: write 1 to 40 of a to z, 0 to 9, - and _",
        ),
        (
            "[[mirror]]\nname = \"a\"\nkind = \"file\"",
            "line 5: [[mirror]] name \"a\" of kind file says no path",
        ),
        (
            "[[mirror]]\nname = \"a\"\nkind = \"file\"\npath = \"x\"\ntopic = \"t\"",
            "line 8: [[mirror]] topic belongs to kind kafka, not file",
        ),
        (
            "[[mirror]]\nname = \"a\"\nkind = \"postgres\"\nurl = \"mysql://u:hunter2@db\"",
            "line 7: [[mirror]] url must begin with postgres://",
        ),
        (
            "[[mirror]]\nname = \"a\"\nkind = \"postgres\"\nurl = \"postgres://db\"\ntable = \"a; drop\"",
            "line 8: [[mirror]] table \"a; drop\" is no table: write a name of a to z, 0 to 9 and _, with a schema before it or not",
        ),
        (
            "[[mirror]]\nname = \"a\"\nkind = \"kafka\"\nbrokers = [\"x\"]\ntopic = \"t\"",
            "line 7: [[mirror]] brokers \"x\" is not host:port, such as \"192.0.2.20:9092\"",
        ),
        (
            "[[mirror]]\nname = \"a\"\nkind = \"kafka\"\nbrokers = []\ntopic = \"t\"",
            "line 7: [[mirror]] brokers has 0 addresses; write 1 to 16",
        ),
        (
            "[[mirror]]\nname = \"a\"\nkind = \"file\"\npath = \"x\"\n[[mirror]]\nname = \"a\"\nkind = \"file\"\npath = \"y\"",
            "line 9: [[mirror]] name is the name of another mirror",
        ),
        (
            "[[mirror]]\nname = \"a\"\nkind = \"file\"\npath = \"x\"\n[[mirror]]\nname = \"b\"\nkind = \"file\"\npath = \"x\"",
            "line 9: [[mirror]] name writes into the folder of another mirror",
        ),
        (
            "[[stream]]\nname = \"a\"\ndirection = \"inn\"",
            "line 6: [[stream]] direction cannot be \"inn\"; did you mean in?",
        ),
        (
            "[[stream]]\nname = \"A\"\ndirection = \"in\"\nbrokers = [\"k:1\"]\ntopic = \"t\"",
            "line 5: [[stream]] name \"A\" is no name of a stream: write 1 to 40 of a to z, 0 to 9, - and _",
        ),
        (
            "[[stream]]\nname = \"a\"\ndirection = \"in\"\nbrokers = [\"k:1\"]\ntopic = \"t\"\nnumbers = \"whole\"",
            "line 9: [[stream]] numbers belongs to direction out, not in",
        ),
        (
            "[[stream]]\nname = \"a\"\ndirection = \"out\"\nbrokers = [\"k:1\"]\ntopic = \"t\"\ngroup = \"g\"",
            "line 9: [[stream]] group belongs to direction in, not out",
        ),
        (
            "[[stream]]\nname = \"a\"\ndirection = \"in\"\nbrokers = [\"k:1\"]\ntopic = \"t\"\nrejected = \"t\"",
            "line 9: [[stream]] rejected is the topic itself: write another",
        ),
        (
            "[[stream]]\nname = \"a\"\ndirection = \"in\"\nbrokers = [\"k:1\"]\ntopic = \"t\"\n[[stream]]\nname = \"b\"\ndirection = \"out\"\nbrokers = [\"k:1\"]\ntopic = \"t\"",
            "line 13: [[stream]] topic is the topic of a stream the other way: write two",
        ),
        (
            "[[mirror]]\nname = \"a\"\nkind = \"file\"\npath = \"x\"\n[[stream]]\nname = \"a\"\ndirection = \"out\"\nbrokers = [\"k:1\"]\ntopic = \"t\"",
            "line 9: [[stream]] name is the name of a mirror",
        ),
        (
            "[[stream]]\nname = \"a\"\ndirection = \"in\"\nbrokers = [\"k:1\"]\ntopic = \"t\"\nbatch = 5001",
            "line 9: [[stream]] batch is 5001; it may be 1 to 5000",
        ),
        (
            "[[mirror]]\nname = \"a\"\nkind = \"file\"\npath = \"x\"\nbatch = 0",
            "line 8: [[mirror]] batch is 0; it may be 1 to 100000",
        ),
        (
            "[audit]\ncontent = \"ports\"",
            "line 5: [audit] content is encrypted for auditors, and there are none; make a pair of keys with `consentry audit keys new-auditor` and name the public one in auditors",
        ),
        ("[audit]\nkeep_months = 121", "line 5: [audit] keep_months is 121; it may be 1 to 120"),
        (
            "[audit]\npath = \"state/consent\"",
            ": [consent] path and [audit] path are the same folder; write two",
        ),
        (
            "[audit]\nzone = \"Asia/Shanghay\"",
            "line 5: [audit] zone \"Asia/Shanghay\" is no time zone; write one such as Asia/Shanghai",
        ),
        (
            "[audit]\ncheckpoint = { records = 999 }",
            "line 5: [audit.checkpoint] records is 999; it may be 1000 to 10000000",
        ),
        (
            "[audit]\ncheckpoint = { every = \"999ms\" }",
            "line 5: [audit.checkpoint] every is 999ms; it may be 1s to 1h",
        ),
        (
            "[audit]\nkeys = \"state/consent\"",
            ": [consent] path and [audit] keys are the same folder; write two",
        ),
        (
            "[audit]\nkeys = \"state/capture\"",
            ": [capture] path and [audit] keys are the same folder; write two",
        ),
        (
            "[audit]\nkeys = \"state/audit/keys\"",
            ": [audit] keys is in the journal's folder: who copies one has both; write another",
        ),
    ] {
        let fault = parse(&format!("{LISTEN}{text}\n")).expect_err(text).to_string();
        let told = format!("consentry.toml {told}").replace(" : ", ": ");
        assert_eq!(fault, told, "{text}");
    }
    let none = parse("").unwrap_err().to_string();
    assert_eq!(none, "consentry.toml: there is no [[listen]]; write one with address and smsc");
    for not_toml in ["[limits", "a = ", "[log]\n[log]", "a = 1\na = 2", "\u{0}"] {
        let fault = parse(not_toml).unwrap_err().to_string();
        assert!(fault.starts_with("consentry.toml line "), "{fault}");
        assert!(!fault.contains('\n'), "{fault}");
    }
}

#[test]
fn one_listener_too_many_is_refused() {
    let listeners = |count| LISTEN.repeat(count);
    assert!(parse(&listeners(config::bounds::LISTEN_MAX)).is_ok());
    assert!(parse(&listeners(config::bounds::LISTEN_MAX + 1)).is_err());
    let peers = |count: usize| {
        let peers: Vec<String> = (1..=count).map(|port| format!("\"a:{port}\"")).collect();
        format!("[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [{}]", peers.join(","))
    };
    assert!(parse(&peers(16)).is_ok());
    assert!(parse(&peers(17)).is_err());
}

/// The template with every key that shows a default taken out of its comment.
fn uncommented() -> String {
    TEMPLATE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest,
            _ => line,
        })
        .fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn the_template_parses_and_its_commented_keys_are_the_defaults() {
    let template = good(TEMPLATE);
    let uncommented = uncommented();
    assert!(uncommented.contains("\nsessions = 12000\n"));
    let mut changed = good(&uncommented);
    assert_ne!(changed.digest, template.digest);
    changed.digest = template.digest;
    assert_eq!(changed, template);
    let _: toml::Table = include_str!("../../deploy/examples/registry.toml").parse().unwrap();
}

#[test]
fn the_template_names_every_key_of_the_schema() {
    let schema = config::schema();
    let mut keys = Vec::new();
    let mut sections = vec![&schema];
    sections.extend(schema["$defs"].as_object().unwrap().values());
    for section in sections {
        if let Some(properties) = section["properties"].as_object() {
            keys.extend(properties.keys());
        }
    }
    assert!(keys.len() > 40, "{keys:?}");
    for key in keys {
        let is_named = TEMPLATE.contains(&format!("{key} = "))
            || TEMPLATE.contains(&format!("[{key}]"))
            || TEMPLATE.contains(&format!(".{key}]"));
        assert!(is_named, "{key} is not in the template");
    }
}

#[test]
fn the_schema_says_what_serde_accepts() {
    let schema = config::schema();
    let text = schema.to_string();
    assert!(!text.contains("null"), "TOML has no null: {text}");
    assert_eq!(schema["additionalProperties"], false);
    let limits = &schema["$defs"]["Limits"]["properties"];
    assert_eq!(limits["window"]["default"], 4096);
    assert_eq!(limits["window"]["minimum"], 1);
    assert_eq!(limits["window"]["maximum"], 65_536);
    assert_eq!(limits["pdu"]["default"], "70000B");
    assert_eq!(limits["pdu"]["type"], "string");
    assert_eq!(schema["$defs"]["Listen"]["required"], serde_json::json!(["address", "smsc"]));
    assert_eq!(schema["$defs"]["Limits"]["required"], serde_json::Value::Null);
    let rules = &schema["$defs"]["Rules"]["properties"];
    assert!(rules["override"]["additionalProperties"].is_object(), "{rules}");
}

#[test]
fn a_file_is_loaded_up_to_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("consentry.toml");
    let padded = |octets: usize| format!("{LISTEN}#{}", " ".repeat(octets - LISTEN.len() - 1));
    std::fs::write(&file, padded(config::bounds::CONFIG_OCTETS_MAX)).unwrap();
    let config = config::load(&file, RULES).unwrap();
    assert_eq!(config.registry_file, folder.path().join("registry.toml"));
    std::fs::write(&file, padded(config::bounds::CONFIG_OCTETS_MAX + 1)).unwrap();
    assert!(config::load(&file, RULES).unwrap_err().to_string().ends_with("is longer than 1MiB"));
    std::fs::write(&file, [0xff]).unwrap();
    assert!(config::load(&file, RULES).unwrap_err().to_string().ends_with("is not UTF-8 text"));
    assert!(config::load(&folder.path().join("none"), RULES).is_err());
}

proptest! {
    /// Wherever the hand slips in a file with every key, the answer is settings or one line.
    #[test]
    fn no_slip_of_the_hand_panics(
        slips in prop::collection::vec((any::<prop::sample::Index>(), 0..4_usize, "\\PC{0,3}"), 1..4),
    ) {
        let mut chars: Vec<char> = uncommented().chars().collect();
        for (at, dropped, written) in slips {
            let at = at.index(chars.len());
            let end = chars.len().min(at + dropped);
            chars.splice(at..end, written.chars());
        }
        if let Err(fault) = parse(&String::from_iter(chars)) {
            prop_assert!(!fault.to_string().contains('\n'), "{fault}");
        }
    }
}
