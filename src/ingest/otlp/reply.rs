//! Answers as OTLP/HTTP wants them: in the encoding of the request, refusals as a `google.rpc.Status`.
//!
//! Source: OpenTelemetry's "OTLP Specification", section OTLP/HTTP Response.

use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use prost::Message;
use serde_json::{Value, json};

use super::decode::{Batch, Encoding};
use super::message::{ExportResponse, PartialSuccess, Refusal};

/// Why a request is refused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No key, or one that opens nothing here.
    Unauthorized,
    Undecodable,
    TooLarge,
    /// Not protobuf, not JSON.
    UnknownType,
    /// Compressed in another way than gzip or deflate.
    UnknownCompression,
    /// Too many requests at once: the sender tries again.
    Busy,
    /// The rows can't be written now: the sender tries again.
    Unavailable,
}

impl Refused {
    /// The status, the code of `google.rpc.Code`, and what the sender can do.
    fn parts(self) -> (StatusCode, i32, &'static str) {
        match self {
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                16,
                "send a workspace key as Authorization: Bearer …, or the workspace's Langfuse keys as Basic",
            ),
            Self::Undecodable => (
                StatusCode::BAD_REQUEST,
                3,
                "the body can't be decoded as an ExportTraceServiceRequest",
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                3,
                "the body has more than 16 MiB, compressed or not; send smaller batches",
            ),
            Self::UnknownType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                3,
                "the content type must be application/x-protobuf or application/json",
            ),
            Self::UnknownCompression => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                3,
                "the content encoding must be gzip, deflate or identity",
            ),
            Self::Busy => (
                StatusCode::TOO_MANY_REQUESTS,
                8,
                "too many requests at once; try again",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                14,
                "spans can't be stored now; try again",
            ),
        }
    }

    /// The answer, with what else the sender has to know.
    pub fn reply(self, encoding: Encoding) -> Response {
        let (status, code, message) = self.parts();
        let body = match encoding {
            Encoding::Json => written(&json!({"code": code, "message": message})),
            Encoding::Protobuf => encoded(&Refusal {
                code,
                message: message.to_owned(),
            }),
        };
        let mut reply = (status, content_type(encoding), body).into_response();
        let more = match self {
            Self::Unauthorized => Some((WWW_AUTHENTICATE, "Bearer")),
            Self::Busy => Some((RETRY_AFTER, "1")),
            Self::Unavailable => Some((RETRY_AFTER, "5")),
            _ => None,
        };
        if let Some((name, value)) = more {
            reply
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        reply
    }
}

/// What became of a batch: 200, with the number of spans that were not taken and why.
pub fn taken(encoding: Encoding, batch: &Batch) -> Response {
    let partial_success = batch.complaint().map(|error_message| PartialSuccess {
        rejected_spans: batch.rejected as i64,
        error_message,
    });
    let body = match encoding {
        Encoding::Protobuf => encoded(&ExportResponse { partial_success }),
        Encoding::Json => match partial_success {
            None => written(&json!({})),
            // A 64-bit integer is a text in protobuf's JSON.
            Some(partial) => written(&json!({"partialSuccess": {
                "rejectedSpans": partial.rejected_spans.to_string(),
                "errorMessage": partial.error_message,
            }})),
        },
    };
    (content_type(encoding), body).into_response()
}

fn content_type(encoding: Encoding) -> [(axum::http::HeaderName, &'static str); 1] {
    let name = match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    };
    [(CONTENT_TYPE, name)]
}

fn encoded(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
}

fn written(value: &Value) -> Bytes {
    value.to_string().into()
}
