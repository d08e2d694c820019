//! Request bodies with a limit, refused politely.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use http_body_util::BodyExt;
use serde_json::Value;

use crate::domain::lenient;
use crate::error::ApiError;

/// What is too large is still read, and dropped, up to this: a sender that is cut off while it sends
/// sees a broken connection instead of the answer.
const DRAINED_MAX: usize = 64 * 1024 * 1024;

/// A body of at most `MAX` bytes.
///
/// # Errors
/// [`ApiError::TooLarge`] above that, and [`ApiError::Malformed`] where the sender breaks off.
pub struct Body<const MAX: usize>(pub Bytes);

impl<S: Send + Sync, const MAX: usize> FromRequest<S> for Body<MAX> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let mut incoming = request.into_body();
        let mut body = Vec::new();
        let mut length = 0;
        while let Some(frame) = incoming.frame().await {
            let broken = |_| ApiError::Malformed("the body broke off; send it again".to_owned());
            let Ok(data) = frame.map_err(broken)?.into_data() else {
                continue;
            };
            length += data.len();
            match length {
                fine if fine <= MAX => body.extend_from_slice(&data),
                large if large <= DRAINED_MAX => body.clear(),
                _ => break,
            }
        }
        match length <= MAX {
            true => Ok(Self(body.into())),
            false => Err(ApiError::TooLarge { limit_bytes: MAX }),
        }
    }
}

/// Reads a body as JSON.
///
/// # Errors
/// [`ApiError::Malformed`] for what is none.
pub fn json(body: &[u8]) -> Result<Value, ApiError> {
    let read = lenient::parse(body).map_err(|error| {
        ApiError::Malformed(format!(
            "the body is not JSON ({error}); send a JSON object"
        ))
    });
    Ok(read?.0)
}
