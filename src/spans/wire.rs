//! OTLP's protobuf, as much of it as is sent: `opentelemetry/proto/collector/trace/v1/trace_service.proto` and
//! `trace/v1/trace.proto`, `common/v1/common.proto`, `resource/v1/resource.proto` of OTLP 1.x. Field numbers are theirs.

use prost::Message;

use super::span::{Kind, Span, Value};

/// `ExportTraceServiceRequest`.
#[derive(Clone, PartialEq, Message)]
struct ExportTraceServiceRequest {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<InstrumentationScope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<WireSpan>,
}

#[derive(Clone, PartialEq, Message)]
struct InstrumentationScope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct WireSpan {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, repeated, tag = "13")]
    links: Vec<Link>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
}

#[derive(Clone, PartialEq, Message)]
struct Link {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Any", tags = "1, 3")]
    value: Option<Any>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Any {
    #[prost(string, tag = "1")]
    String(String),
    #[prost(int64, tag = "3")]
    Int(i64),
}

/// `ExportTraceServiceResponse`.
#[derive(Clone, PartialEq, Message)]
struct ExportTraceServiceResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<ExportTracePartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct ExportTracePartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_spans: i64,
}

/// `STATUS_CODE_ERROR`.
const STATUS_ERROR: i32 = 2;

/// The body of a request that delivers these spans, of the proxy that calls itself `instance`.
pub fn request(spans: &[Span], instance: &str) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let resource = [
        ("service.name", Value::Name("consentry")),
        ("service.version", Value::Name(version)),
        ("service.instance.id", Value::Text(instance.to_owned())),
    ];
    let scope = InstrumentationScope { name: "consentry".to_owned(), version: version.to_owned() };
    let scoped =
        ScopeSpans { scope: Some(scope), spans: spans.iter().map(WireSpan::from).collect() };
    let of_resource = ResourceSpans {
        resource: Some(Resource { attributes: resource.iter().map(KeyValue::from).collect() }),
        scope_spans: vec![scoped],
    };
    ExportTraceServiceRequest { resource_spans: vec![of_resource] }.encode_to_vec()
}

/// How many spans an answer says were refused; 0 where it cannot be read.
pub fn rejected(body: &[u8]) -> u64 {
    let answer = ExportTraceServiceResponse::decode(body).unwrap_or_default();
    let partial = answer.partial_success.unwrap_or_default();
    u64::try_from(partial.rejected_spans).unwrap_or(0)
}

impl From<&Span> for WireSpan {
    fn from(span: &Span) -> WireSpan {
        let failed = |why: &str| Status { message: why.to_owned(), code: STATUS_ERROR };
        WireSpan {
            trace_id: span.trace.to_vec(),
            span_id: span.id.to_vec(),
            parent_span_id: span.parent.map(|id| id.to_vec()).unwrap_or_default(),
            name: span.name.to_owned(),
            kind: match span.kind {
                Kind::Internal => 1,
                Kind::Server => 2,
                Kind::Client => 3,
            },
            start_time_unix_nano: span.start_us.saturating_mul(1000),
            end_time_unix_nano: span.end_us.saturating_mul(1000),
            attributes: span.attributes.iter().map(KeyValue::from).collect(),
            links: span.link.iter().map(Link::from).collect(),
            status: span.failed.map(failed),
        }
    }
}

impl From<&([u8; 16], [u8; 8])> for Link {
    fn from((trace, span): &([u8; 16], [u8; 8])) -> Link {
        Link { trace_id: trace.to_vec(), span_id: span.to_vec() }
    }
}

impl From<&(&'static str, Value)> for KeyValue {
    fn from((key, value): &(&'static str, Value)) -> KeyValue {
        let value = match value {
            Value::Name(name) => Any::String((*name).to_owned()),
            Value::Text(text) => Any::String(text.clone()),
            Value::Number(number) => Any::Int(*number),
        };
        KeyValue { key: (*key).to_owned(), value: Some(AnyValue { value: Some(value) }) }
    }
}
