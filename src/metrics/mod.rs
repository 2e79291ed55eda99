//! Every metric family, its help, its closed labels.
//!
//! No label ever holds a number, a peer's address or a system_id; names of providers only where `[metrics]
//! providers` asks for them, and the registry's own; listeners and SMSCs by the addresses in the configuration. The number of series is fixed when the process
//! starts. All handles are made then, so that counting is an addition to an atomic; a turn
//! of the pump adds up what it did and counts it once.
//!
//! | file | subject |
//! |---|---|
//! | this | the families |
//! | `cluster` | those of a node among others |
//! | `ledger` | those of a node that shares its ledger |
//! | [`labels`] | what each label may be |
//! | [`histogram`] | durations, many equal ones at once |
//! | `process` | the standard process metrics |

use std::sync::Arc;

use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::session::EndReason;
use crate::smpp::{Command, CommandStatus};

mod cluster;
pub mod histogram;
pub mod labels;
mod ledger;
mod process;

pub use cluster::ClusterMetrics;
pub use histogram::{Counts, Histogram};
pub use labels::{
    BindMode, CaptureEnd, CaptureOutcome, ConsentEvent, Exchanged, ForeignProtocol, Lookup,
    Refused, Reloaded, Revocation, SessionState, Side, SpanOutcome, Verdict,
};
pub use ledger::LedgerMetrics;

/// The metrics of one process. Families that count what nobody has done yet stand at 0.
pub struct Metrics {
    registry: Registry,
    rules: usize,
    sessions: Vec<IntGauge>,
    binds: Vec<IntCounter>,
    pdus: Vec<IntCounter>,
    verdicts: Vec<IntCounter>,
    added_latency: Vec<Arc<Histogram>>,
    connections_refused: Vec<IntCounter>,
    sessions_ended: Vec<IntCounter>,
    foreign_protocol: Vec<IntCounter>,
    frame_faults: Vec<IntCounter>,
    consent_events: Vec<IntCounter>,
    revocations: Vec<IntCounter>,
    capture_frames: Vec<IntCounter>,
    capture_ended: Vec<IntCounter>,
    spans: Vec<IntCounter>,
    config_info: IntGaugeVec,
    certificate_expiry: IntGaugeVec,
    /// By provider and verdict; none without [`Metrics::by_provider`].
    provider_verdicts: Option<IntCounterVec>,
    reloads: Vec<IntCounter>,
    /// `consentry_reload_last_success_seconds`: when what is in force came into force, since the Unix epoch.
    pub reload_last_success: IntGauge,
    /// `consentry_providers_unlicensed`: providers of the registry without a licence in force.
    pub providers_unlicensed: IntGauge,
    /// `consentry_licence_ends_timestamp_seconds`: when the next licence in force ends; 0 without one.
    pub licence_ends: IntGauge,
    /// `consentry_consent_available`: 1 while the ledger answers and records.
    pub consent_available: IntGauge,
    /// `consentry_audit_available`: 1 while the journal takes records.
    pub audit_available: IntGauge,
    /// `consentry_blind_ports`: commercial codes whose answers do not pass through.
    pub blind_ports: IntGauge,
    /// `consentry_consent_pairs`: pairs of entity and recipient that the ledger knows.
    pub consent_pairs: IntGauge,
    /// `consentry_consent_lookup_wait_seconds`: how long batches waited for standings that this node lacked.
    pub consent_lookup_wait: Arc<Histogram>,
    /// `consentry_smsc_response_seconds`: from a request written to the SMSC to its response read.
    pub smsc_response: Arc<Histogram>,
    /// `consentry_window_messages`: requests of all sessions that wait for the SMSC's response.
    pub window_messages: IntGauge,
    /// `consentry_windows_full`: sessions of which nothing is read until the SMSC answers.
    pub windows_full: IntGauge,
    /// `consentry_unanswered_total`: requests whose response did not come in time.
    pub unanswered: IntCounter,
    /// `consentry_audit_records_total`: records written to the journal, its own not counted.
    pub audit_records: IntCounter,
    /// `consentry_audit_sync_seconds`: one sync of the journal to disk.
    pub audit_sync: Arc<Histogram>,
    /// `consentry_audit_backlog_records`: records that wait to be written.
    pub audit_backlog: IntGauge,
    /// `consentry_audit_disk_octets`: what the journal's folder takes.
    pub audit_disk: IntGauge,
    /// `consentry_audit_disk_budget_octets`: what it may take; 0 without a budget.
    pub audit_disk_budget: IntGauge,
    upstream_up: IntGaugeVec,
    upstream_draining: IntGaugeVec,
    upstream_sessions: IntGaugeVec,
    upstream_binds: IntCounterVec,
    upstream_failures: IntCounterVec,
    mirror_lag: IntGaugeVec,
    mirror_delivered: IntCounterVec,
    mirror_failures: IntCounterVec,
    mirror_rejected: IntCounterVec,
    mirror_skipped: IntCounterVec,
    stream_lag: IntGaugeVec,
    stream_messages: IntCounterVec,
    stream_failures: IntCounterVec,
    /// `consentry_capture_running`: 1 while traces are written.
    pub capture_running: IntGauge,
    /// `consentry_capture_ring_octets`: what the trace files may take together.
    pub capture_ring: IntGauge,
    /// `consentry_capture_octets_total`: octets of trace files.
    pub capture_octets: IntCounter,
    /// `consentry_capture_backlog_octets`: octets that wait to be written to them.
    pub capture_backlog: IntGauge,
    /// `consentry_buffered_octets`: octets that wait in the buffers of all sessions.
    pub buffered_octets: IntGauge,
}

