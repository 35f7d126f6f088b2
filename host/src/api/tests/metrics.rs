//! `GET /metrics`: text that a parser accepts, with the values of the progress.

use std::collections::{HashMap, HashSet};

use super::*;

async fn scrape(state: State) -> String {
    let control = ScriptedSession::new(state);
    let response = respond(&control, request("GET", "/metrics", "")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let bytes = to_bytes(response.into_body(), usize::MAX).await;
    String::from_utf8(bytes.expect("a body").into()).expect("text")
}

/// The samples by name and labels. Asserts that each sample follows the help and the type of its family, and that no
/// family is described twice.
fn parse(text: &str) -> HashMap<&str, f64> {
    let mut samples = HashMap::new();
    let mut described: Vec<(&str, &str)> = Vec::new();
    let mut helped = None;
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            helped = help.split(' ').next();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a kind");
            assert_eq!(helped, Some(name));
            assert!(described.iter().all(|(known, _)| *known != name), "{name}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
            described.push((name, kind));
        } else {
            let (sample, value) = line.rsplit_once(' ').expect("a value");
            let name = sample.split('{').next();
            let (family, kind) = described.last().expect("a description");
            let suffixes: &[&str] = match *kind {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            let suffix = name.and_then(|name| name.strip_prefix(family));
            assert!(suffixes.contains(&suffix.expect("a sample of the family")));
            let before = samples.insert(sample, value.parse().expect("a number"));
            assert_eq!(before, None, "{sample} stands twice");
        }
    }
    samples
}

#[tokio::test]
async fn f61_openmetrics_is_answered_where_it_is_asked_for() {
    let control = ScriptedSession::new(State::Running);
    let mut asked = request("GET", "/metrics", "");
    let accept = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5";
    let accept = header::HeaderValue::from_static(accept);
    asked.headers_mut().insert(header::ACCEPT, accept);
    let response = respond(&control, asked).await;
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let bytes = to_bytes(response.into_body(), usize::MAX)
        .await
        .expect("a body");
    assert!(bytes.ends_with(b"# EOF\n"));
}

#[tokio::test]
async fn f61_host_clusters_and_role_are_told() {
    let text = scrape(State::Paused).await;
    let samples = parse(&text);
    for (sample, value) in [
        (r#"tidegate_cluster_up{cluster="cluster0"}"#, 1.0),
        (r#"tidegate_cluster_up{cluster="cluster1"}"#, 0.0),
        (r#"tidegate_role{role="active"}"#, 1.0),
        (r#"tidegate_role{role="standby"}"#, 0.0),
    ] {
        assert_eq!(samples.get(sample), Some(&value), "{sample} in {text}");
    }
    let version = format!(
        "tidegate_build_info{{version=\"{}\"}}",
        crate::observe::VERSION
    );
    assert_eq!(samples.get(version.as_str()), Some(&1.0));
    assert!(text.contains("tidegate_phase{phase="), "{text}");
}

#[tokio::test]
async fn metrics_hold_the_numbers_of_the_progress() {
    let text = scrape(State::Running).await;
    let samples = parse(&text);
    for (sample, value) in [
        (r#"tidegate_state{state="RUNNING"}"#, 1.0),
        (r#"tidegate_state{state="IDLE"}"#, 0.0),
        ("tidegate_lag_seconds", 31.0),
        ("tidegate_can_commit", 0.0),
        ("tidegate_events_applied_total", 12.0),
        ("tidegate_copy_bytes_total", 695.0),
        ("tidegate_copy_estimated_bytes", 695.0),
        ("tidegate_copied_documents_total", 7.0),
        ("tidegate_quarantined_documents", 5.0),
        ("tidegate_oversize_events_total", 6.0),
        ("tidegate_throttle_delay_seconds", 0.25),
        ("tidegate_apply_transaction_duration_seconds_sum", 300.0),
        ("tidegate_apply_transaction_duration_seconds_count", 5236.0),
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
    // Both stages have the same component.
    for (stage, first) in [(0, 100.0), (1, 200.0)] {
        for (name, label, value) in [
            ("documents_total", r#",outcome="kept""#, first + 1.0),
            ("documents_total", r#",outcome="dropped""#, first + 2.0),
            ("documents_total", r#",outcome="replaced""#, first + 3.0),
            ("documents_total", r#",outcome="quarantined""#, first + 4.0),
            ("errors_total", "", first + 5.0),
            ("traps_total", "", first + 6.0),
            ("bytes_total", r#",direction="in""#, first + 7.0),
            ("bytes_total", r#",direction="out""#, first + 8.0),
            ("counts_total", r#",count="mails""#, first + 11.0),
            ("dropped_counts_total", "", first + 12.0),
            ("log_lines_total", r#",outcome="written""#, first + 13.0),
            ("log_lines_total", r#",outcome="dropped""#, first + 14.0),
            ("log_lines_total", r#",outcome="notAllowed""#, first + 15.0),
            ("batch_seconds", r#",quantile="0.5""#, (first + 9.0) / 1e6),
            ("batch_seconds", r#",quantile="0.99""#, (first + 10.0) / 1e6),
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

#[tokio::test]
async fn the_latency_of_each_stage_is_a_histogram_in_seconds() {
    let text = scrape(State::Running).await;
    let samples = parse(&text);
    // The counts of the buckets are the stage's first number and the 16 after it.
    for (stage, first) in [(0, 100.0), (1, 200.0)] {
        for (name, label, value) in [
            ("bucket", r#",le="0.0001""#, first),
            ("bucket", r#",le="0.00025""#, 2.0 * first + 1.0),
            ("bucket", r#",le="+Inf""#, 17.0 * first + 136.0),
            ("count", "", 17.0 * first + 136.0),
            ("sum", "", first),
        ] {
            let sample = format!(
                r#"tidegate_plugin_batch_duration_seconds_{name}{{stage="{stage}",plugin="field-mask",digest="sha256:ab"{label}}}"#
            );
            assert_eq!(
                samples.get(sample.as_str()),
                Some(&value),
                "{sample} in {text}"
            );
        }
    }
}

/// Families of a text, under the names of their samples.
fn families(text: &str) -> HashSet<&str> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|line| line.split(' ').next()).collect()
}

#[tokio::test]
async fn f61_every_family_is_documented_and_no_other() {
    let page = include_str!("../../../../docs/metrics.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| row.split(['`', '{']).next());
    let documented: HashSet<&str> = names
        .filter(|name| name.starts_with("tidegate_") || name.starts_with("process_"))
        .collect();
    // Every value is known, and the second scrape has the duration of the first.
    let control = ScriptedSession::new(State::Paused);
    let api = router(control, open());
    let mut text = String::new();
    for _ in 0..2 {
        let response = api.clone().oneshot(request("GET", "/metrics", "")).await;
        let body = response.expect("an answer").into_body();
        let bytes = to_bytes(body, usize::MAX).await.expect("a body");
        text = String::from_utf8(bytes.into()).expect("text");
    }
    assert_eq!(families(&text), documented);
    let called = r#"{method="GET",path="/metrics",status="200",le="+Inf"} "#;
    assert!(text.contains(called), "{text}");
}

#[tokio::test]
async fn the_course_of_the_sync_and_the_verification_are_told() {
    let text = scrape(State::Paused).await;
    let samples = parse(&text);
    for (sample, value) in [
        (r#"tidegate_failure{error="DestinationRefused"}"#, 1.0),
        ("tidegate_lease_held", 1.0),
        ("tidegate_lease_term", 3.0),
        ("tidegate_takeover_pause_seconds", 0.14),
        (
            r#"tidegate_upgrade_pause_seconds{upgrade="0",from="0.1.1",to="0.2.0"}"#,
            0.2,
        ),
        ("tidegate_commit_undone_timestamp_seconds", 1_767_323_045.5),
        ("tidegate_cutover_blocked_seconds", 0.024),
        (
            r#"tidegate_ping_latency_seconds{cluster="cluster0"}"#,
            0.002,
        ),
        ("tidegate_indexes_built", 1.0),
        ("tidegate_indexes_planned", 2.0),
        ("tidegate_verification_mismatches", 0.0),
        ("tidegate_verified_to_timestamp_seconds", 9.0),
        ("tidegate_verification_lag_seconds", 1.0),
        ("tidegate_verification_estimated_documents", 31.0),
        ("tidegate_copy_batch_duration_seconds_sum", 400.0),
    ] {
        assert_eq!(samples.get(sample), Some(&value), "{sample} in {text}");
    }
}
