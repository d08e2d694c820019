use std::fmt;

use serde::{Deserialize, Serialize};

/// A text id that cannot be mistaken for another kind of id.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id as it stands in rows and on the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<T: Into<String>> From<T> for $name {
            fn from(id: T) -> Self {
                Self(id.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// A workspace: one Langfuse project and one Slack channel. `default` comes from the environment.
    WorkspaceId
);
text_id!(
    /// A trace's id as Langfuse gave it; unique in its workspace.
    TraceId
);
text_id!(
    /// A person who labels: the Slack user id, or the name in a labelled file.
    AnnotatorId
);
text_id!(
    /// An eval: a criterion being automated.
    EvalId
);
text_id!(
    /// One immutable source text of an eval.
    VersionId
);