/// The rule of a verdict that no rule made.
const NO_RULE: &str = "none";
/// The label of all statuses that no specification names.
const OTHER_STATUS: &str = "other";

impl Metrics {
    /// All families. `rule_names` are the values of the label `rule`; verdicts name a rule by its
    /// index in this list.
    pub fn new(rule_names: &[&str]) -> Metrics {
        Metrics::made(rule_names).expect("names and labels of metrics are fixed and well formed")
    }

    fn made(rule_names: &[&str]) -> prometheus::Result<Metrics> {
        let make = Maker { registry: Registry::new() };
        let build = make.gauges(
            "consentry_build_info",
            "Always 1; the version is in the label.",
            &["version"],
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let statuses: Vec<&str> = CommandStatus::ALL
            .iter()
            .map(|status| status.name().unwrap_or(OTHER_STATUS))
            .chain([OTHER_STATUS])
            .collect();
        let commands: Vec<&str> = Command::ALL
            .iter()
            .chain([&Command::Unknown(0)])
            .map(|command| command.name())
            .collect();
        let rules: Vec<&str> = rule_names.iter().copied().chain([NO_RULE]).collect();
        let sessions = make.gauges("consentry_sessions", "Sessions by state.", &["state"])?;
        let state_names = SessionState::ALL.iter().map(|state| state.name());
        Ok(Metrics {
            rules: rule_names.len(),
            sessions: state_names.map(|name| sessions.with_label_values(&[name])).collect(),
            binds: make.counters2(
                "consentry_binds_total",
                "Answered binds by mode and the command_status that the ESME was answered.",
                ("mode", &BindMode::ALL.map(BindMode::name)),
                ("status", &statuses),
            )?,
            pdus: make.counters2(
                "consentry_pdus_total",
                "PDUs read, by the side that sent them and command.",
                ("side", &Side::ALL.map(Side::name)),
                ("command", &commands),
            )?,
            verdicts: make.counters2(
                "consentry_verdicts_total",
                "Judged requests by verdict and the rule that made it.",
                ("verdict", &Verdict::ALL.map(Verdict::name)),
                ("rule", &rules),
            )?,
            added_latency: make.histograms(histogram::Family::labelled(
                "consentry_added_latency_seconds",
                "From a PDU read from the ESME to its octets (or its refusal) written, by verdict.",
                "verdict",
                &Verdict::ALL.map(Verdict::name),
            )?)?,
            connections_refused: make.counters(
                "consentry_connections_refused_total",
                "Connections closed before they became a session, by reason.",
                ("reason", &Refused::ALL.map(Refused::name)),
            )?,
            sessions_ended: make.counters(
                "consentry_sessions_ended_total",
                "Sessions that ended, by reason.",
                ("reason", &EndReason::ALL.map(EndReason::name)),
            )?,
            foreign_protocol: make.counters(
                "consentry_foreign_protocol_total",
                "Connections of peers that speak another protocol.",
                ("protocol", &ForeignProtocol::ALL.map(ForeignProtocol::name)),
            )?,
            frame_faults: make.counters(
                "consentry_frame_faults_total",
                "Streams that could not be cut into PDUs, by the side that sent them.",
                ("side", &Side::ALL.map(Side::name)),
            )?,
            consent_events: make.counters(
                "consentry_consent_events_total",
                "Events that the consent ledger took, by what happened.",
                ("event", &ConsentEvent::ALL.map(ConsentEvent::name)),
            )?,
            revocations: make.counters(
                "consentry_consent_revocations_total",
                "Revocations that the consent ledger took, by cause.",
                ("cause", &Revocation::ALL.map(Revocation::name)),
            )?,
            blind_ports: make.gauge(
                "consentry_blind_ports",
                "Commercial codes whose provider is bound, but not to receive.",
            )?,
            consent_pairs: make.gauge(
                "consentry_consent_pairs",
                "Pairs of legal entity and recipient that the consent ledger knows.",
            )?,
            config_info: make.gauges(
                "consentry_config_info",
                "Always 1; the SHA-256 of the configuration in force is in the label.",
                &["hash"],
            )?,
            provider_verdicts: None,
            reloads: make.counters(
                "consentry_reloads_total",
                "Reloads asked for, by what came of them.",
                ("result", &Reloaded::ALL.map(Reloaded::name)),
            )?,
            reload_last_success: make.gauge(
                "consentry_reload_last_success_seconds",
                "When the configuration in force was loaded, since the Unix epoch.",
            )?,
            certificate_expiry: make.gauges(
                "consentry_certificate_expiry_seconds",
                "Until a TLS certificate ends; below zero when it has.",
                &["certificate"],
            )?,
            providers_unlicensed: make.gauge(
                "consentry_providers_unlicensed",
                "Providers of the registry without a licence in force: all they send is refused.",
            )?,
            licence_ends: make.gauge(
                "consentry_licence_ends_timestamp_seconds",
                "When the next of the licences in force ends, since the Unix epoch; 0 without one.",
            )?,
            consent_available: make.gauge(
                "consentry_consent_available",
                "1 while the consent ledger answers and records, else 0.",
            )?,
            audit_available: make.gauge(
                "consentry_audit_available",
                "1 while the journal takes records, else 0: nothing is forwarded then.",
            )?,
            consent_lookup_wait: make.histogram(
                "consentry_consent_lookup_wait_seconds",
                "How long batches of messages waited for standings that the node lacked.",
            )?,
            smsc_response: make.histogram(
                "consentry_smsc_response_seconds",
                "From a request written to the SMSC to its response read.",
            )?,
            window_messages: make.gauge(
                "consentry_window_messages",
                "Requests that wait for the SMSC's response.",
            )?,
            windows_full: make.gauge(
                "consentry_windows_full",
                "Sessions whose ESME waits because [limits] window requests are unanswered.",
            )?,
            unanswered: make.counter(
                "consentry_unanswered_total",
                "Requests whose response did not come in time.",
            )?,
            audit_records: make
                .counter("consentry_audit_records_total", "Records written to the journal.")?,
            audit_sync: make
                .histogram("consentry_audit_sync_seconds", "One sync of the journal to disk.")?,
            audit_backlog: make
                .gauge("consentry_audit_backlog_records", "Records that wait to be written.")?,
            audit_disk: make
                .gauge("consentry_audit_disk_octets", "Octets that the journal's folder takes.")?,
            audit_disk_budget: make.gauge(
                "consentry_audit_disk_budget_octets",
                "Octets that the journal's folder may take; 0 without a budget.",
            )?,
            upstream_up: make.gauges(
                "consentry_upstream_up",
                "0 while an SMSC is ejected, because of what it did or did not do; else 1.",
                &UPSTREAM,
            )?,
            upstream_draining: make.gauges(
                "consentry_upstream_draining",
                "1 while an SMSC gets no binds because somebody said so, else 0.",
                &UPSTREAM,
            )?,
            upstream_sessions: make.gauges(
                "consentry_upstream_sessions",
                "Sessions connected to an SMSC.",
                &UPSTREAM,
            )?,
            upstream_binds: make.register(IntCounterVec::new(
                Opts::new("consentry_upstream_binds_total", "Binds that an SMSC accepted."),
                &UPSTREAM,
            )?)?,
            upstream_failures: make.register(IntCounterVec::new(
                Opts::new(
                    "consentry_upstream_failures_total",
                    "What spoke against an SMSC, by reason.",
                ),
                &[UPSTREAM[0], UPSTREAM[1], "reason"],
            )?)?,
            mirror_lag: make.gauges(
                "consentry_mirror_lag_records",
                "Records on the disk that a mirror has not delivered.",
                &["mirror"],
            )?,
            mirror_delivered: make.counted(
                "consentry_mirror_rows_total",
                "Rows that a mirror has delivered.",
                "mirror",
            )?,
            mirror_failures: make.counted(
                "consentry_mirror_failures_total",
                "Deliveries of a mirror that failed and were tried again.",
                "mirror",
            )?,
            mirror_rejected: make.counted(
                "consentry_mirror_rejected_rows_total",
                "Rows that the other side of a mirror refused for ever.",
                "mirror",
            )?,
            mirror_skipped: make.counted(
                "consentry_mirror_skipped_records_total",
                "Records that were purged before a mirror had delivered them.",
                "mirror",
            )?,
            stream_lag: make.gauges(
                "consentry_stream_lag_messages",
                "Messages of a stream of consent events that are not taken yet.",
                &["stream"],
            )?,
            stream_messages: make.register(IntCounterVec::new(
                Opts::new(
                    "consentry_stream_messages_total",
                    "Messages of a stream of consent events, by what became of them.",
                ),
                &["stream", "outcome"],
            )?)?,
            stream_failures: make.counted(
                "consentry_stream_failures_total",
                "What failed at a stream of consent events and was tried again.",
                "stream",
            )?,
            capture_frames: make.counters(
                "consentry_capture_frames_total",
                "PDUs that a capture wanted, by what became of them.",
                ("outcome", &CaptureOutcome::ALL.map(CaptureOutcome::name)),
            )?,
            spans: make.counters(
                "consentry_spans_total",
                "Spans for the collector of traces, by what became of them.",
                ("outcome", &SpanOutcome::ALL.map(SpanOutcome::name)),
            )?,
            capture_ended: make.counters(
                "consentry_capture_ended_total",
                "Captures that ended, by reason.",
                ("reason", &CaptureEnd::ALL.map(CaptureEnd::name)),
            )?,
            capture_running: make
                .gauge("consentry_capture_running", "1 while a capture is written, else 0.")?,
            capture_ring: make.gauge(
                "consentry_capture_ring_octets",
                "Octets that the capture files may take; then the oldest is removed.",
            )?,
            capture_octets: make
                .counter("consentry_capture_octets_total", "Octets written to capture files.")?,
            capture_backlog: make.gauge(
                "consentry_capture_backlog_octets",
                "Octets that wait to be written to a capture file.",
            )?,
            buffered_octets: make.gauge(
                "consentry_buffered_octets",
                "Octets that wait in the buffers of all sessions.",
            )?,
            registry: make.registry,
        })
    }

    /// Adds the family `consentry_provider_verdicts_total{provider,verdict}`, of nobody yet.
    pub fn by_provider(&mut self) {
        let make = Maker { registry: self.registry.clone() };
        let made = make.family2(
            "consentry_provider_verdicts_total",
            "Judged requests by the provider that sent them and verdict.",
            &["provider", "verdict"],
        );
        self.provider_verdicts = Some(made.expect("the family is well formed and added once"));
    }

    /// The `consentry_provider_verdicts_total{provider,verdict}` of a provider, by its name in the registry,
    /// from then on shown; `None` without [`Metrics::by_provider`].
    pub fn provider(&self, name: &str) -> Option<ProviderMetrics> {
        let family = self.provider_verdicts.as_ref()?;
        let verdicts =
            Verdict::ALL.map(|verdict| family.with_label_values(&[name, verdict.name()]));
        Some(ProviderMetrics { verdicts })
    }

    /// `consentry_reloads_total{result}`.
    pub fn reloads(&self, result: Reloaded) -> &IntCounter {
        &self.reloads[result as usize]
    }

    /// `consentry_sessions{state}`.
    pub fn sessions(&self, state: SessionState) -> &IntGauge {
        &self.sessions[state as usize]
    }

    /// `consentry_binds_total{mode,status}`.
    pub fn bind(&self, mode: BindMode, status: CommandStatus) -> &IntCounter {
        let known = CommandStatus::ALL.iter().position(|known| *known == status);
        let statuses = CommandStatus::ALL.len() + 1;
        &self.binds[mode as usize * statuses + known.unwrap_or(statuses - 1)]
    }

    /// `consentry_pdus_total{side,command}` for a [`Command::slot`]; slots that do not exist count
    /// as unknown commands.
    pub fn pdus(&self, from: Side, slot: usize) -> &IntCounter {
        &self.pdus[from as usize * Command::SLOTS + slot.min(Command::SLOTS - 1)]
    }

    /// `consentry_verdicts_total{verdict,rule}` for an index in the list that [`Metrics::new`] was
    /// given; `None`, and an index outside it, is the label `none`.
    pub fn verdicts(&self, verdict: Verdict, rule: Option<usize>) -> &IntCounter {
        let rule = rule.unwrap_or(self.rules).min(self.rules);
        &self.verdicts[verdict as usize * (self.rules + 1) + rule]
    }

    /// `consentry_added_latency_seconds{verdict}`.
    pub fn added_latency(&self, verdict: Verdict) -> &Histogram {
        &self.added_latency[verdict as usize]
    }

    /// `consentry_connections_refused_total{reason}`.
    pub fn connections_refused(&self, reason: Refused) -> &IntCounter {
        &self.connections_refused[reason as usize]
    }

    /// `consentry_sessions_ended_total{reason}`.
    pub fn sessions_ended(&self, reason: EndReason) -> &IntCounter {
        let at = EndReason::ALL.iter().position(|known| *known == reason);
        &self.sessions_ended[at.unwrap_or(0)]
    }

    /// `consentry_consent_events_total{event}`.
    pub fn consent_events(&self, event: ConsentEvent) -> &IntCounter {
        &self.consent_events[event as usize]
    }

    /// `consentry_consent_revocations_total{cause}`.
    pub fn revocations(&self, cause: Revocation) -> &IntCounter {
        &self.revocations[cause as usize]
    }

    /// `consentry_capture_frames_total{outcome}`.
    pub fn capture_frames(&self, outcome: CaptureOutcome) -> &IntCounter {
        &self.capture_frames[outcome as usize]
    }

    /// `consentry_spans_total{outcome}`.
    pub fn spans(&self, outcome: SpanOutcome) -> &IntCounter {
        &self.spans[outcome as usize]
    }

    /// `consentry_capture_ended_total{reason}`.
    pub fn capture_ended(&self, reason: CaptureEnd) -> &IntCounter {
        &self.capture_ended[reason as usize]
    }

    /// `consentry_foreign_protocol_total{protocol}`.
    pub fn foreign_protocol(&self, protocol: ForeignProtocol) -> &IntCounter {
        &self.foreign_protocol[protocol as usize]
    }

    /// `consentry_frame_faults_total{side}`.
    pub fn frame_faults(&self, from: Side) -> &IntCounter {
        &self.frame_faults[from as usize]
    }

    /// The `consentry_mirror_...{mirror}` of a configured mirror, from then on shown.
    pub fn mirror(&self, name: &str) -> MirrorMetrics {
        let counter = |family: &IntCounterVec| family.with_label_values(&[name]);
        MirrorMetrics {
            lag: self.mirror_lag.with_label_values(&[name]),
            delivered: counter(&self.mirror_delivered),
            failures: counter(&self.mirror_failures),
            rejected: counter(&self.mirror_rejected),
            skipped: counter(&self.mirror_skipped),
        }
    }

    /// The `consentry_stream_...{stream}` of a configured stream in, from then on shown.
    pub fn stream(&self, name: &str) -> StreamMetrics {
        let outcome = |outcome| self.stream_messages.with_label_values(&[name, outcome]);
        StreamMetrics {
            lag: self.stream_lag.with_label_values(&[name]),
            taken: outcome("taken"),
            known: outcome("known"),
            rejected: outcome("rejected"),
            failures: self.stream_failures.with_label_values(&[name]),
        }
    }

    /// The `consentry_upstream_...{listener,upstream}` of a configured SMSC, from then on shown.
    pub fn upstream(&self, listener: &str, upstream: &str, reasons: &[&str]) -> UpstreamMetrics {
        let labels = [listener, upstream];
        let failures = reasons
            .iter()
            .map(|reason| self.upstream_failures.with_label_values(&[listener, upstream, *reason]));
        UpstreamMetrics {
            up: self.upstream_up.with_label_values(&labels),
            draining: self.upstream_draining.with_label_values(&labels),
            sessions: self.upstream_sessions.with_label_values(&labels),
            binds: self.upstream_binds.with_label_values(&labels),
            failures: failures.collect(),
        }
    }

    /// `consentry_certificate_expiry_seconds{certificate}` of a configured certificate, from then on shown.
    /// Its name is the listener's number and the file's part, never what stands in it.
    pub fn certificate(&self, name: &str) -> IntGauge {
        self.certificate_expiry.with_label_values(&[name])
    }

    /// Every `consentry_certificate_expiry_seconds{certificate}` that is shown: name, and seconds until its end.
    pub fn certificates(&self) -> Vec<(String, i64)> {
        let families = self.certificate_expiry.collect();
        let shown = families.iter().flat_map(|family| family.get_metric());
        let named = shown.filter_map(|metric| {
            let name = metric.get_label().first()?.value().to_owned();
            Some((name, metric.get_gauge().get_value() as i64))
        });
        named.collect()
    }

    /// Makes `hash` the only one of `consentry_config_info{hash}`.
    pub fn config(&self, hash: &str) {
        self.config_info.reset();
        self.config_info.with_label_values(&[hash]).set(1);
    }

    /// All families in Prometheus's text exposition format 0.0.4.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // The encoder fails on families without name or series, and none is such.
        if let Err(error) = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics could not be written in full");
        }
        process::append(&mut text);
        text
    }
}

