//! The page: plain files, built into the binary. It asks nobody but this service for anything.

use axum::Router;
use axum::extract::{OriginalUri, Request};
use axum::http::HeaderValue;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// On every answer: trace text and pictures can run nothing, and no other page can frame this one.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
];

/// The page at `/`, its files below `/page/`.
pub fn routes() -> Router {
    let file = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(CONTENT_TYPE, kind)], text) })
    };
    Router::new()
        .route("/page/style.css", file(STYLE, include_str!("style.css")))
        .route(
            "/page/icon.svg",
            file("image/svg+xml", include_str!("icon.svg")),
        )
        .route("/page/app.js", file(SCRIPT, include_str!("app.js")))
        .route("/page/blocks.js", file(SCRIPT, include_str!("blocks.js")))
        .route("/page/channel.js", file(SCRIPT, include_str!("channel.js")))
        .route("/page/dom.js", file(SCRIPT, include_str!("dom.js")))
        .route("/page/modal.js", file(SCRIPT, include_str!("modal.js")))
        .route("/page/traces.js", file(SCRIPT, include_str!("traces.js")))
        .route("/", get(page))
        .layer(middleware::from_fn(with_headers))
}

/// The page's links are relative to its folder, so its address ends in a slash.
async fn page(OriginalUri(uri): OriginalUri) -> Response {
    match uri.path().ends_with('/') {
        true => ([(CONTENT_TYPE, HTML)], include_str!("index.html")).into_response(),
        false => Redirect::permanent(&format!("{}/", uri.path())).into_response(),
    }
}

/// Adds the page's headers to an answer.
pub async fn with_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// An uploaded picture, which is shown and never run.
pub fn picture(bytes: Vec<u8>) -> Response {
    let kind = if bytes.starts_with(b"\x89PNG") {
        "image/png"
    } else {
        "application/octet-stream"
    };
    let headers = [
        (CONTENT_TYPE, kind),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ];
    (headers, bytes).into_response()
}
