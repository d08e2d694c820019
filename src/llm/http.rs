use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, Response};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::Error;

/// The most that is read of one answer: 100 times the longest that a prompt here can ask for.
const ANSWER_MAX: usize = 16 << 20;

/// What came back, whatever the status.
pub(super) struct Answer {
    pub status: u16,
    pub retry_after: Option<Duration>,
    pub body: Vec<u8>,
}

/// Sends a request and reads the whole answer by `deadline`, with no longer pause in it than `pause`.
pub(super) async fn exchange(
    request: RequestBuilder,
    deadline: Instant,
    pause: Duration,
    base_url: &'static str,
) -> Result<Answer, Error> {
    let of_transport = |error: reqwest::Error| match (error.is_timeout(), error.is_connect()) {
        (_, true) => Error::Unreachable { base_url },
        (true, _) => Error::TimedOut,
        _ => Error::BrokeOff,
    };
    let sent = timeout_at(deadline, request.send()).await;
    let mut response = sent.map_err(|_| Error::TimedOut)?.map_err(of_transport)?;
    let reading = timeout_at(deadline, body(&mut response, pause)).await;
    let body = reading.map_err(|_| Error::TimedOut)??;
    Ok(Answer {
        status: response.status().as_u16(),
        retry_after: retry_after(response.headers(), Utc::now()),
        body,
    })
}

async fn body(response: &mut Response, pause: Duration) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    loop {
        let chunk = timeout(pause, response.chunk()).await;
        let chunk = chunk.map_err(|_| Error::TimedOut)?;
        let Some(chunk) = chunk.map_err(|_| Error::BrokeOff)? else {
            return Ok(body);
        };
        if body.len() + chunk.len() > ANSWER_MAX {
            let limit_bytes = ANSWER_MAX;
            return Err(Error::TooLarge { limit_bytes });
        }
        body.extend_from_slice(&chunk);
    }
}

/// `Retry-After`, in seconds or as a date, and the finer `retry-after-ms` that both providers' own SDKs look for first.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let header = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let seconds = |text: &str| Duration::try_from_secs_f64(text.parse().ok()?).ok();
    let millis = header("retry-after-ms").and_then(seconds);
    if let Some(thousandfold) = millis {
        return Some(thousandfold / 1000);
    }
    let text = header("retry-after")?;
    seconds(text).or_else(|| {
        let at = DateTime::parse_from_rfc2822(text).ok()?;
        // What is past is no wait.
        Some((at.to_utc() - now).to_std().unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &'static str, value: &str) -> Option<Duration> {
        let value = value.parse().expect("it is a header");
        let headers = HeaderMap::from_iter([(name.parse().expect("a name"), value)]);
        let now = DateTime::parse_from_rfc3339("2026-11-25T12:00:00Z").expect("a date");
        retry_after(&headers, now.to_utc())
    }

    #[test]
    fn the_wait_comes_in_seconds_as_a_date_or_in_milliseconds() {
        for (name, value, millis) in [
            ("retry-after", "7", Some(7_000)),
            ("retry-after", " 0.25 ", Some(250)),
            ("retry-after", "0", Some(0)),
            ("retry-after", "Wed, 25 Nov 2026 12:00:30 GMT", Some(30_000)),
            ("retry-after", "Wed, 25 Nov 2026 11:00:00 GMT", Some(0)),
            ("retry-after-ms", "1500", Some(1_500)),
            ("retry-after", "-1", None),
            ("retry-after", "1e300", None),
            ("retry-after", "NaN", None),
            ("retry-after", "soon", None),
            ("retry-after", "", None),
            ("other", "7", None),
        ] {
            let expected = millis.map(Duration::from_millis);
            assert_eq!(read(name, value), expected, "{name}: {value}");
        }
    }
}