/// Labels of an SMSC.
const UPSTREAM: [&str; 2] = ["listener", "upstream"];

/// The metrics of one SMSC.
pub struct UpstreamMetrics {
    /// `consentry_upstream_up`: 0 while it is ejected.
    pub up: IntGauge,
    /// `consentry_upstream_draining`: 1 while it gets no binds because somebody said so.
    pub draining: IntGauge,
    /// `consentry_upstream_sessions`: sessions connected to it.
    pub sessions: IntGauge,
    /// `consentry_upstream_binds_total`: binds that it accepted.
    pub binds: IntCounter,
    /// `consentry_upstream_failures_total`, in the order of the reasons given.
    pub failures: Vec<IntCounter>,
}

/// The metrics of one provider.
pub struct ProviderMetrics {
    verdicts: [IntCounter; Verdict::ALL.len()],
}

impl ProviderMetrics {
    /// `consentry_provider_verdicts_total{provider,verdict}`.
    pub fn verdicts(&self, verdict: Verdict) -> &IntCounter {
        &self.verdicts[verdict as usize]
    }
}

/// The metrics of one mirror.
pub struct MirrorMetrics {
    /// `consentry_mirror_lag_records`: records on the disk that it has not delivered.
    pub lag: IntGauge,
    /// `consentry_mirror_rows_total`: rows delivered.
    pub delivered: IntCounter,
    /// `consentry_mirror_failures_total`: deliveries that were tried again.
    pub failures: IntCounter,
    /// `consentry_mirror_rejected_rows_total`: rows that were refused for ever.
    pub rejected: IntCounter,
    /// `consentry_mirror_skipped_records_total`: records purged before they were delivered.
    pub skipped: IntCounter,
}

