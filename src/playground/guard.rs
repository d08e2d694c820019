use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// What proxies and tunnels add to the requests of others.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "via"];

/// Refuses requests whose host is not this machine's loopback, and those that were passed on: neither a
/// page elsewhere whose name was bound anew to 127.0.0.1 nor a stranger behind a tunnel that rewrites
/// the host must reach the stand-ins.
pub async fn loopback_only(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let is_passed_on = FORWARDED.iter().any(|name| headers.contains_key(*name));
    match host(headers, request.uri()) {
        Some(host) if is_loopback(&host) && !is_passed_on => next.run(request).await,
        _ => (
            StatusCode::FORBIDDEN,
            "the playground answers on loopback addresses only, and not through a proxy",
        )
            .into_response(),
    }
}

/// Refuses what another site's page could make a browser send: a request must come from the page's own
/// origin, or from no browser at all, and hold JSON where it changes something. Reading is no
/// exception, for a page that asks for changes makes traces arrive.
pub async fn own_page_only(request: Request, next: Next) -> Response {
    if is_own_pages(&request) {
        return next.run(request).await;
    }
    (
        StatusCode::FORBIDDEN,
        "only the playground's own page may do that",
    )
        .into_response()
}

fn is_own_pages(request: &Request) -> bool {
    let headers = request.headers();
    let changes_nothing = request.method().is_safe();
    is_same_origin(headers)
        && (changes_nothing || (is_json(headers) && is_own(headers, request.uri())))
}

fn host(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let header = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok());
    let authority = header.or(uri.authority().map(|authority| authority.as_str()));
    authority.map(str::to_ascii_lowercase)
}

fn is_loopback(authority: &str) -> bool {
    let Ok(url) = url::Url::parse(&format!("http://{authority}/")) else {
        return false;
    };
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/json"))
}

/// Whether the browser says that the page itself, or the person at the address bar, asks; other
/// programs say nothing (Fetch Metadata, `Sec-Fetch-Site`).
fn is_same_origin(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    matches!(site, None | Some(b"same-origin" | b"none"))
}

fn is_own(headers: &HeaderMap, uri: &Uri) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
    let own = host(headers, uri).map(|host| format!("http://{host}"));
    own.is_some_and(|own| own == origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_hosts_are_answered() {
        for host in [
            "127.0.0.1:8080",
            "localhost",
            "localhost:1",
            "[::1]:8080",
            "127.8.9.1",
            "a.localhost:3",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "",
            "a b",
            "localhost.evil",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_browser_must_say_that_the_page_itself_asks() {
        let from = |site: &str| {
            HeaderMap::from_iter([("sec-fetch-site".parse().unwrap(), site.parse().unwrap())])
        };
        assert!(is_same_origin(&HeaderMap::new()));
        assert!(is_same_origin(&from("same-origin")) && is_same_origin(&from("none")));
        for site in [
            "cross-site",
            "same-site",
            "",
            "Same-Origin",
            "same-origin, none",
        ] {
            assert!(!is_same_origin(&from(site)), "{site}");
        }
    }

    #[test]
    fn another_sites_origin_is_not_the_pages_own() {
        let headers = |origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "127.0.0.1:8080".parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            headers
        };
        let uri = Uri::from_static("/playground/api/x");
        assert!(is_own(&headers(None), &uri));
        assert!(is_own(&headers(Some("http://127.0.0.1:8080")), &uri));
        for origin in [
            "http://evil.example",
            "null",
            "http://127.0.0.1:81",
            "https://127.0.0.1:8080",
        ] {
            assert!(!is_own(&headers(Some(origin)), &uri), "{origin}");
        }
    }
}
