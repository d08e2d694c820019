use std::collections::HashMap;
use std::sync::RwLock;

use serde_json::Value;

/// Which team is of which Enterprise Grid org, by what verified payloads have said: each names both, so that what a
/// payload needs is known when it is looked at.
#[derive(Default)]
pub struct Orgs(RwLock<HashMap<String, String>>);

impl Orgs {
    /// Notes the team and the org that a payload of Slack's names.
    pub fn note(&self, payload: &Value) {
        // What is opened in an org, and not in one of its teams, is used by the org's people.
        let home = match payload["is_enterprise_install"] == true {
            true => &payload["user"]["team_id"],
            false => &Value::Null,
        };
        let teams = [&payload["team"]["id"], &payload["team_id"], home];
        let orgs = [
            &payload["enterprise"]["id"],
            &payload["enterprise_id"],
            &payload["team"]["enterprise_id"],
        ];
        self.note_pair(first_id(&teams), first_id(&orgs));
        for one in payload["authorizations"].as_array().into_iter().flatten() {
            self.note_pair(
                first_id(&[&one["team_id"]]),
                first_id(&[&one["enterprise_id"]]),
            );
        }
    }

    fn note_pair(&self, team: Option<&str>, org: Option<&str>) {
        let (Some(team), Some(org)) = (team, org) else {
            return;
        };
        if self.org_of(team).as_deref() != Some(org) {
            let mut orgs = self.0.write().expect("no holder of the lock panics");
            orgs.insert(team.to_owned(), org.to_owned());
        }
    }

    /// Whether `team` is `tenant`, or a team of it.
    pub fn is_within(&self, team: &str, tenant: &str) -> bool {
        !team.is_empty() && (team == tenant || self.org_of(team).as_deref() == Some(tenant))
    }

    /// Whether two teams are the same, or of the same org.
    pub fn are_together(&self, one: &str, other: &str) -> bool {
        let within = |team: &str, id: &str| {
            self.org_of(id)
                .is_some_and(|org| self.is_within(team, &org))
        };
        one == other || within(one, other) || within(other, one)
    }

    fn org_of(&self, team: &str) -> Option<String> {
        let orgs = self.0.read().expect("no holder of the lock panics");
        orgs.get(team).cloned()
    }
}

fn first_id<'a>(values: &[&'a Value]) -> Option<&'a str> {
    let mut named = values.iter().filter_map(|value| value.as_str());
    named.find(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_team_is_within_itself_and_its_org_alone() {
        let orgs = Orgs::default();
        assert!(orgs.is_within("T1", "T1") && !orgs.is_within("T1", "E1"));
        orgs.note(&json!({"team": {"id": "T1"}, "enterprise": {"id": "E1"}}));
        orgs.note(&json!({"team_id": "T2", "enterprise_id": "E1"}));
        orgs.note(&json!({"team": {"id": "T3"}, "enterprise": null}));
        orgs.note(&json!({"team": null, "enterprise": {"id": "E1"}, "is_enterprise_install": true, "user": {"team_id": "T4"}}));
        orgs.note(&json!({"authorizations": [{"team_id": "T5", "enterprise_id": "E1"}]}));
        assert!(orgs.is_within("T4", "E1") && orgs.is_within("T5", "E1"));
        assert!(orgs.is_within("T1", "E1") && orgs.is_within("E1", "E1"));
        assert!(!orgs.is_within("T3", "E1") && !orgs.is_within("T1", "T2"));
        assert!(
            !orgs.is_within("", ""),
            "a payload that names no team is nobody's"
        );
        assert!(orgs.are_together("T1", "T2") && orgs.are_together("E1", "T1"));
        assert!(!orgs.are_together("T1", "T3") && !orgs.are_together("T3", "E1"));
    }

    #[test]
    fn a_team_that_moves_to_another_org_is_of_that_one() {
        let orgs = Orgs::default();
        for org in ["E1", "E2"] {
            orgs.note(&json!({"team_id": "T1", "enterprise_id": org}));
        }
        assert!(orgs.is_within("T1", "E2") && !orgs.is_within("T1", "E1"));
    }
}
