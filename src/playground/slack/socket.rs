use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::Slack;
use super::api::{Answer, Refusal};
use super::arguments::Arguments;
use super::deliver::Retry;
use super::state::APP_ID;

/// Connections an app may have (docs.slack.dev, "Using Socket Mode").
const CONNECTIONS_MAX: usize = 10;
/// Between two pings; Slack's own clients miss them after thirty seconds.
const PING_EVERY: Duration = Duration::from_secs(5);
/// From a warning until the connection is closed.
const CLOSES_AFTER: Duration = Duration::from_secs(10);

/// The app's connections of Socket Mode. None of them outlives the process, and nothing of them is in the journal.
#[derive(Default)]
pub struct Sockets {
    inner: Mutex<Inner>,
    open: watch::Sender<usize>,
}

#[derive(Default)]
struct Inner {
    /// Whether the app has ever asked for one: nothing goes to its address then.
    is_used: bool,
    tickets: HashSet<String>,
    connections: Vec<Connection>,
    /// Who waits for an envelope's acknowledgement, and from which connection.
    awaited: HashMap<String, (u64, oneshot::Sender<Value>)>,
    /// Envelopes and connections so far.
    sent: u64,
    opened: u64,
    breaks_after_click: bool,
}

struct Connection {
    id: u64,
    orders: mpsc::UnboundedSender<Order>,
    /// Whether it was told that it will be closed: the others come first.
    is_leaving: bool,
}

/// What a connection is to do.
enum Order {
    Send(String),
    /// Sends it, and breaks then.
    SendLast(String),
    Close,
    /// As a network does: without a word.
    Break,
    /// As a network does that lets nothing through, and says nothing of it.
    FallSilent,
}

#[derive(Deserialize)]
struct Ticket {
    #[serde(default)]
    ticket: String,
}

pub fn routes() -> Router<Slack> {
    Router::new().route("/link/", get(link))
}

/// `apps.connections.open`, by the app's own token.
pub fn open(slack: &Slack, arguments: &Arguments) -> Answer {
    let token = arguments.token.as_deref().ok_or("not_authed")?;
    let same = |secret: &str| {
        bool::from(subtle::ConstantTimeEq::ct_eq(
            token.as_bytes(),
            secret.as_bytes(),
        ))
    };
    if same(slack.0.config.bot_token.expose_secret()) {
        return Err(Refusal::Error("not_allowed_token_type"));
    }
    if !same(slack.0.config.app_token.expose_secret()) {
        return Err(Refusal::Error("invalid_auth"));
    }
    slack.ordered_refusal("apps.connections.open", arguments)?;
    let ticket = format!("{:032x}", rand::random::<u128>());
    let mut url = slack
        .0
        .config
        .base_url
        .join("link/")
        .map_err(|_| "internal_error")?;
    url.set_scheme("ws").map_err(|()| "internal_error")?;
    url.query_pairs_mut()
        .append_pair("ticket", &ticket)
        .append_pair("app_id", APP_ID);
    let mut inner = slack.0.sockets.lock();
    inner.is_used = true;
    inner.tickets.insert(ticket);
    Ok(json!({"url": url}))
}

/// The WebSocket's own address; each ticket opens one.
async fn link(
    Shared(slack): Shared<Slack>,
    Query(Ticket { ticket }): Query<Ticket>,
    headers: HeaderMap,
    mut request: Request,
) -> Response {
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY) else {
        return StatusCode::UPGRADE_REQUIRED.into_response();
    };
    if !slack.0.sockets.lock().tickets.remove(&ticket) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(stream) = upgrade.await {
            serve(slack, stream).await;
        }
    });
    let headers = [
        (header::CONNECTION, "Upgrade".to_owned()),
        (header::UPGRADE, "websocket".to_owned()),
        (
            header::SEC_WEBSOCKET_ACCEPT,
            derive_accept_key(key.as_bytes()),
        ),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

type Stream = WebSocketStream<TokioIo<Upgraded>>;

async fn serve(slack: Slack, stream: Upgraded) {
    let stream = WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, None).await;
    let (orders, ordered) = mpsc::unbounded_channel();
    let sockets = &slack.0.sockets;
    let id = sockets.add(orders);
    drive(sockets, stream, ordered).await;
    sockets.remove(id);
}

