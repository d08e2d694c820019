use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::response::{IntoResponse, Response};

use crate::domain::escape_markup;

/// What a person on the way through Slack's consent is told: a heading and what to do. `again` offers another attempt.
pub struct Page<'a> {
    /// How the request ended.
    pub status: StatusCode,
    /// In a few words.
    pub heading: &'a str,
    /// One paragraph each, plain text.
    pub said: &'a [&'a str],
    /// Whether another attempt can help.
    pub again: bool,
}

impl IntoResponse for Page<'_> {
    fn into_response(self) -> Response {
        // The address holds a code: it goes to nobody, and this page is kept nowhere.
        let headers = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (
                CONTENT_SECURITY_POLICY,
                "default-src 'none'; style-src 'unsafe-inline'",
            ),
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, "no-referrer"),
        ];
        (self.status, headers, self.html()).into_response()
    }
}

impl Page<'_> {
    fn html(&self) -> String {
        let heading = escape_markup(self.heading);
        let said = self.said.iter();
        let said: String = said
            .map(|text| format!("<p>{}</p>", escape_markup(text)))
            .collect();
        let again = match self.again {
            // Beside `slack/oauth/callback`, wherever the service is mounted.
            true => "<p><a href=\"../install\">Start again</a></p>",
            false => "",
        };
        format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{heading}</title>\
             <style>body{{font:16px/1.5 system-ui;max-width:40em;margin:3em auto;padding:0 1em;color-scheme:light dark}}\
             </style><h1>{heading}</h1>{said}{again}</html>"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_teams_name_stays_text() {
        let page = Page {
            status: StatusCode::OK,
            heading: "<script>",
            said: &["a & b <img src=x>"],
            again: false,
        };
        let html = page.html();
        assert!(!html.contains("<script>") && !html.contains("<img") && !html.contains("install"));
        assert!(html.contains("a &amp; b &lt;img src=x&gt;"), "{html}");
    }
}
