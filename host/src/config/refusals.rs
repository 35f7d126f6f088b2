//! Refusals of a command line, an environment or a file. Each names the option as the operator gave it, and
//! contains no secret.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory};
use serde_saphyr::Error as YamlError;

use super::command_line::CommandLine;
use super::connection_string::mask_text;
use crate::model::input::closest;
use crate::model::{ErrorName, OperatorError};

/// Prefix of tidegate's variables.
const PREFIX: &str = "TIDEGATE_";

/// Variables of the tests, read by builds with debug assertions.
const OF_TESTS: [&str; 11] = [
    "BIN",
    "CHECK_USERS_MS",
    "HOOK_SECONDS",
    "KILL_AT",
    "OTLP_SECONDS",
    "OUTAGE_SECONDS",
    "PANIC_AT",
    "PARTITION_BYTES",
    "SEED",
    "SLICE_SECONDS",
    "VERIFICATION_PAUSE_SECONDS",
];

/// Variables of commands that call a host.
const OF_COMMANDS: [&str; 2] = ["CA_FILE", "TOKEN_FILE"];

/// A sentence for a refusal by clap. `args` is the command line.
pub(super) fn refusal(error: &clap::Error, args: &[OsString]) -> String {
    let value = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) if !value.is_empty() => value,
        _ => return sentence(error),
    };
    let is_of_value = matches!(
        error.kind(),
        ErrorKind::ValueValidation | ErrorKind::InvalidValue
    );
    match (is_of_value, argument(error)) {
        (true, Some(argument)) => {
            let place = place(&argument, value, args);
            let expected = expected(error, &argument);
            mask_text(&format!("{place} is '{value}'. Give {expected}."))
        }
        _ => sentence(error),
    }
}

/// The argument that clap refuses.
fn argument(error: &clap::Error) -> Option<Arg> {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let long = shown.trim_start_matches('-').split([' ', '=']).next()?;
    let find = |command: &Command| {
        let mut arguments = command.get_arguments();
        arguments.find(|arg| arg.get_long() == Some(long)).cloned()
    };
    let command = CommandLine::command();
    find(&command).or_else(|| command.get_subcommands().find_map(find))
}

/// The place of the value: a flag or an environment variable.
fn place(argument: &Arg, value: &str, args: &[OsString]) -> String {
    let flag = format!("--{}", argument.get_long().unwrap_or_default());
    let in_args = args.iter().filter_map(|arg| arg.to_str()).any(|arg| {
        let rest = arg.strip_prefix(&flag);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    });
    let variable = argument.get_env().and_then(|name| name.to_str());
    let in_environment =
        variable.is_some_and(|name| std::env::var(name).is_ok_and(|given| given == value));
    match variable {
        Some(name) if in_environment && !in_args => format!("The environment variable {name}"),
        _ => format!("The flag {flag}"),
    }
}

fn expected(error: &clap::Error, argument: &Arg) -> String {
    if let Some(ContextValue::Strings(values)) = error.get(ContextKind::ValidValue)
        && !values.is_empty()
    {
        return values.join(" or ");
    }
    match argument.get_id().as_str() {
        "port" | "load_level" | "lease_seconds" | "create_indexes_batch_size" => {
            "a whole number".to_owned()
        }
        _ => "a value that --help lists".to_owned(),
    }
}

/// clap's text of several lines as a sentence, without the usage.
fn sentence(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines: Vec<&str> = text
        .trim_start_matches("error: ")
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .filter(|line| !line.is_empty())
        .collect();
    mask_text(&format!("{}. --help lists the options.", lines.join("; ")))
}

/// A warning for each environment variable with tidegate's prefix that is no option.
pub fn unknown_variables() -> Vec<String> {
    unknown_among(std::env::vars_os().map(|(name, _)| name))
}

/// A warning for each of `names` with tidegate's prefix that is no option.
fn unknown_among(names: impl IntoIterator<Item = OsString>) -> Vec<String> {
    let command = CommandLine::command();
    let known: Vec<&str> = command
        .get_arguments()
        .filter_map(|arg| arg.get_env()?.to_str())
        .collect();
    let names = names.into_iter().filter_map(|name| name.into_string().ok());
    names
        .filter(|name| {
            let ours = name.strip_prefix(PREFIX);
            ours.is_some_and(|rest| !OF_TESTS.contains(&rest) && !OF_COMMANDS.contains(&rest))
                && !known.contains(&name.as_str())
        })
        .map(|name| unknown_variable(&name, &known))
        .collect()
}

