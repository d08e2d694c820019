use serde_json::json;

use super::{Client, Error, Message};

/// Where one person is told something that nobody else sees.
pub struct Whisper {
    /// `C…`.
    pub channel: String,
    /// `U…`.
    pub user: String,
    /// Slack's address for answers to a click, good for half an hour and five of them.
    pub response_url: Option<String>,
    /// Whether what was clicked is such a message itself: it is then replaced.
    pub replaces: bool,
}

impl Whisper {
    /// Says it: by the answer to the click if that is still possible, else by a message of its own.
    ///
    /// # Errors
    /// That of the message of its own.
    pub async fn say(&self, client: &Client, message: &Message) -> Result<(), Error> {
        if let Some(url) = &self.response_url {
            let answer = json!({
                "response_type": "ephemeral", "replace_original": self.replaces,
                "text": message.text, "blocks": message.blocks,
            });
            match client.respond(url, &answer).await {
                Ok(()) => return Ok(()),
                Err(error) => tracing::info!(%error, "an answer to a click was not taken"),
            }
        }
        client.whisper(&self.channel, &self.user, message).await
    }
}
