//! The routes, who may use them, and Langfuse's errors.

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::access::{Budget, credentials};
use super::{Apis, Langfuse, evaluators, observations, page, scores, traces};
use crate::langfuse::Resource;

/// The version that the stand-in was written after.
const VERSION: &str = "4.16.0";
/// Langfuse takes batches of 3.5 MB; a little more is read to say so.
const BODY_MAX: usize = 4_500_000;

/// The project that a request's keys belong to.
#[derive(Clone)]
pub struct ProjectId(pub String);

/// Why a request is refused, as Langfuse writes it.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    error: &'static str,
    message: String,
}

impl Refusal {
    pub fn invalid(message: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidRequestError", message)
    }

    pub fn not_found(message: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "LangfuseNotFoundError", message)
    }

    fn new(status: StatusCode, error: &'static str, message: String) -> Self {
        Self {
            status,
            error,
            message,
        }
    }

    /// As it was ordered to fail.
    pub fn by_order(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, "Fault", "This fails by order".to_owned())
    }

    /// As an entry of a batch's `errors`.
    pub fn for_event(&self, id: &Value) -> Value {
        json!({"id": id, "status": self.status.as_u16(), "message": self.message, "error": self.error})
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"message": self.message, "error": self.error});
        (self.status, Json(body)).into_response()
    }
}

pub fn router(langfuse: Langfuse) -> Router {
    let keyed = middleware::from_fn_with_state(langfuse.clone(), admit);
    let public = Router::new()
        .route("/projects", get(projects))
        .route("/v2/observations", get(observations::list))
        .route("/traces", get(traces::list))
        .route("/traces/{id}", get(traces::detail))
        .merge(scores::router())
        .merge(evaluators::router())
        .route_layer(keyed)
        .route("/health", get(health))
        .route("/ready", get(health))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .fallback(unknown_route);
    Router::new()
        .nest("/api/public", public)
        .route("/project/{project}/traces/{trace}", get(page::trace))
        .with_state(langfuse)
}

async fn health() -> Json<Value> {
    Json(json!({"status": "OK", "version": VERSION}))
}

async fn unknown_route() -> Refusal {
    Refusal::not_found("This stand-in has no such route".to_owned())
}

async fn projects(
    State(langfuse): State<Langfuse>,
    Extension(project): Extension<ProjectId>,
) -> Json<Value> {
    let state = langfuse.locked();
    let name = state
        .project(&project.0)
        .map_or("", |project| &project.name);
    let organization = json!({"id": "playground", "name": "Playground"});
    let project =
        json!({"id": project.0, "name": name, "organization": organization, "metadata": {}});
    Json(json!({ "data": [project] }))
}

/// Refuses wrong keys and too many requests; says in every answer how many are left.
async fn admit(State(langfuse): State<Langfuse>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    let path = path.strip_prefix("api/public/").unwrap_or(path);
    let resource = Resource::of_path(path).unwrap_or(Resource::PublicApi);
    if let Some(status) = langfuse.locked().fault(resource) {
        return Refusal::by_order(status).into_response();
    }
    let Some((project, budget)) = spend(&langfuse, request.headers(), resource) else {
        let message = "Invalid credentials. Confirm that you've configured the correct host.";
        let status = StatusCode::UNAUTHORIZED;
        return Refusal::new(status, "UnauthorizedError", message.to_owned()).into_response();
    };
    let mut response = match budget.remaining {
        Some(_) => {
            request.extensions_mut().insert(project);
            next.run(request).await
        }
        None => {
            let message = "Rate limit exceeded".to_owned();
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, "RateLimitError", message).into_response()
        }
    };
    if budget.is_said || budget.remaining.is_none() {
        say_budget(response.headers_mut(), budget, langfuse.clock.now());
    }
    response
}

fn spend(
    langfuse: &Langfuse,
    headers: &HeaderMap,
    resource: Resource,
) -> Option<(ProjectId, Budget)> {
    let (public_key, secret_key) = credentials(headers)?;
    let mut state = langfuse.locked();
    let project = state.project_of(&public_key, &secret_key)?;
    let budget = project.access.spend(resource, langfuse.clock.elapsed());
    let id = ProjectId(project.id.clone());
    match budget.remaining {
        Some(_) => state.requests.answered += 1,
        None => state.requests.refused += 1,
    }
    Some((id, budget))
}

/// As Langfuse does, which writes the time as JavaScript does.
fn say_budget(headers: &mut HeaderMap, budget: Budget, now: DateTime<Utc>) {
    let reset = (now + budget.reset).format("%a %b %d %Y %H:%M:%S GMT+0000");
    let reset = format!("{reset} (Coordinated Universal Time)");
    let mut say = |name: &'static str, value: String| {
        let value = HeaderValue::from_str(&value).expect("figures and times are ASCII");
        headers.insert(name, value);
    };
    // By the stand-in's own clock, which the server's is not in tests.
    say("date", now.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
    say("x-ratelimit-limit", budget.limit.to_string());
    say(
        "x-ratelimit-remaining",
        budget.remaining.unwrap_or(0).to_string(),
    );
    say("x-ratelimit-reset", reset);
    if budget.remaining.is_none() {
        say("retry-after", budget.reset.as_secs_f64().ceil().to_string());
    }
}

/// v4's route, where there is one.
pub fn need_v4(langfuse: &Langfuse) -> Result<(), Refusal> {
    match langfuse.apis {
        Apis::V4 | Apis::Both => Ok(()),
        Apis::V3 => Err(Refusal::not_found(
            "The v2 observations API is not available".to_owned(),
        )),
    }
}

/// v3's routes, where there are any.
pub fn need_v3(langfuse: &Langfuse) -> Result<(), Refusal> {
    match langfuse.apis {
        Apis::V3 | Apis::Both => Ok(()),
        Apis::V4 => {
            let message = "This API was removed in v4. Use GET /api/public/v2/observations";
            Err(Refusal::new(StatusCode::GONE, "Gone", message.to_owned()))
        }
    }
}
