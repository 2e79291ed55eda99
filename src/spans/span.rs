//! One span: what happened, from when to when.

/// Names a trace: what belongs together. Not all zero.
pub type TraceId = [u8; 16];
/// Names a span of a trace. Not all zero.
pub type SpanId = [u8; 8];

/// What is said of a span. Never a number of a person, a text or a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A name of ours or of SMPP's.
    Name(&'static str),
    /// An address, or a name of the registry.
    Text(String),
    /// A count or a code.
    Number(i64),
}

/// Which side of a request a span is seen from (OTLP `SpanKind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something within the proxy.
    Internal,
    /// The proxy answers.
    Server,
    /// The proxy asks.
    Client,
}

/// From when to when something happened, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Its trace.
    pub trace: TraceId,
    /// Its own name.
    pub id: SpanId,
    /// The span that it is a part of.
    pub parent: Option<SpanId>,
    /// A span of another trace that it belongs to: a message's session.
    pub link: Option<(TraceId, SpanId)>,
    /// What happened.
    pub name: &'static str,
    /// From which side.
    pub kind: Kind,
    /// When it began, microseconds since the Unix epoch.
    pub start_us: u64,
    /// When it ended, microseconds since the Unix epoch; not before `start_us`.
    pub end_us: u64,
    /// What is said of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// Why it failed. A refusal is no failure.
    pub failed: Option<&'static str>,
}
