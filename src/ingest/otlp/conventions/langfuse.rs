use super::{Convention, Field, Of, none};

/// Langfuse's own SDKs, and those who write for its OpenTelemetry endpoint.
///
/// Source: Langfuse's "OpenTelemetry property mapping" and `packages/shared/src/server/otel/attributes.ts`.
pub const LANGFUSE: Convention = Convention {
    fields: &[
        ("langfuse.observation.input", Field::Input),
        ("langfuse.observation.output", Field::Output),
        ("langfuse.observation.model.name", Field::Model),
        ("langfuse.observation.usage_details", Field::UsageDetails),
        ("langfuse.observation.cost_details", Field::CostDetails),
        ("langfuse.observation.level", Field::Level),
        ("langfuse.observation.status_message", Field::StatusMessage),
        ("langfuse.trace.name", Field::TraceName),
        ("langfuse.trace.input", Field::TraceInput),
        ("langfuse.trace.output", Field::TraceOutput),
        ("langfuse.trace.tags", Field::Tags),
        ("langfuse.observation.metadata.langfuse_tags", Field::Tags),
        ("langfuse.trace.metadata.langfuse_tags", Field::Tags),
        ("langfuse.session.id", Field::SessionId),
        ("session.id", Field::SessionId),
        (
            "langfuse.observation.metadata.langfuse_session_id",
            Field::SessionId,
        ),
        (
            "langfuse.trace.metadata.langfuse_session_id",
            Field::SessionId,
        ),
        ("langfuse.user.id", Field::UserId),
        ("user.id", Field::UserId),
        (
            "langfuse.observation.metadata.langfuse_user_id",
            Field::UserId,
        ),
        ("langfuse.trace.metadata.langfuse_user_id", Field::UserId),
        ("langfuse.environment", Field::Environment),
        ("deployment.environment.name", Field::Environment),
        ("deployment.environment", Field::Environment),
        ("langfuse.internal.as_root", Field::IsRoot),
        ("langfuse.internal.is_app_root", Field::IsRoot),
    ],
    types: &[(
        "langfuse.observation.type",
        &[
            ("span", "SPAN"),
            ("generation", "GENERATION"),
            ("event", "EVENT"),
            ("embedding", "EMBEDDING"),
            ("agent", "AGENT"),
            ("tool", "TOOL"),
            ("chain", "CHAIN"),
            ("retriever", "RETRIEVER"),
            ("guardrail", "GUARDRAIL"),
            ("evaluator", "EVALUATOR"),
        ],
    )],
    metadata: &[
        ("langfuse.observation.metadata", Of::Observation),
        ("langfuse.metadata", Of::Observation),
        ("langfuse.trace.metadata", Of::Trace),
    ],
    pieces: &[],
    input: none,
    output: none,
};
