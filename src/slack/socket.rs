//! Socket Mode: what Slack would post to an address comes over a WebSocket that we open (docs.slack.dev, "Using
//! Socket Mode").
//!
//! The connection is made by an HTTP client as any other, and trusts the same certificates; what comes is a
//! [`Received`] each, and what goes is an acknowledgement by an envelope's id.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::{StatusCode, Upgraded, header};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use url::Url;

use super::{Client, Error};
use crate::domain::lenient;
use crate::http;

/// The method that gives a WebSocket's address.
pub(super) const OPEN_SOCKET: &str = "apps.connections.open";
/// An address that takes longer is given up, and another one is asked for.
const OPEN_WITHIN: Duration = Duration::from_secs(15);

/// A connection of Socket Mode.
pub struct Socket(WebSocketStream<Upgraded>);

/// What came over a connection.
#[derive(Debug, PartialEq)]
pub enum Received {
    /// It is open, and envelopes come from now on.
    Hello {
        /// The app's connections, this one counted.
        connections: u64,
    },
    /// Slack will close it soon; another one is to be opened before.
    Disconnect {
        /// `warning`, `refresh_requested`, `link_disabled`, `too_many_websockets`.
        reason: String,
    },
    /// What would have come to one of our addresses.
    Envelope(Envelope),
    /// A sign of life.
    Alive,
}

/// A payload, to be acknowledged by its id within three seconds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Envelope {
    /// What the acknowledgement names.
    pub envelope_id: String,
    /// `interactive`, `slash_commands`, `events_api`.
    #[serde(rename = "type")]
    pub kind: String,
    /// As it comes by HTTP; a command's fields as an object.
    pub payload: Value,
    /// Whether an acknowledgement may carry an answer.
    pub accepts_response_payload: bool,
}

/// An answer on the address of a WebSocket.
#[derive(Deserialize)]
struct Opened {
    url: Url,
}

impl Client {
    /// Opens a connection of Socket Mode; the client's token must be the app's own, `xapp-…`.
    ///
    /// # Errors
    /// Slack's refusal of the token, or that no connection came about.
    pub async fn open_socket(&self) -> Result<Socket, Error> {
        let opened: Opened = self.post(OPEN_SOCKET, "", &json!({})).await?;
        let connected = tokio::time::timeout(OPEN_WITHIN, connect(opened.url));
        // An address holds a ticket, so no error names it.
        let problem = match connected.await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => format!("no WebSocket in {} s", OPEN_WITHIN.as_secs()),
        };
        let method = OPEN_SOCKET;
        Err(Error::Unknown { method, problem })
    }
}

async fn connect(mut url: Url) -> anyhow::Result<Socket> {
    let scheme = match url.scheme() {
        "ws" => "http",
        _ => "https",
    };
    let changed = url.set_scheme(scheme);
    anyhow::ensure!(changed.is_ok(), "the address is none of a WebSocket");
    let key = generate_key();
    let http = http::client_builder().http1_only().build()?;
    let request = http
        .get(url)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, &key);
    let answer = request.send().await.map_err(reqwest::Error::without_url)?;
    let status = answer.status();
    anyhow::ensure!(
        status == StatusCode::SWITCHING_PROTOCOLS,
        "status {status} instead of a WebSocket; a proxy on the way must let WebSockets pass"
    );
    let accepted = answer.headers().get(header::SEC_WEBSOCKET_ACCEPT);
    let ours = accepted.is_some_and(|accepted| *accepted == derive_accept_key(key.as_bytes()));
    anyhow::ensure!(ours, "the answer to another WebSocket's request");
    let stream = answer
        .upgrade()
        .await
        .map_err(reqwest::Error::without_url)?;
    let stream = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
    Ok(Socket(stream))
}

impl Socket {
    /// What comes next; `None` once the connection is gone. Dropping the future loses nothing.
    pub async fn receive(&mut self) -> Option<Received> {
        match self.0.next().await?.ok()? {
            Message::Text(text) => Some(read(&text)),
            Message::Close(_) => None,
            // Pings are answered by the WebSocket itself.
            _ => Some(Received::Alive),
        }
    }

    /// Waits for the greeting: the app's connections, this one counted. `None` where the connection is gone before.
    pub async fn greeted(&mut self) -> Option<u64> {
        loop {
            if let Received::Hello { connections } = self.receive().await? {
                return Some(connections);
            }
        }
    }

    /// Acknowledges an envelope, with the answer where one is due. Says whether it could be sent.
    pub async fn acknowledge(&mut self, envelope_id: &str, answer: Option<Value>) -> bool {
        let mut frame = json!({"envelope_id": envelope_id});
        if let Some(answer) = answer {
            frame["payload"] = answer;
        }
        self.send(Message::text(frame.to_string())).await
    }

    /// Asks for a sign of life. Says whether it could be sent.
    pub async fn ping(&mut self) -> bool {
        self.send(Message::Ping("iofold".into())).await
    }

    /// Says that nothing more comes from here.
    pub async fn close(&mut self) {
        // Whoever has left already need not hear it.
        let _ = self.0.close(None).await;
    }

    async fn send(&mut self, message: Message) -> bool {
        self.0.send(message).await.is_ok()
    }
}

fn read(text: &str) -> Received {
    let Ok((frame, _)) = lenient::parse(text.as_bytes()) else {
        return Received::Alive;
    };
    match frame["type"].as_str() {
        Some("hello") => Received::Hello {
            connections: frame["num_connections"].as_u64().unwrap_or(1),
        },
        Some("disconnect") => Received::Disconnect {
            reason: frame["reason"].as_str().unwrap_or_default().to_owned(),
        },
        _ => match serde_json::from_value::<Envelope>(frame) {
            Ok(envelope) if !envelope.envelope_id.is_empty() => Received::Envelope(envelope),
            _ => Received::Alive,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_frame_is_read_and_nonsense_is_a_sign_of_life() {
        let hello =
            r#"{"type": "hello", "num_connections": 3, "connection_info": {"app_id": "A1"}}"#;
        assert_eq!(read(hello), Received::Hello { connections: 3 });
        let leaving = r#"{"type": "disconnect", "reason": "warning", "debug_info": {"host": "h"}}"#;
        let reason = "warning".to_owned();
        assert_eq!(read(leaving), Received::Disconnect { reason });
        let envelope = Envelope {
            envelope_id: "e1".to_owned(),
            kind: "slash_commands".to_owned(),
            payload: json!({"text": "𝒽elp \u{202e}"}),
            accepts_response_payload: true,
        };
        let text = r#"{"envelope_id": "e1", "type": "slash_commands", "payload": {"text": "𝒽elp \u202e"},
                       "accepts_response_payload": true, "new": [1]}"#;
        assert_eq!(read(text), Received::Envelope(envelope));
        for nonsense in [
            "",
            "null",
            "[]",
            "{}",
            "\u{0}",
            r#"{"type": "interactive"}"#,
        ] {
            assert_eq!(read(nonsense), Received::Alive, "{nonsense}");
        }
    }
}
