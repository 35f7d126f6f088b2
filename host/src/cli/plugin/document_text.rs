//! Documents as text: relaxed Extended JSON, and differences between two documents.

use bson::{Bson, Document, RawDocument};
use similar::{ChangeTag, DiffOp, TextDiff};

use super::command::Style;
use super::console::{Console, Paint};

/// Unchanged lines that are shown around a change.
const CONTEXT: usize = 3;

/// Most characters of a column.
const COLUMN: usize = 60;

/// A document on several lines.
pub(super) fn pretty(document: &RawDocument) -> String {
    let value = extended_json(document);
    serde_json::to_string_pretty(&value).unwrap_or_else(|_| value.to_string())
}

/// A document on one line of at most `width` characters.
pub(super) fn compact(document: &RawDocument, width: usize) -> String {
    cut(&extended_json(document).to_string(), width)
}

fn extended_json(document: &RawDocument) -> serde_json::Value {
    match Document::try_from(document) {
        Ok(document) => Bson::Document(document).into_relaxed_extjson(),
        // The layout was validated before, but a string may not be UTF-8.
        Err(error) => serde_json::json!({ "not shown": error.to_string() }),
    }
}

/// The `_id` as relaxed Extended JSON.
pub(super) fn id_of(document: &RawDocument) -> String {
    let id = document.get("_id").ok().flatten();
    let id = id.and_then(|id| Bson::try_from(id).ok());
    id.map_or_else(
        || "none".to_owned(),
        |id| id.into_relaxed_extjson().to_string(),
    )
}

/// The lines of the difference between two documents.
pub(super) fn difference(
    console: &Console,
    style: Style,
    before: &RawDocument,
    after: &RawDocument,
) -> Vec<String> {
    let (before, after) = (pretty(before), pretty(after));
    let diff = TextDiff::from_lines(&before, &after);
    match style {
        Style::Unified => unified(console, &diff),
        Style::SideBySide => side_by_side(console, &before, &after, diff.ops()),
    }
}

fn unified(console: &Console, diff: &TextDiff<'_, '_, str>) -> Vec<String> {
    let mut lines = Vec::new();
    for (position, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if position > 0 {
            lines.push(console.paint(Paint::Faint, "  …"));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let text = change.value().trim_end_matches('\n');
            lines.push(match change.tag() {
                ChangeTag::Equal => format!("  {text}"),
                ChangeTag::Delete => console.paint(Paint::Red, &format!("- {text}")),
                ChangeTag::Insert => console.paint(Paint::Green, &format!("+ {text}")),
            });
        }
    }
    lines
}

fn side_by_side(console: &Console, before: &str, after: &str, ops: &[DiffOp]) -> Vec<String> {
    let (before, after): (Vec<&str>, Vec<&str>) =
        (before.lines().collect(), after.lines().collect());
    let longest = before.iter().map(|line| line.chars().count()).max();
    let width = longest.unwrap_or_default().min(COLUMN);
    let mut lines = Vec::new();
    for op in ops {
        let same = matches!(op, DiffOp::Equal { .. });
        let (old, new) = (op.old_range(), op.new_range());
        for row in 0..old.len().max(new.len()) {
            let line = |lines: &[&str], range: &std::ops::Range<usize>| {
                let text = (row < range.len()).then(|| lines.get(range.start + row));
                text.flatten().map(|text| cut(text, width.max(1)))
            };
            let (left, right) = (line(&before, &old), line(&after, &new));
            lines.push(row_of(console, left, right, same, width));
        }
    }
    lines
}

fn row_of(
    console: &Console,
    left: Option<String>,
    right: Option<String>,
    same: bool,
    width: usize,
) -> String {
    let mark = match (&left, &right) {
        _ if same => ' ',
        (Some(_), Some(_)) => '|',
        (Some(_), None) => '<',
        _ => '>',
    };
    let (left, right) = (left.unwrap_or_default(), right.unwrap_or_default());
    let left = format!("{left:<width$}");
    if same {
        return format!("  {left} {mark} {right}").trim_end().to_owned();
    }
    let left = console.paint(Paint::Red, &left);
    let right = console.paint(Paint::Green, &right);
    format!("  {left} {mark} {right}").trim_end().to_owned()
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let head: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{head}…")
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::super::console::Color;
    use super::*;

    fn lines(style: Style, color: Color) -> String {
        let mut console = Console::of_process();
        console.set_color(color);
        let before = rawdoc! { "_id": 1, "email": "ann@example.com", "age": 40 };
        let after = rawdoc! { "_id": 1, "email": "***", "n": 9_i64 };
        difference(&console, style, &before, &after).join("\n")
    }

    #[test]
    fn unified() {
        assert_eq!(
            lines(Style::Unified, Color::Never),
            "  {\n    \"_id\": 1,\n-   \"email\": \"ann@example.com\",\n-   \"age\": 40\n\
             +   \"email\": \"***\",\n+   \"n\": 9\n  }"
        );
        assert!(lines(Style::Unified, Color::Always).contains("\x1b[31m-   \"age\": 40\x1b[0m"));
    }

    #[test]
    fn side_by_side() {
        assert_eq!(
            lines(Style::SideBySide, Color::Never),
            [
                "  {                               {",
                "    \"_id\": 1,                       \"_id\": 1,",
                "    \"email\": \"ann@example.com\", |   \"email\": \"***\",",
                "    \"age\": 40                   |   \"n\": 9",
                "  }                               }",
            ]
            .join("\n")
        );
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(cut("äöüß", 4), "äöüß");
        assert_eq!(cut("äöüßx", 4), "äöü…");
        let document = rawdoc! { "_id": 1, "text": "x".repeat(500) };
        assert_eq!(compact(&document, 20).chars().count(), 20);
    }
}
