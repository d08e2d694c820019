//! Answers as bytes, and what becomes of them on the way.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Response as Builder, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use futures_util::{StreamExt, stream};
use serde_json::Value;

/// The pause between two bytes of an answer that drips.
const DRIP: Duration = Duration::from_millis(40);

/// An error of the API.
pub fn error(status: u16, body: Value, retry_after: Option<&str>) -> Response {
    let status = StatusCode::from_u16(status).expect("it is a status");
    let mut response = (status, Json(body)).into_response();
    if let Some(wait) = retry_after {
        let wait = wait.parse().expect("it fits into a header");
        response.headers_mut().insert("retry-after", wait);
    }
    response
}

/// Text as the body of a good answer.
pub fn raw(text: String) -> Response {
    let json = [("content-type", "application/json")];
    (json, text).into_response()
}

/// The first half of an answer, of the whole one's length; then the connection ends.
pub fn breaks_off(whole: &Value) -> Response {
    let whole = whole.to_string();
    let half = Bytes::copy_from_slice(&whole.as_bytes()[..whole.len() / 2]);
    let broken = std::io::Error::other("the stand-in hangs up");
    let body = Body::from_stream(stream::iter([Ok(half), Err(broken)]));
    let answer = Builder::builder().header("content-length", whole.len());
    answer.body(body).expect("it is an answer")
}

/// The answer's bytes one by one, without the last.
pub fn drips(whole: &Value) -> Response {
    let mut bytes = whole.to_string().into_bytes();
    bytes.pop();
    let dripping = stream::iter(bytes).then(|byte| async move {
        tokio::time::sleep(DRIP).await;
        Ok::<_, std::io::Error>(Bytes::from(vec![byte]))
    });
    let stays_open = stream::pending();
    Body::from_stream(dripping.chain(stays_open)).into_response()
}

/// Spaces without end.
pub fn endless() -> Response {
    let block = Bytes::from(vec![b' '; 1 << 20]);
    let blocks = stream::repeat_with(move || Ok::<_, std::io::Error>(block.clone()));
    Body::from_stream(blocks).into_response()
}
