//! From a request's body to its spans, in either encoding.

use std::sync::Arc;

use prost::Message;
use prost::bytes::Bytes;
use serde_json::Value;

use super::json;
use super::message::{self, ExportRequest, ResourceSpans, ScopeSpans};
use super::span::{Attributes, Origin, Span, attributes, text};
use crate::domain::lenient;

/// A larger span is refused. A trace may have 8 MiB.
const SPAN_MAX: usize = 4 * 1024 * 1024;
/// What stands around spans is kept with each of them; a longer one is left out.
const ORIGIN_MAX: usize = 16 * 1024;
/// Spans of one request that are taken. SDKs send 512 at once, a Collector 8,192.
const SPANS_MAX: usize = 20_000;

/// How a body is written; the answer is written alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Protobuf,
    Json,
}

/// The body is no export request at all.
#[derive(Debug, PartialEq, Eq)]
pub struct Undecodable;

/// Why a span is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    Unreadable,
    NoId,
    TooLarge,
    TooMany,
}

impl Rejection {
    fn said(self) -> &'static str {
        match self {
            Self::Unreadable => "can't be read",
            Self::NoId => "has no valid trace id and span id",
            Self::TooLarge => "is larger than 4 MiB",
            Self::TooMany => "comes after 20,000 others in one request",
        }
    }
}

/// The spans of a request, and what became of the rest.
#[derive(Debug, Default)]
pub struct Batch {
    pub spans: Vec<Span>,
    pub rejected: usize,
    first_rejection: Option<Rejection>,
}

impl Batch {
    /// # Errors
    /// [`Undecodable`] where the frame around the spans can't be read.
    pub fn decode(encoding: Encoding, body: Bytes) -> Result<Self, Undecodable> {
        let mut batch = Self::default();
        match encoding {
            Encoding::Protobuf => batch.read_protobuf(body)?,
            Encoding::Json => batch.read_json(&body)?,
        }
        Ok(batch)
    }

    /// A sentence on the spans that were rejected; `None` where all were taken.
    pub fn complaint(&self) -> Option<String> {
        let first = self.first_rejection?.said();
        let count = self.rejected;
        Some(format!("{count} not taken; the first of them {first}"))
    }

    fn read_protobuf(&mut self, body: Bytes) -> Result<(), Undecodable> {
        let request = ExportRequest::decode(body).map_err(|_| Undecodable)?;
        for group in request.resource_spans {
            let group = ResourceSpans::decode(group).map_err(|_| Undecodable)?;
            let resource = decoded::<message::Resource>(&group.resource);
            let resource = Arc::new(attributes(resource.attributes));
            for spans in group.scope_spans {
                let spans = ScopeSpans::decode(spans).map_err(|_| Undecodable)?;
                let origin = origin(&resource, &spans.scope);
                for span in spans.spans {
                    self.take(read_span(span), &origin);
                }
            }
        }
        Ok(())
    }

    fn read_json(&mut self, body: &[u8]) -> Result<(), Undecodable> {
        let (request, _) = lenient::parse(body).map_err(|_| Undecodable)?;
        for group in json::list(request, "resourceSpans")? {
            let resource = Arc::new(json::resource(&group, ORIGIN_MAX));
            for spans in json::list(group, "scopeSpans")? {
                let origin = Arc::new(json::origin(&resource, &spans));
                for span in json::list(spans, "spans")? {
                    self.take(read_json_span(span), &origin);
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, span: Result<message::Span, Rejection>, origin: &Arc<Origin>) {
        let span = match self.spans.len() < SPANS_MAX {
            true => span.and_then(|span| Span::of(span, origin).ok_or(Rejection::NoId)),
            false => Err(Rejection::TooMany),
        };
        match span {
            Ok(span) => self.spans.push(span),
            Err(rejection) => {
                self.rejected += 1;
                self.first_rejection.get_or_insert(rejection);
            }
        }
    }
}

fn read_span(bytes: Bytes) -> Result<message::Span, Rejection> {
    if bytes.len() > SPAN_MAX {
        return Err(Rejection::TooLarge);
    }
    message::Span::decode(bytes).map_err(|_| Rejection::Unreadable)
}

/// JSON is a little longer than protobuf; the same limit holds.
fn read_json_span(span: Value) -> Result<message::Span, Rejection> {
    if json::length(&span) > SPAN_MAX {
        return Err(Rejection::TooLarge);
    }
    json::span(span).ok_or(Rejection::Unreadable)
}

fn origin(resource: &Arc<Attributes>, scope: &Bytes) -> Arc<Origin> {
    let scope = decoded::<message::Scope>(scope);
    Arc::new(Origin {
        resource: resource.clone(),
        scope_name: text(&scope.name),
        scope_version: text(&scope.version),
    })
}

/// What can't be read of it counts as absent: it stands beside the spans, and they are what matters.
fn decoded<M: Message + Default>(bytes: &Bytes) -> M {
    match bytes.len() <= ORIGIN_MAX {
        true => M::decode(bytes.clone()).unwrap_or_default(),
        false => M::default(),
    }
}