/// The metrics of one stream in.
pub struct StreamMetrics {
    /// `consentry_stream_lag_messages`: messages that are not taken yet.
    pub lag: IntGauge,
    /// `consentry_stream_messages_total{outcome="taken"}`: they changed the ledger.
    pub taken: IntCounter,
    /// `consentry_stream_messages_total{outcome="known"}`: the ledger had them.
    pub known: IntCounter,
    /// `consentry_stream_messages_total{outcome="rejected"}`: nobody can read them, or the ledger refused them.
    pub rejected: IntCounter,
    /// `consentry_stream_failures_total`: what was tried again.
    pub failures: IntCounter,
}

/// Makes families and puts them into the registry.
struct Maker {
    registry: Registry,
}

impl Maker {
    fn register<C: Collector + Clone + 'static>(&self, family: C) -> prometheus::Result<C> {
        self.registry.register(Box::new(family.clone()))?;
        Ok(family)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.register(IntCounter::new(name, help)?)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.register(IntGauge::new(name, help)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        self.register(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn counted(&self, name: &str, help: &str, label: &str) -> prometheus::Result<IntCounterVec> {
        self.register(IntCounterVec::new(Opts::new(name, help), &[label])?)
    }

    fn family2(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        self.register(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        (label, values): (&str, &[&str]),
    ) -> prometheus::Result<Vec<IntCounter>> {
        let family = self.register(IntCounterVec::new(Opts::new(name, help), &[label])?)?;
        Ok(values.iter().map(|value| family.with_label_values(&[*value])).collect())
    }

    /// A counter for each pair of values; all of the second label's for the first of the first's
    /// come first.
    fn counters2(
        &self,
        name: &str,
        help: &str,
        (outer, outer_values): (&str, &[&str]),
        (inner, inner_values): (&str, &[&str]),
    ) -> prometheus::Result<Vec<IntCounter>> {
        let family = self.register(IntCounterVec::new(Opts::new(name, help), &[outer, inner])?)?;
        let mut counters = Vec::with_capacity(outer_values.len() * inner_values.len());
        for outer in outer_values {
            counters.extend(
                inner_values.iter().map(|inner| family.with_label_values(&[*outer, *inner])),
            );
        }
        Ok(counters)
    }

    fn histogram(&self, name: &str, help: &str) -> prometheus::Result<Arc<Histogram>> {
        let family = histogram::Family::single(name, help)?;
        Ok(self.histograms(family)?.swap_remove(0))
    }

    fn histograms(&self, family: histogram::Family) -> prometheus::Result<Vec<Arc<Histogram>>> {
        let members = family.members();
        self.registry.register(Box::new(family))?;
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const RULES: &[&str] = &["source.forged", "rate.exceeded"];

    /// The value of one series, from the text.
    fn value(metrics: &Metrics, series: &str) -> Option<f64> {
        let text = metrics.render();
        let line = text
            .lines()
            .find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    fn series(metrics: &Metrics) -> BTreeSet<String> {
        let text = metrics.render();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        samples.filter_map(|line| line.rsplit_once(' ')).map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn each_handle_counts_its_own_series() {
        let metrics = Metrics::new(RULES);
        metrics.sessions(SessionState::BoundTrx).inc();
        metrics.bind(BindMode::Receiver, CommandStatus::ESME_RINVSYSID).inc();
        metrics.bind(BindMode::Transceiver, CommandStatus(0x0401)).inc_by(2);
        metrics.pdus(Side::Smsc, Command::DeliverSm.slot()).inc_by(3);
        metrics.pdus(Side::Esme, usize::MAX).inc_by(4);
        metrics.verdicts(Verdict::Refuse, Some(1)).inc_by(5);
        metrics.verdicts(Verdict::Pass, None).inc_by(6);
        metrics.verdicts(Verdict::Observe, Some(99)).inc_by(7);
        metrics.added_latency(Verdict::Refuse).observe_n(Duration::from_micros(60), 8);
        metrics.connections_refused(Refused::Draining).inc();
        metrics.sessions_ended(EndReason::Idle).inc();
        metrics.foreign_protocol(ForeignProtocol::Tls).inc();
        metrics.frame_faults(Side::Smsc).inc();
        metrics.smsc_response.observe(Duration::from_secs(11));
        metrics.consent_events(ConsentEvent::Revoked).inc_by(9);
        metrics.consent_pairs.set(10);
        metrics.config("ab");
        metrics.config("cd");
        metrics.certificate("listen1.server").set(86_400);
        assert_eq!(metrics.certificates(), [("listen1.server".to_owned(), 86_400)]);
        for (series, expected) in [
            (r#"consentry_sessions{state="bound_trx"}"#, Some(1.0)),
            (r#"consentry_sessions{state="open"}"#, Some(0.0)),
            (r#"consentry_binds_total{mode="receiver",status="ESME_RINVSYSID"}"#, Some(1.0)),
            (r#"consentry_binds_total{mode="transceiver",status="other"}"#, Some(2.0)),
            (r#"consentry_pdus_total{command="deliver_sm",side="smsc"}"#, Some(3.0)),
            (r#"consentry_pdus_total{command="unknown",side="esme"}"#, Some(4.0)),
            (r#"consentry_verdicts_total{rule="rate.exceeded",verdict="refuse"}"#, Some(5.0)),
            (r#"consentry_verdicts_total{rule="none",verdict="pass"}"#, Some(6.0)),
            (r#"consentry_verdicts_total{rule="none",verdict="observe"}"#, Some(7.0)),
            (r#"consentry_added_latency_seconds_bucket{verdict="refuse",le="0.00005"}"#, Some(0.0)),
            (
                r#"consentry_added_latency_seconds_bucket{verdict="refuse",le="0.000075"}"#,
                Some(8.0),
            ),
            (r#"consentry_added_latency_seconds_bucket{verdict="refuse",le="+Inf"}"#, Some(8.0)),
            (r#"consentry_added_latency_seconds_count{verdict="refuse"}"#, Some(8.0)),
            (r#"consentry_connections_refused_total{reason="draining"}"#, Some(1.0)),
            (r#"consentry_sessions_ended_total{reason="idle"}"#, Some(1.0)),
            (r#"consentry_foreign_protocol_total{protocol="tls"}"#, Some(1.0)),
            (r#"consentry_frame_faults_total{side="smsc"}"#, Some(1.0)),
            (r#"consentry_smsc_response_seconds_bucket{le="10"}"#, Some(0.0)),
            (r#"consentry_smsc_response_seconds_bucket{le="+Inf"}"#, Some(1.0)),
            (r#"consentry_config_info{hash="cd"}"#, Some(1.0)),
            (r#"consentry_config_info{hash="ab"}"#, None),
            (r#"consentry_consent_events_total{event="revoked"}"#, Some(9.0)),
            (r#"consentry_consent_events_total{event="granted"}"#, Some(0.0)),
            ("consentry_consent_pairs", Some(10.0)),
            ("consentry_unanswered_total", Some(0.0)),
        ] {
            assert_eq!(value(&metrics, series), expected, "{series}\n{}", metrics.render());
        }
    }

    #[test]
    fn every_protocol_that_a_frame_fault_names_has_a_label() {
        for first in [*b"GET ", *b"AMQP", *b"SSH-", *b"PROX", [0x16, 3, 1, 0]] {
            let Err(crate::smpp::frame::FrameFault::Foreign(name)) =
                crate::smpp::frame::cut(&first, 70_000)
            else {
                panic!("{first:?} is not foreign");
            };
            assert_ne!(ForeignProtocol::of(name), ForeignProtocol::Other, "{name}");
        }
    }

    #[test]
    fn providers_are_counted_only_where_they_are_named() {
        let mut metrics = Metrics::new(RULES);
        assert!(metrics.provider("示例商城有限公司").is_none());
        assert!(!metrics.render().contains("provider_verdicts"));
        metrics.by_provider();
        let (first, second) = ("示例商城有限公司", "quoted \"Ltd\"");
        for (name, verdict, count) in [
            (first, Verdict::Refuse, 1),
            (second, Verdict::Observe, 3),
            (first, Verdict::Refuse, 1),
        ] {
            metrics.provider(name).unwrap().verdicts(verdict).inc_by(count);
        }
        for (labels, expected) in [
            (r#"provider="示例商城有限公司",verdict="refuse""#, 2.0),
            (r#"provider="示例商城有限公司",verdict="pass""#, 0.0),
            (r#"provider="quoted \"Ltd\"",verdict="observe""#, 3.0),
        ] {
            let series = format!("consentry_provider_verdicts_total{{{labels}}}");
            assert_eq!(value(&metrics, &series), Some(expected), "{}", metrics.render());
        }
    }

    proptest! {
        /// Whatever peers send, the series are those that were there at the start.
        #[test]
        fn no_input_adds_a_series(ids in prop::collection::vec(any::<u32>(), 1..50), rule in any::<usize>()) {
            let metrics = Metrics::new(RULES);
            let before = series(&metrics);
            for id in ids {
                metrics.pdus(Side::Esme, Command::of(id).slot()).inc();
                metrics.bind(BindMode::Transmitter, CommandStatus(id)).inc();
                metrics.verdicts(Verdict::Refuse, Some(rule)).inc();
                metrics.foreign_protocol(ForeignProtocol::of(&id.to_string())).inc();
            }
            prop_assert_eq!(series(&metrics), before);
        }
    }
}
