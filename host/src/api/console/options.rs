//! The options as the sync was started with them, also as Markdown for a ticket.
//!
//! Values of documents and of plugins' configurations are not shown: the page is copied into tickets.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::view::View;
use crate::model::StartOptions;

pub(super) fn render(view: &View) -> Markup {
    html! {
        section #options {
            h2 { "Options" }
            @match &view.progress.options {
                Some(options) => {
                    @let text = shown(options);
                    pre #options-json tabindex="0" { (text) }
                    details data-key="markdown" {
                        summary { "As Markdown" }
                        textarea #markdown readonly rows="12" aria-label="State and options as Markdown" { (markdown(view, &text)) }
                        button type="button" hidden data-copy="markdown" { "Copy" }
                    }
                },
                None => p.empty { "No sync has begun at this host." },
            }
        }
    }
}

/// The options as indented JSON, under the names of `POST /start`.
fn shown(options: &StartOptions) -> String {
    let mut value = serde_json::to_value(options).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        fields.remove("loadLevel");
        fields.retain(|_, value| *value != json!([]));
        if let Some(blocking) = fields.remove("writeBlocking") {
            fields.insert("enableUserWriteBlocking".to_owned(), blocking);
        }
        for name in ["documentFilter", "namespaceRemap"] {
            fields.get_mut(name).map(as_json);
        }
        if let Some(Value::Object(filter)) = fields.get_mut("documentFilter") {
            hide(filter.get_mut("matchValues"));
        }
        if let Some(Value::Array(plugins)) = fields.get_mut("plugins") {
            plugins
                .iter_mut()
                .for_each(|plugin| hide(plugin.get_mut("config")));
        }
    }
    serde_json::to_string_pretty(&value).unwrap_or_default()
}

/// Configurations of components are persisted as text.
fn as_json(value: &mut Value) {
    if let Some(parsed) = value
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok())
    {
        *value = parsed;
    }
}

fn hide(value: Option<&mut Value>) {
    if let Some(value) = value.filter(|value| !value.is_null()) {
        *value = json!("(not shown)");
    }
}

fn markdown(view: &View, options: &str) -> String {
    let progress = &view.progress;
    let sync = progress.sync_id.as_deref().unwrap_or("-");
    let reason = progress.cannot_commit.as_deref().unwrap_or("-");
    let warnings: String = progress
        .warnings
        .iter()
        .map(|warning| format!("- {warning}\n"))
        .collect();
    format!(
        "**tidegate {}**, sync `{sync}`\n\n- state: {}, {}\n- cannot commit: {reason}\n- lag: {}\n- events applied: {}\n\
         \nWarnings:\n\n{warnings}\nOptions:\n\n```json\n{options}\n```\n",
        progress.upgrade.binary_version,
        progress.state,
        progress.info.unwrap_or("-"),
        progress
            .lag_seconds
            .map_or("-".to_owned(), |lag| format!("{lag} s")),
        progress.total_events_applied,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::options::{ClusterName, Json, OnError, PluginOptions};

    #[test]
    fn no_value_of_a_filter_or_a_plugin_is_shown() {
        let mut options = StartOptions::between(ClusterName::Cluster0, ClusterName::Cluster1);
        options.document_filter =
            Some(Json(json!({ "field": "region", "matchValues": ["Basel"] })));
        options.plugins = vec![PluginOptions {
            component: "mask-fields".to_owned(),
            config: Json(json!({ "key": "hunter2" })),
            namespaces: Vec::new(),
            on_error: OnError::default(),
        }];
        let text = shown(&options);
        assert!(
            text.contains("mask-fields") && text.contains("region"),
            "{text}"
        );
        assert!(
            !text.contains("hunter2") && !text.contains("Basel"),
            "{text}"
        );
    }
}
