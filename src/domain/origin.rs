/// Where a trace comes from that Langfuse does not have: no score is written there, and no link leads there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Read from LangSmith.
    LangSmith,
    /// Read from OpenAI's stored completions.
    OpenAi,
    /// Sent by OpenAI's Agents SDK.
    Agents,
    /// Read from a file.
    File,
}

impl Origin {
    /// As it stands in rows.
    pub fn name(self) -> &'static str {
        match self {
            Self::LangSmith => "langsmith",
            Self::OpenAi => "openai",
            Self::Agents => "agents",
            Self::File => "file",
        }
    }

    /// The origin of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        let all = [Self::LangSmith, Self::OpenAi, Self::Agents, Self::File];
        all.into_iter().find(|origin| origin.name() == name)
    }
}