fn unknown_variable(name: &str, known: &[&str]) -> String {
    let without_prefix = |name| str::strip_prefix(name, PREFIX).unwrap_or_default();
    let known: Vec<&str> = known.iter().copied().map(without_prefix).collect();
    let hint = closest(without_prefix(name), &known);
    let hint = hint.map_or_else(String::new, |known| {
        format!(" (did you mean {PREFIX}{known}?)")
    });
    format!("The environment variable {name} is unknown and has no effect{hint}.")
}

/// The fault of malformed YAML, without quotations of the file.
pub(super) fn yaml_fault(error: &YamlError) -> String {
    let error = error.without_snippet();
    let line = error.location().map_or(0, |location| location.line());
    let reason = match error {
        YamlError::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key '{}' is given twice", mask_text(key))
        }
        YamlError::DuplicateMappingKey { .. } => "a key is given twice".to_owned(),
        YamlError::Eof { .. } => "the file ends too early".to_owned(),
        YamlError::MultipleDocuments { .. } => "there is more than one document".to_owned(),
        YamlError::UnknownAnchor { .. } => "an alias names no anchor".to_owned(),
        YamlError::IndentationError { .. } => "the indentation is wrong".to_owned(),
        YamlError::ExternalMessage { msg, .. } => without_quotations(msg),
        _ => "it is malformed".to_owned(),
    };
    format!("{reason}, near line {line}")
}

/// A parser's message without its quotations: the file may hold secrets.
fn without_quotations(message: &str) -> String {
    let quote = |c| matches!(c, '\'' | '"' | '`');
    let parts = message.split(quote).step_by(2).map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" … ")
}

/// A whole number within limits.
pub(super) fn in_range<T: TryFrom<i64> + Into<i64> + Copy>(
    name: &str,
    value: i64,
    least: T,
    most: T,
) -> Result<T, OperatorError> {
    let (least, most) = (least.into(), most.into());
    T::try_from(value)
        .ok()
        .filter(|_| (least..=most).contains(&value))
        .ok_or_else(|| {
            invalid(format!(
                "{name} is {value}. Give a whole number from {least} to {most}."
            ))
        })
}

pub(super) fn invalid(message: impl Into<String>) -> OperatorError {
    OperatorError::new(ErrorName::InvalidConfig, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f62_a_variable_that_looks_like_ours_is_told() {
        let told = unknown_among(
            [
                "TIDEGATE_VERBOSE",
                "TIDEGATE_SERVICE_HOST",
                "TIDEGATE_PORT",
                "TIDEGATE_SEED",
                "MONGOSYNC_PORT",
                "PATH",
            ]
            .map(OsString::from),
        );
        assert_eq!(
            told,
            [
                "The environment variable TIDEGATE_VERBOSE is unknown and has no effect (did you mean \
                 TIDEGATE_VERBOSITY?).",
                "The environment variable TIDEGATE_SERVICE_HOST is unknown and has no effect.",
            ]
        );
    }

    #[test]
    fn f62_a_yaml_file_is_refused_with_a_reason_and_without_its_text() {
        for (text, reason) in [
            (
                "port: 1\nport: 2\n",
                "the key 'port' is given twice, near line 2",
            ),
            ("a: \"s3cret\nport: 1", "near line"),
            ("port: 1\n  id: s3cret\n", "near line"),
            ("a: *s3cret", "near line 1"),
            ("[1, 2", "near line"),
        ] {
            let error = serde_saphyr::from_str::<serde_json::Value>(text).expect_err(text);
            let fault = yaml_fault(&error);
            assert!(
                fault.contains(reason) && !fault.contains("s3cret"),
                "{fault}"
            );
            assert!(
                !fault.starts_with("it is malformed"),
                "{text:?}: {fault}: {error:?}"
            );
        }
    }
}
