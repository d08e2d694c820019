//! What the app may do in a team: what the manifest asks for, and what a token was granted.

const MANIFEST: &str = include_str!("../../slack-manifest.yml");

/// The bot's scopes in `slack-manifest.yml`.
pub fn wanted() -> Vec<&'static str> {
    let after = MANIFEST.lines().skip_while(|line| line.trim() != "bot:");
    let entries = after.skip(1).map(|line| line.trim().strip_prefix("- "));
    let entries = entries.map_while(|entry| entry);
    let name = |entry: &'static str| entry.split_whitespace().next();
    entries.filter_map(name).collect()
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
    fn what_the_manifest_asks_for_and_a_token_lacks_is_known() {
        let wanted = wanted();
        assert!(
            wanted.contains(&"chat:write") && wanted.contains(&"groups:history"),
            "{wanted:?}"
        );
        let is_scope = |scope: &&str| {
            scope
                .chars()
                .all(|c| c.is_ascii_lowercase() || ":._".contains(c))
        };
        assert!(wanted.iter().all(is_scope), "{wanted:?}");
        let mut granted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        granted.push("im:write".to_owned());
        assert!(missing(&granted).is_empty());
        granted.retain(|scope| scope != "chat:write");
        assert_eq!(missing(&granted), ["chat:write"]);
    }
}
