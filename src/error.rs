//! What a request's failure looks like from outside: the only file that knows status codes for it.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// Why a request failed; nothing internal is in the body.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No signature, a wrong one, or one that is more than five minutes off.
    #[error("the signature is missing, wrong or older than five minutes")]
    BadSignature,
    /// No bearer token, or a wrong one.
    #[error(
        "the bearer token is missing or wrong; send the value of {name}, as iofold has it, in the header \
         Authorization: Bearer …"
    )]
    BadToken {
        /// The variable that holds the token.
        name: &'static str,
    },
    /// No workspace key, or one that opens nothing.
    #[error(
        "the key is missing, wrong or revoked; send one that `iofold key create` made, in the header Authorization: \
         Bearer …"
    )]
    UnknownKey,
    /// The body is not what the route takes; the text says what is.
    #[error("{0}")]
    Malformed(String),
    /// More bytes than the route takes.
    #[error("the body is larger than {limit_bytes} bytes, which is the most that is taken")]
    TooLarge {
        /// The most that is taken.
        limit_bytes: usize,
    },
    /// There is no room just now; nothing happened.
    #[error("too much at once; try again in a moment")]
    Busy,
    /// Not there, or another workspace's.
    #[error("not found")]
    NotFound,
    /// Ours; the log has it.
    #[error("something went wrong on our side; it is in the log, and trying again may help")]
    Internal(#[from] anyhow::Error),
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        Self::Internal(error.into())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::BadSignature | Self::BadToken { .. } | Self::UnknownKey => {
                StatusCode::UNAUTHORIZED
            }
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if let Self::Internal(error) = &self {
            tracing::error!(error = ?error, "request failed");
        }
        (status, self.to_string()).into_response()
    }
}
