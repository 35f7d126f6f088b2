//! `GET /metrics`: text that a parser takes, with the values of the progress.

use std::collections::HashMap;

use super::*;

async fn scrape(state: State) -> String {
    let control = Scripted::new(state);
    let response = respond(&control, request("GET", "/metrics", "")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let bytes = to_bytes(response.into_body(), usize::MAX).await;
    String::from_utf8(bytes.expect("a body").into()).expect("text")
}

/// The samples by name and labels. Every one follows its own description, no
/// description comes twice, and the text says that it is whole.
fn parse(text: &str) -> HashMap<&str, u64> {
    let mut samples = HashMap::new();
    let mut described: Vec<(&str, &str)> = Vec::new();
    let mut lines = text.strip_suffix("# EOF\n").expect("an end").lines();
    for line in &mut lines {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a kind");
            assert!(described.iter().all(|(known, _)| *known != name), "{name}");
            described.push((name, kind));
        } else if !line.starts_with('#') {
            let (sample, value) = line.rsplit_once(' ').expect("a value");
            let name = sample.split('{').next().expect("a name");
            let (family, kind) = described.last().expect("a description");
            let total = if *kind == "counter" { "_total" } else { "" };
            assert_eq!(name, format!("{family}{total}"));
            let before = samples.insert(sample, value.parse().expect("a number"));
            assert_eq!(before, None, "{sample} stands twice");
        }
    }
    samples
}

#[tokio::test]
async fn metrics_hold_the_numbers_of_the_progress() {
    let text = scrape(State::Running).await;
    let samples = parse(&text);
    for (sample, value) in [
        (r#"tidegate_state{state="RUNNING"}"#, 1),
        (r#"tidegate_state{state="IDLE"}"#, 0),
        ("tidegate_lag_seconds", 31),
        ("tidegate_can_commit", 0),
        ("tidegate_events_applied_total", 12),
        ("tidegate_copy_bytes_total", 695),
        ("tidegate_copy_estimated_bytes", 695),
        ("tidegate_copied_documents_total", 7),
        ("tidegate_quarantined_documents", 5),
    ] {
        assert_eq!(samples.get(sample), Some(&value), "{sample} in {text}");
    }
    let states = samples
        .keys()
        .filter(|name| name.starts_with("tidegate_state"));
    assert_eq!(states.count(), 6);
}

#[tokio::test]
async fn each_stage_of_the_chain_has_its_own_series() {
    let text = scrape(State::Running).await;
    let samples = parse(&text);
    // Both stages are of one component.
    for (stage, first) in [(0, 100), (1, 200)] {
        for (name, label, value) in [
            ("documents_total", r#",outcome="kept""#, first + 1),
            ("documents_total", r#",outcome="dropped""#, first + 2),
            ("documents_total", r#",outcome="replaced""#, first + 3),
            ("documents_total", r#",outcome="quarantined""#, first + 4),
            ("errors_total", "", first + 5),
            ("traps_total", "", first + 6),
            ("bytes_total", r#",direction="in""#, first + 7),
            ("bytes_total", r#",direction="out""#, first + 8),
            ("batch_microseconds", r#",quantile="0.5""#, first + 9),
            ("batch_microseconds", r#",quantile="0.99""#, first + 10),
        ] {
            let sample = format!(
                r#"tidegate_plugin_{name}{{stage="{stage}",plugin="field-mask",digest="sha256:ab"{label}}}"#
            );
            assert_eq!(
                samples.get(sample.as_str()),
                Some(&value),
                "{sample} in {text}"
            );
        }
    }
}
