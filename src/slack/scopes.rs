//! What the app must be allowed to do, by what the code does: the scopes that an installation asks for.

use std::collections::BTreeSet;

/// The Web API's methods that the code calls, and the bot scopes that each needs (docs.slack.dev, "Web API methods").
///
/// `chat:write.public` is for cards in public channels that the app was not invited to.
pub const METHODS: &[(&str, &[&str])] = &[
    // By the app's own token, which has connections:write.
    ("apps.connections.open", &[]),
    ("auth.test", &[]),
    ("chat.postEphemeral", &["chat:write"]),
    ("chat.postMessage", &["chat:write", "chat:write.public"]),
    ("chat.update", &["chat:write"]),
    (
        "conversations.history",
        &["channels:history", "groups:history"],
    ),
    ("conversations.info", &["channels:read", "groups:read"]),
    (
        "conversations.replies",
        &["channels:history", "groups:history"],
    ),
    ("files.completeUploadExternal", &["files:write"]),
    ("files.getUploadURLExternal", &["files:write"]),
    // No method of its own: bytes go to the address that getUploadURLExternal gave.
    ("files.upload", &["files:write"]),
    ("oauth.v2.access", &[]),
    ("users.info", &["users:read"]),
    ("views.open", &[]),
    ("views.publish", &[]),
    ("views.update", &[]),
];

/// The events that the app subscribes to, and the bot scopes that each needs (docs.slack.dev, "Events API").
pub const EVENTS: &[(&str, &[&str])] = &[
    ("app_home_opened", &[]),
    ("app_uninstalled", &[]),
    ("channel_archive", &["channels:read"]),
    ("channel_deleted", &["channels:read"]),
    ("channel_left", &["channels:read"]),
    ("channel_rename", &["channels:read"]),
    ("channel_unarchive", &["channels:read"]),
    ("group_archive", &["groups:read"]),
    ("group_deleted", &["groups:read"]),
    ("group_left", &["groups:read"]),
    ("group_rename", &["groups:read"]),
    ("group_unarchive", &["groups:read"]),
    ("member_joined_channel", &["channels:read", "groups:read"]),
    ("member_left_channel", &["channels:read", "groups:read"]),
    ("message.channels", &["channels:history"]),
    ("message.groups", &["groups:history"]),
    ("reaction_added", &["reactions:read"]),
    ("reaction_removed", &["reactions:read"]),
    ("tokens_revoked", &[]),
];

/// For `/iofold`.
const COMMANDS: &str = "commands";

/// Every bot scope that the code needs, and no other, each once and in order.
pub fn wanted() -> Vec<&'static str> {
    let needed = METHODS.iter().chain(EVENTS).flat_map(|(_, scopes)| *scopes);
    let needed: BTreeSet<_> = needed.copied().chain([COMMANDS]).collect();
    needed.into_iter().collect()
}

/// Those of them that were not granted.
pub fn missing(granted: &[String]) -> Vec<&'static str> {
    let mut wanted = wanted();
    wanted.retain(|scope| !granted.iter().any(|granted| granted == scope));
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_granted_is_known() {
        let mut granted: Vec<String> = wanted().iter().map(ToString::to_string).collect();
        granted.push("im:write".to_owned());
        assert!(missing(&granted).is_empty());
        granted.retain(|scope| scope != "chat:write");
        assert_eq!(missing(&granted), ["chat:write"]);
        assert_eq!(missing(&[]), wanted());
    }
}
