use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{PAGES_MAX, is_last_page};
use super::{Client, Error};

/// Langfuse's largest page.
const PAGE: usize = 100;

/// Which of Langfuse's APIs for evaluators the server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EvaluatorApi {
    /// By id; names may repeat. Since August 2026.
    V2,
    /// By name: the same name again is the next version.
    Unstable,
}

/// A Python code evaluator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeEvaluator<'a> {
    /// Its name, also that of its score.
    pub name: &'a str,
    /// What it does, for people; the older API keeps none.
    pub description: &'a str,
    /// `evaluate(ctx)`.
    pub source: &'a str,
}

/// What became of a code evaluator that was put there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promoted {
    /// Langfuse's id.
    pub id: String,
    /// Its version there.
    pub version: u64,
    /// Whether this made it; otherwise the same source stood there.
    pub is_new: bool,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Value>,
    #[serde(default)]
    meta: Value,
}

#[derive(Deserialize)]
struct Made {
    id: String,
    version: u64,
}

impl Client {
    /// Puts a code evaluator into the project: a new one, or the next version of the one of its name. One that has
    /// this source already is left as it is.
    ///
    /// # Errors
    /// The server has no evaluators, or none in code; or it can't be reached.
    pub async fn put_code_evaluator(
        &self,
        evaluator: &CodeEvaluator<'_>,
    ) -> Result<Promoted, Error> {
        let (api, found) = match self.code_evaluator(EvaluatorApi::V2, evaluator.name).await {
            Err(error) if is_unknown_route(&error) => {
                let found = self.code_evaluator(EvaluatorApi::Unstable, evaluator.name);
                (EvaluatorApi::Unstable, found.await?)
            }
            found => (EvaluatorApi::V2, found?),
        };
        if let Some(known) = found
            .as_ref()
            .filter(|known| known["sourceCode"] == evaluator.source)
        {
            return Ok(Promoted {
                id: known["id"].as_str().unwrap_or_default().to_owned(),
                version: known["version"].as_u64().unwrap_or_default(),
                is_new: false,
            });
        }
        let what = "make a code evaluator";
        let body = evaluator.to_request(api == EvaluatorApi::V2);
        let id = found.as_ref().and_then(|known| known["id"].as_str());
        let Made { id, version } = match (api, id) {
            (EvaluatorApi::Unstable, _) => self.post(what, "unstable/evaluators", &body).await?,
            (EvaluatorApi::V2, None) => self.post(what, "v2/evaluators", &body).await?,
            (EvaluatorApi::V2, Some(id)) => {
                self.patch(what, &["v2", "evaluators", id], &body).await?
            }
        };
        Ok(Promoted {
            id,
            version,
            is_new: true,
        })
    }

    /// The newest code evaluator of a name.
    async fn code_evaluator(&self, api: EvaluatorApi, name: &str) -> Result<Option<Value>, Error> {
        let path = match api {
            EvaluatorApi::V2 => "v2/evaluators",
            EvaluatorApi::Unstable => "unstable/evaluators",
        };
        let mut cursor = None;
        for number in 1..=PAGES_MAX {
            let mut query = vec![("limit", PAGE.to_string())];
            match (api, cursor.take()) {
                (EvaluatorApi::Unstable, _) => query.push(("page", number.to_string())),
                (EvaluatorApi::V2, given) => query.extend(given.map(|given| ("cursor", given))),
            }
            let page: Page = self.get("list evaluators", path, &query).await?;
            let is_it = |known: &&Value| known["name"] == name && known["type"] == "code";
            if let Some(known) = page.data.iter().find(is_it) {
                return Ok(Some(known.clone()));
            }
            cursor = page.meta["cursor"].as_str().map(str::to_owned);
            let is_last = match api {
                EvaluatorApi::V2 => cursor.is_none(),
                EvaluatorApi::Unstable => is_last_page(number, page.data.len(), &page.meta),
            };
            if is_last {
                break;
            }
        }
        Ok(None)
    }
}

impl CodeEvaluator<'_> {
    /// The body that makes it.
    pub fn to_request(&self, with_description: bool) -> Value {
        let mut body = json!({
            "name": self.name, "type": "code", "sourceCode": self.source, "sourceCodeLanguage": "PYTHON",
        });
        if with_description {
            body["description"] = json!(self.description);
        }
        body
    }
}

/// Older servers answer a route that they don't have with a page.
fn is_unknown_route(error: &Error) -> bool {
    error.is_missing() || matches!(error, Error::NotLangfuse { status: 404, .. })
}
