//! Who a user is, asked for once an hour.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::{Client, Error};

/// Names change, and people become guests.
const KNOWN_FOR: Duration = Duration::from_secs(3_600);
/// More are forgotten all at once.
const KNOWN_MAX: usize = 10_000;

/// A user of Slack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// As others see it.
    pub name: String,
    /// `T…`: another one in a channel that is shared by Slack Connect.
    pub team_id: String,
    /// Whether it is a program.
    pub is_bot: bool,
}

/// The users that were asked about lately, by id.
#[derive(Default)]
pub(super) struct People(Mutex<HashMap<String, (Instant, Person)>>);

#[derive(Deserialize)]
struct Answer {
    user: User,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    team_id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    is_bot: bool,
    #[serde(default)]
    profile: Profile,
}

#[derive(Default, Deserialize)]
struct Profile {
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    real_name: String,
}

impl Client {
    /// `users.info`: who a user is.
    pub async fn person(&self, id: &str) -> Result<Person, Error> {
        if let Some(known) = self.people().known(id) {
            return Ok(known);
        }
        let answer: Answer = self.get("users.info", "", &[("user", id)]).await?;
        let person = Person::from(answer.user);
        self.people().learn(id, &person);
        Ok(person)
    }
}

impl From<User> for Person {
    fn from(user: User) -> Self {
        let names = [user.profile.display_name, user.profile.real_name, user.name];
        let name = names.into_iter().find(|name| !name.is_empty());
        Self {
            name: name.unwrap_or_default(),
            team_id: user.team_id,
            is_bot: user.is_bot,
        }
    }
}

impl People {
    fn known(&self, id: &str) -> Option<Person> {
        let known = self.0.lock().expect("no holder of the lock panics");
        let (since, person) = known.get(id)?;
        (since.elapsed() < KNOWN_FOR).then(|| person.clone())
    }

    fn learn(&self, id: &str, person: &Person) {
        let mut known = self.0.lock().expect("no holder of the lock panics");
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(id.to_owned(), (Instant::now(), person.clone()));
    }
}
