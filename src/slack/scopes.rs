//! What the app must be allowed to do, by what the code does: the scopes that an installation asks for.

use std::collections::BTreeSet;

/// The Web API's methods that the code calls, and the bot scopes that each needs (docs.slack.dev, "Web API methods").
///
/// `chat:write.public` is for cards in public channels that the app was not invited to.
pub const METHODS: &[(&str, &[&str])] = &[
    ("auth.test", &[]),
    ("chat.postEphemeral", &["chat:write"]),
    ("chat.postMessage", &["chat:write", "chat:write.public"]),
    ("chat.update", &["chat:write"]),
    (
        "conversations.history",
        &["channels:history", "groups:history"],
    ),
    (
        "conversations.replies",
        &["channels:history", "groups:history"],
    ),
    ("files.completeUploadExternal", &["files:write"]),
    ("files.getUploadURLExternal", &["files:write"]),
    // No method of its own: bytes go to the address that getUploadURLExternal gave.
    ("files.upload", &["files:write"]),
    ("oauth.v2.access", &[]),
    ("views.open", &[]),
];

/// The events that the app subscribes to, and the bot scopes that each needs (docs.slack.dev, "Events API").
pub const EVENTS: &[(&str, &[&str])] = &[
    ("app_home_opened", &[]),
    ("app_uninstalled", &[]),
    ("channel_archive", &["channels:read"]),
    ("channel_unarchive", &["channels:read"]),
    ("group_archive", &["groups:read"]),
    ("group_unarchive", &["groups:read"]),
    ("member_left_channel", &["channels:read", "groups:read"]),
    ("message.channels", &["channels:history"]),
    ("message.groups", &["groups:history"]),
    ("reaction_added", &["reactions:read"]),
    ("reaction_removed", &["reactions:read"]),
    ("tokens_revoked", &[]),
];

/// For `/iofold`.
const COMMANDS: &str = "commands";

/// Every bot scope that the code needs, and no other.
pub fn bot_scopes() -> BTreeSet<&'static str> {
    let needed = METHODS.iter().chain(EVENTS).flat_map(|(_, scopes)| *scopes);
    needed.copied().chain([COMMANDS]).collect()
}
