use super::*;
use crate::ingest::normalise;
use proptest::prelude::*;

fn only(line: Value) -> Lined {
    let mut traces = read_line(line.to_string().as_bytes()).expect("it is read");
    assert_eq!(traces.len(), 1, "{line}");
    traces.remove(0)
}

#[test]
fn every_form_says_what_was_asked_and_answered() {
    let chat =
        json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Q?"}]);
    let answer = json!({"role": "assistant", "content": "A."});
    let detail =
        json!({"id": "t", "timestamp": "2026-01-01T00:00:00Z", "input": "Q?", "output": "A."});
    let version_1 = normalise(&TracePayload::from(
        detail.as_object().expect("fields").clone(),
    ));
    let mut messages = chat.as_array().expect("a list").clone();
    messages.push(answer.clone());
    for line in [
        json!({"input": "Q?", "output": "A."}),
        detail.clone(),
        serde_json::to_value(version_1).expect("JSON"),
        json!({"id": "l", "trace": detail, "label": "down"}),
        json!({"messages": messages}),
        json!({"item": {"question": "Q?"}, "sample": {"input": chat, "output": [answer]}}),
        json!({"item": {"input": "Q?"}, "sample": {"input": "Q?", "output_text": "A.", "output_json": null}}),
        json!({"object": "eval.run.output_item", "id": "outputitem_1", "created_at": 1_743_092_076, "status": "fail",
               "datasource_item": {"q": "Q?"}, "results": [{"score": 0.0}],
               "sample": {"input": chat, "output": [answer], "model": "m", "error": null}}),
        json!({"observations": [{"id": "o", "type": "GENERATION", "input": chat, "output": answer}]}),
    ] {
        let trace = normalise(&only(line.clone()).trace);
        assert_eq!(
            (trace.input_text.as_str(), trace.output_text.as_str()),
            ("Q?", "A."),
            "{line}"
        );
        assert!(!trace.id.is_empty());
        assert!(!trace.to_json().contains("\"score\"") && !trace.to_json().contains("\"down\""));
    }
}

#[test]
fn an_output_of_an_eval_keeps_its_item_and_its_time() {
    let line = json!({"id": "outputitem_1", "created_at": 1_743_092_076, "run_id": "evalrun_1",
        "datasource_item": {"ground": "truth"}, "sample": {"input": [{"role": "user", "content": "Q?"}],
        "output": [{"role": "assistant", "content": "A."}], "model": "gpt-x"}});
    let Lined { trace, is_timed } = only(line);
    assert!(is_timed);
    assert_eq!(trace.id, "outputitem_1");
    assert_eq!(trace.timestamp.as_deref(), Some("2025-03-27T16:14:36.000Z"));
    let expected = json!({"run_id": "evalrun_1", "item": {"ground": "truth"}, "model": "gpt-x"});
    assert_eq!(trace.metadata, expected);
}

#[test]
fn an_id_is_the_lines_own_or_made_of_the_content() {
    let given = only(json!({"custom_id": "c", "messages": [{"role": "user", "content": "Q?"}]}));
    assert_eq!(given.trace.id, "c");
    let labelled = only(json!({"id": "l", "trace": {"input": "Q?"}}));
    assert_eq!(labelled.trace.id, "l");
    let made = |line| only(line).trace.id;
    let one = made(json!({"input": "Q?", "output": "é👍"}));
    assert!(one.starts_with("file-") && one.len() == 37, "{one}");
    assert_eq!(one, made(json!({"input": "Q?", "output": "é👍"})));
    assert_ne!(one, made(json!({"input": "Q?", "output": "é"})));
    assert!(!only(json!({"input": "Q?"})).is_timed);
}

#[test]
fn a_session_is_its_traces() {
    let line = json!({"id": "l", "label": "up", "session": [{"id": "a", "input": 1}, {"id": "b", "input": 2}]});
    let traces = read_line(line.to_string().as_bytes()).expect("it is read");
    let ids: Vec<&str> = traces.iter().map(|lined| lined.trace.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
}

#[test]
fn a_bad_line_is_refused_with_the_fix_and_without_its_text() {
    let deep = (0..120).fold(json!("core"), |inner, _| json!([inner]));
    for line in [
        "not SECRET json",
        "[\"SECRET\"]",
        "{\"question\": \"SECRET\"}",
        "{\"messages\": \"SECRET\"}",
        "{\"session\": [\"SECRET\"]}",
        "{\"input\": null}",
        &json!({"input": deep}).to_string(),
        &format!("{{\"input\": {}", "[".repeat(100_000)),
    ] {
        let said = read_line(line.as_bytes()).expect_err("it is no trace");
        assert!(!said.contains("SECRET") && said.len() < 300, "{said}");
    }
}

proptest! {
    #[test]
    fn whatever_stands_in_a_line_it_does_not_panic(bytes: Vec<u8>, text: String) {
        let _ = read_line(&bytes);
        let chat = json!({"messages": [{"role": "user", "content": text}]}).to_string();
        prop_assert_eq!(read_line(chat.as_bytes()).expect("a chat").len(), 1);
    }
}