/// Sends and takes frames until either side ends it.
async fn drive(sockets: &Sockets, mut stream: Stream, mut ordered: mpsc::UnboundedReceiver<Order>) {
    let mut ping = tokio::time::interval(PING_EVERY);
    loop {
        let sent = tokio::select! {
            frame = stream.next() => match frame {
                Some(Ok(Frame::Text(text))) => {
                    sockets.acknowledged(&text);
                    Ok(())
                }
                Some(Ok(Frame::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => Ok(()),
            },
            order = ordered.recv() => match order {
                Some(Order::Send(text)) => stream.send(Frame::text(text)).await,
                Some(Order::SendLast(text)) => return drop(stream.send(Frame::text(text)).await),
                Some(Order::Close) => return drop(stream.close(None).await),
                Some(Order::FallSilent) => std::future::pending().await,
                Some(Order::Break) | None => return,
            },
            _ = ping.tick() => stream.send(Frame::Ping("Ping from the playground".into())).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

impl Sockets {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder of the lock panics")
    }

    /// Greets a new connection; gives its id.
    fn add(&self, orders: mpsc::UnboundedSender<Order>) -> u64 {
        let mut inner = self.lock();
        inner.opened += 1;
        let id = inner.opened;
        let mut connection = Connection {
            id,
            orders,
            is_leaving: false,
        };
        if inner.connections.len() >= CONNECTIONS_MAX {
            connection.leave("too_many_websockets");
            connection.order(Order::Close);
        } else {
            connection.send(&json!({
                "type": "hello", "num_connections": inner.connections.len() + 1,
                "connection_info": {"app_id": APP_ID},
                "debug_info": {"host": "playground", "approximate_connection_time": 18_060},
            }));
            inner.connections.push(connection);
        }
        self.open.send_replace(inner.connections.len());
        id
    }

    /// Forgets a connection; what waits for its acknowledgement hears that there is none.
    fn remove(&self, id: u64) {
        let mut inner = self.lock();
        inner.connections.retain(|connection| connection.id != id);
        inner.awaited.retain(|_, (from, _)| *from != id);
        self.open.send_replace(inner.connections.len());
    }

    fn acknowledged(&self, text: &str) {
        let frame: Value = serde_json::from_str(text).unwrap_or_default();
        let id = frame["envelope_id"].as_str().unwrap_or_default();
        if let Some((_, waits)) = self.lock().awaited.remove(id) {
            let _ = waits.send(frame["payload"].clone());
        }
    }

    /// Sends an envelope by one connection, each in its turn; `None` where none is open.
    fn send(&self, mut envelope: Value) -> Option<oneshot::Receiver<Value>> {
        let mut inner = self.lock();
        let turn = inner.sent;
        let staying = |leaving: bool| move |one: &&Connection| one.is_leaving == leaving;
        let mut able: Vec<&Connection> = inner.connections.iter().filter(staying(false)).collect();
        if able.is_empty() {
            able = inner.connections.iter().collect();
        }
        let connection = able.get(turn as usize % able.len().max(1))?;
        let envelope_id = uuid::Uuid::new_v4().to_string();
        envelope["envelope_id"] = json!(envelope_id);
        let breaks = inner.breaks_after_click && envelope["type"] == "interactive";
        match breaks {
            true => connection.order(Order::SendLast(envelope.to_string())),
            false => connection.send(&envelope),
        }
        let (waits, acknowledged) = oneshot::channel();
        let from = connection.id;
        inner.breaks_after_click &= !breaks;
        inner.sent += 1;
        inner.awaited.insert(envelope_id, (from, waits));
        Some(acknowledged)
    }
}

impl Connection {
    fn order(&self, order: Order) {
        // One that is gone has no orders to follow.
        let _ = self.orders.send(order);
    }

    fn send(&self, frame: &Value) {
        self.order(Order::Send(frame.to_string()));
    }

    fn leave(&mut self, reason: &str) {
        self.is_leaving = true;
        self.send(
            &json!({"type": "disconnect", "reason": reason, "debug_info": {"host": "playground"}}),
        );
    }
}

/// Why an envelope brought no answer, in words.
pub type Unacknowledged = &'static str;

impl Slack {
    /// Sends what would go to one of the app's addresses over a WebSocket instead, and waits for the acknowledgement:
    /// its payload, null where it has none. `kind` is `interactive`, `slash_commands` or `events_api`.
    ///
    /// `None` where the app has never asked for Socket Mode.
    pub async fn deliver_by_socket(
        &self,
        kind: &str,
        payload: &Value,
        retry: Retry,
    ) -> Option<Result<Value, Unacknowledged>> {
        if !self.0.sockets.lock().is_used {
            return None;
        }
        let within = self.timing().acknowledge_within;
        let delivered = tokio::time::timeout(within, self.deliver_once(kind, payload, retry));
        Some(
            delivered
                .await
                .unwrap_or(Err("no acknowledgement came in time")),
        )
    }

    async fn deliver_once(
        &self,
        kind: &str,
        payload: &Value,
        retry: Retry,
    ) -> Result<Value, Unacknowledged> {
        let takes_answer = kind == "slash_commands"
            || matches!(
                payload["type"].as_str(),
                Some("view_submission" | "block_suggestion")
            );
        let mut envelope =
            json!({"type": kind, "payload": payload, "accepts_response_payload": takes_answer});
        if kind == "events_api" {
            let (attempt, reason) = retry.unwrap_or_default();
            envelope["retry_attempt"] = json!(attempt);
            envelope["retry_reason"] = json!(reason);
        }
        let mut open = self.0.sockets.open.subscribe();
        let acknowledged = loop {
            match self.0.sockets.send(envelope.clone()) {
                Some(acknowledged) => break acknowledged,
                None => open.changed().await.map_err(|_| "the playground stops")?,
            }
        };
        match acknowledged.await {
            // Slack's own client for JavaScript says nothing by an empty object.
            Ok(answer) if answer.is_null() || answer == json!({}) => Ok(Value::Null),
            Ok(answer) if takes_answer => Ok(answer),
            Ok(_) => Err("an answer came where none is taken"),
            Err(_) => Err("the connection broke before the acknowledgement"),
        }
    }

    /// The connections of Socket Mode that are open, and how many were ever opened.
    pub fn sockets(&self) -> (usize, u64) {
        let inner = self.0.sockets.lock();
        (inner.connections.len(), inner.opened)
    }

    /// Warns each connection with Slack's `reason`, and closes it a while after.
    pub fn warn_sockets(&self, reason: &str) {
        let mut inner = self.0.sockets.lock();
        for connection in &mut inner.connections {
            connection.leave(reason);
            let orders = connection.orders.clone();
            tokio::spawn(async move {
                tokio::time::sleep(CLOSES_AFTER).await;
                let _ = orders.send(Order::Close);
            });
        }
    }

    /// Breaks every connection, as a network does.
    pub fn break_sockets(&self) {
        let inner = self.0.sockets.lock();
        inner
            .connections
            .iter()
            .for_each(|one| one.order(Order::Break));
    }

    /// Breaks the connection that brings the next click right after it.
    pub fn break_socket_after_click(&self) {
        self.0.sockets.lock().breaks_after_click = true;
    }

    /// Has every connection go silent: nothing goes through any more, and nobody says so.
    pub fn silence_sockets(&self) {
        let mut inner = self.0.sockets.lock();
        for connection in &mut inner.connections {
            connection.is_leaving = true;
            connection.order(Order::FallSilent);
        }
    }
}
