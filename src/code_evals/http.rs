//! The two doors.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use serde_json::{Value, json};

use super::contract::{self, Refused, Unfit};
use super::run::{self, Failed};
use super::sigv4::{self, Signed};
use crate::app::App;
use crate::bearer;
use crate::body::Body;
use crate::error::ApiError;

/// Larger ones are drained and refused by the contract's own limit.
const BODY_MAX: usize = contract::DISPATCH_BYTES + 1024 * 1024;

/// What an evaluation came to.
enum Ended {
    Scores(Value),
    Refused(Refused),
    /// Langfuse would not send this.
    Malformed(String),
    /// There is no room just now.
    Busy,
    /// Ours.
    Host,
}

/// Langfuse's HTTP dispatcher: the scores or the error, both with status 200, as it expects them.
pub async fn dispatch(
    State(app): State<App>,
    headers: HeaderMap,
    Body(body): Body<BODY_MAX>,
) -> Result<Response, ApiError> {
    bearer::check(
        &headers,
        app.code_evals.token.as_ref(),
        "IOFOLD_CODE_EVAL_TOKEN",
    )?;
    match evaluate(&app, body.to_vec()).await {
        Ended::Scores(scores) => Ok(Json(scores).into_response()),
        Ended::Refused(refused) => Ok(Json(refused.to_json()).into_response()),
        Ended::Malformed(why) => Err(ApiError::Malformed(why)),
        Ended::Busy => Err(ApiError::Busy),
        Ended::Host => Err(ApiError::Internal(anyhow::anyhow!(
            "the sandbox host failed"
        ))),
    }
}

/// AWS Lambda's Invoke, as AWS's SDKs call it. Whatever the function's name is, the dispatch says its language.
pub async fn invoke(
    State(app): State<App>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    Body(body): Body<BODY_MAX>,
) -> Response {
    let request = Signed {
        method: &method,
        uri: &uri,
        headers: &headers,
        body: &body,
    };
    let key = app.code_evals.lambda_key.as_ref();
    if !key.is_some_and(|key| sigv4::is_signed(&request, key, Utc::now().timestamp())) {
        let why = "the request is not signed by the key that IOFOLD_LAMBDA_ACCESS_KEY_ID and \
                   IOFOLD_LAMBDA_SECRET_ACCESS_KEY hold";
        return aws_error(StatusCode::FORBIDDEN, "AccessDeniedException", why);
    }
    let kind = headers.get("x-amz-invocation-type");
    if kind.is_some_and(|kind| kind != "RequestResponse") {
        let why = "only the invocation type RequestResponse is known here";
        return aws_error(
            StatusCode::BAD_REQUEST,
            "InvalidParameterValueException",
            why,
        );
    }
    match evaluate(&app, body.to_vec()).await {
        Ended::Scores(scores) => invoked(&scores, false),
        Ended::Refused(refused) => invoked(&refused.to_json(), true),
        Ended::Malformed(why) => aws_error(
            StatusCode::BAD_REQUEST,
            "InvalidRequestContentException",
            &why,
        ),
        Ended::Busy => {
            let (status, kind) = (StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException");
            aws_error(status, kind, &ApiError::Busy.to_string())
        }
        Ended::Host => {
            let (status, kind) = (StatusCode::INTERNAL_SERVER_ERROR, "ServiceException");
            aws_error(status, kind, "the sandbox host failed")
        }
    }
}

/// A function's answer: Lambda gives it with 200 whether the function failed or not.
fn invoked(payload: &Value, has_failed: bool) -> Response {
    let mut response = ([("x-amz-executed-version", "$LATEST")], Json(payload)).into_response();
    if has_failed {
        let handled = axum::http::HeaderValue::from_static("Handled");
        response
            .headers_mut()
            .insert("x-amz-function-error", handled);
    }
    response
}

fn aws_error(status: StatusCode, kind: &'static str, message: &str) -> Response {
    let body = Json(json!({"Type": "User", "Message": message}));
    (status, [("x-amzn-errortype", kind)], body).into_response()
}

async fn evaluate(app: &App, body: Vec<u8>) -> Ended {
    let Ok(place) = app.code_evals.places.clone().try_acquire_owned() else {
        return Ended::Busy;
    };
    let sandbox = app.sandbox.clone();
    let ran = tokio::task::spawn_blocking(move || {
        let _place = place;
        match contract::read(&body) {
            Ok(dispatch) => match run::run(&sandbox, &dispatch) {
                Ok(scores) => Ended::Scores(scores),
                Err(Failed::Refused(refused)) => Ended::Refused(refused),
                Err(Failed::Host(error)) => {
                    tracing::error!(error, "a code evaluator of Langfuse's could not run");
                    Ended::Host
                }
            },
            Err(Unfit::Refused(refused)) => Ended::Refused(refused),
            Err(Unfit::Malformed(why)) => Ended::Malformed(why),
        }
    });
    ran.await.unwrap_or(Ended::Host)
}
