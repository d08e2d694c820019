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

/// Files of this folder with their names.
macro_rules! files {
    ($($name:literal),* $(,)?) => { [$(($name, include_str!($name))),*] };
}

/// What the page is made of, by name.
const FILES: [(&str, &str); 37] = files![
    "annotators.js",
    "api.js",
    "app.js",
    "base.css",
    "blocks.css",
    "blocks.js",
    "composer.js",
    "confirm.js",
    "dom.js",
    "elements.js",
    "emoji.js",
    "fields.js",
    "frame.css",
    "home.js",
    "icon.svg",
    "links.js",
    "log.js",
    "markdown.js",
    "menu.js",
    "message.css",
    "message.js",
    "modal.css",
    "modal.js",
    "mrkdwn.js",
    "narrow.css",
    "overview.js",
    "panel.js",
    "people.js",
    "reactions.js",
    "rich.js",
    "steps.js",
    "store.js",
    "table.js",
    "theme.js",
    "thread.js",
    "time.js",
    "traces.js",
];

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
    let with_file = |router: Router, (name, text): (&'static str, &'static str)| {
        let file = move || async move { ([(CONTENT_TYPE, kind_of(name))], text) };
        router.route(&format!("/page/{name}"), get(file))
    };
    FILES
        .into_iter()
        .fold(Router::new(), with_file)
        .route("/", get(page))
        .layer(middleware::from_fn(with_headers))
}

fn kind_of(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    }
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
