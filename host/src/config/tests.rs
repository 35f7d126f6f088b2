//! Configuration, from arguments and files to `Config`. clap reads the environment; suites that run the binary
//! test it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use tracing::level_filters::LevelFilter;

use super::*;
use crate::model::OperatorError;

mod hooks;
mod local;

const CLUSTERS: [&str; 4] = [
    "--cluster0",
    "mongodb://u:s3cret@a",
    "--cluster1",
    "mongodb://b",
];

fn run(args: &[&str]) -> Result<Config, OperatorError> {
    let args = std::iter::once("tidegate").chain(args.iter().copied());
    match load(args.map(OsString::from))? {
        Request::Run(config) => Ok(config),
        Request::Print(text) => panic!("printed {text}"),
        other => panic!("another request: {other:?}"),
    }
}

fn with_clusters(args: &[&str]) -> Result<Config, OperatorError> {
    run(&[&CLUSTERS, args].concat())
}

/// A file that lives as long as the value.
struct TempFile(PathBuf);

impl TempFile {
    fn new(text: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidegate-config-{}-{count}.yaml", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).expect("write");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a path")
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        _ = fs::remove_file(&self.0);
    }
}

fn refusal(result: Result<Config, OperatorError>) -> String {
    result.expect_err("refused").to_string()
}

/// A change of a default is visible to operators: change it here and in docs/configuration.md, too.
#[test]
fn the_default_configuration() {
    let config = with_clusters(&[]).expect("a configuration");
    assert_eq!(
        format!("{config:#?}"),
        r#"Config {
    cluster0: mongodb://****@a,
    cluster1: mongodb://b,
    port: 27182,
    protection: ProtectionOptions {
        bind: 127.0.0.1,
        tls: None,
        tokens_file: None,
        allowed_hosts: [],
    },
    log_path: None,
    verbosity: LevelFilter::INFO,
    load_level: 3,
    id: "coordinator",
    feature_set: None,
    secrets_dir: None,
    registry: RegistryAccess {
        auth_file: None,
        ca_file: None,
        trust_file: None,
    },
    refuse_wasi: false,
    plugin_logs: Off,
    lease: 5s,
    hooks: [],
    otlp: None,
}"#
    );
}

#[test]
fn mongosyncs_documented_file_is_read() {
    let file = TempFile::new(
        "cluster0: \"mongodb://192.0.2.10:27017\"\ncluster1: \"mongodb://192.0.2.20:27017\"\n\
         logPath: \"/var/log/mongosync\"\nverbosity: \"WARN\"\n",
    );
    let config = run(&["--config", file.path()]).expect("a configuration");
    assert_eq!(config.cluster0.reveal(), "mongodb://192.0.2.10:27017");
    assert_eq!(
        config.log_path.as_deref(),
        Some(Path::new("/var/log/mongosync"))
    );
    assert_eq!(config.verbosity, LevelFilter::WARN);
}

#[test]
fn a_flag_wins_over_the_file() {
    let uri = TempFile::new("mongodb://from-uri-file\n");
    let file = TempFile::new(&format!(
        "cluster0File: {}\ncluster1: mongodb://from-file\nport: 1\nloadLevel: 1\nid: x\n",
        uri.path()
    ));
    let config = run(&[
        "--config",
        file.path(),
        "--port",
        "2",
        "--cluster1",
        "mongodb://flag",
    ])
    .expect("a configuration");
    assert_eq!(
        (config.port, config.load_level, config.id.as_str()),
        (2, 1, "x")
    );
    assert_eq!(config.cluster0.reveal(), "mongodb://from-uri-file");
    assert_eq!(config.cluster1.reveal(), "mongodb://flag");
}

#[test]
fn bad_files_are_refused_by_name_without_their_secrets() {
    for (text, reason) in [
        ("prot: 1", "unknown field 'prot' (did you mean 'port'?"),
        (
            "cluster2: mongodb://u:s3cret@a",
            "unknown field 'cluster2' (did you mean 'cluster",
        ),
        (
            "port: soon",
            "field 'port': expected a whole number, found a string",
        ),
        ("- 1", "expected an object, found an array"),
        (
            "cluster0: \"mongodb://u:s3cret@a\nport: 1",
            "is not valid YAML: ",
        ),
    ] {
        let file = TempFile::new(text);
        let refusal = refusal(with_clusters(&["--config", file.path()]));
        assert!(
            refusal.starts_with("InvalidConfig: ") && refusal.contains(reason),
            "{refusal}"
        );
        assert!(!refusal.contains("s3cret"), "{refusal}");
    }
    let refusal = refusal(with_clusters(&["--config", "/does/not/exist"]));
    assert!(
        refusal.contains("/does/not/exist cannot be read"),
        "{refusal}"
    );
}

#[test]
fn bad_values_are_refused_with_the_value() {
    for (args, reason) in [
        (
            ["--port", "70000"],
            "InvalidConfig: port is 70000. Give a whole number from 0 to 65535.",
        ),
        (["--port", "-1"], "InvalidConfig: port is -1."),
        (
            ["--loadLevel", "5"],
            "InvalidConfig: loadLevel is 5. Give a whole number from 1 to 4.",
        ),
        (["--verbosity", "WARM"], "Did you mean WARN?"),
        (
            ["--port", "x"],
            "InvalidConfig: The flag --port is 'x'. Give a whole number.",
        ),
        (
            ["--prot", "1"],
            "InvalidConfig: unexpected argument '--prot' found",
        ),
        (
            ["--plugin-wasi", "allow"],
            "plugin-wasi 'allow' is neither deny nor refuse",
        ),
        (
            ["--pluginLogs", "debug"],
            "pluginLogs 'debug' is none of off, warn and info",
        ),
        (
            ["--featureSet", "/does/not/exist"],
            "featureSet '/does/not/exist' is not a directory",
        ),
        (
            ["--cluster0File", "/f"],
            "Both cluster0 and cluster0File are given",
        ),
    ] {
        let refusal = refusal(with_clusters(&args));
        assert!(refusal.contains(reason), "{refusal}");
    }
}

#[test]
fn connection_strings_are_required_and_never_shown() {
    let missing = refusal(run(&["--cluster0", "mongodb://a"]));
    assert!(missing.contains("TIDEGATE_CLUSTER1"), "{missing}");
    let scheme = refusal(run(&[
        "--cluster0",
        "u:s3cret@host",
        "--cluster1",
        "mongodb://b",
    ]));
    assert!(
        scheme.starts_with("InvalidUri: ") && !scheme.contains("s3cret"),
        "{scheme}"
    );
    let stray = refusal(with_clusters(&["mongodb://u:s3cret@host"]));
    assert!(
        stray.contains("mongodb://****@host") && !stray.contains("s3cret"),
        "{stray}"
    );
}

#[test]
fn mongosyncs_other_flags_change_nothing() {
    let plain = with_clusters(&[]).expect("a configuration");
    for args in [
        &["--acceptDisclaimer"][..],
        &["--acceptDisclaimer", "true"],
        &["--disableTelemetry"],
        &["--disableVerification"],
        &["--disableMetricsLogging", "true"],
        &["--metricsLoggingFilepath", "/var/log/mongosync"],
    ] {
        assert_eq!(with_clusters(args).expect("a configuration"), plain);
    }
}

/// The tools have a grammar of their own, and no clusters.
#[test]
fn what_stands_behind_plugin_is_left_to_the_authors_tools() {
    let arguments = ["tidegate", "plugin", "run", "--in", "x.json", "--help"].map(OsString::from);
    match load(arguments.clone()).expect("a request") {
        Request::Plugin(passed) => assert_eq!(passed, arguments[2..]),
        other => panic!("{other:?}"),
    }
    let both = refusal(with_clusters(&["plugin", "inspect"]));
    assert!(both.contains("plugin"), "{both}");
}

#[test]
fn feature_sets_are_folders_or_the_embedded_one() {
    let command = |args: &[&str]| {
        let args = ["tidegate", "featureset"].iter().chain(args);
        match load(args.map(OsString::from)) {
            Ok(Request::FeatureSet(command)) => Ok(command),
            Ok(other) => panic!("another request: {other:?}"),
            Err(error) => Err(error),
        }
    };
    let folder = std::env::temp_dir();
    let path = folder.to_str().expect("a path");
    assert_eq!(
        command(&["show", "--json", "--featureSet", path]).expect("a command"),
        FeatureSetCommand::Show {
            set: Some(folder.clone()),
            json: true
        }
    );
    assert_eq!(
        command(&["diff", path, "embedded"]).expect("a command"),
        FeatureSetCommand::Diff {
            from: Some(folder.clone()),
            to: None,
            json: false
        }
    );
    for (args, reason) in [
        (
            &["diff", "embedded", "/does/not/exist"][..],
            "'/does/not/exist' is not a directory",
        ),
        (&["diff", "embedded"], "INSTALLED"),
        (&["list"], "unrecognized subcommand 'list'"),
        (&[], "requires a subcommand"),
    ] {
        let refusal = command(args).expect_err("refused").to_string();
        assert!(
            refusal.starts_with("InvalidConfig: ") && refusal.contains(reason),
            "{refusal}"
        );
    }
}

#[test]
fn version_and_help_are_printed() {
    for (flag, text) in [
        ("--version", "tidegate "),
        ("-v", "tidegate "),
        ("--help", "--logPath <DIR>"),
        ("--help", "tidegate plugin --help"),
    ] {
        let request = load(["tidegate", flag].map(OsString::from)).expect("a request");
        assert!(
            matches!(&request, Request::Print(printed) if printed.contains(text)),
            "{request:?}"
        );
    }
}

#[test]
fn f56_mongosyncs_options_are_read_as_its_files_have_them() {
    let file = TempFile::new(
        "loadLevel: \"4\"\nport: \" 27183\"\ndisableVerification: true\nmetricsLoggingFilepath: /m\n\
         disableMetricsLogging: false\n",
    );
    let config = with_clusters(&["--config", file.path()]).expect("a configuration");
    assert_eq!((config.load_level, config.port), (4, 27183));
    let file = TempFile::new("loadLevel: four\n");
    let wrong = refusal(with_clusters(&["--config", file.path()]));
    assert!(
        wrong.contains("field 'loadLevel': expected a whole number"),
        "{wrong}"
    );
    for text in ["hotDocIDs: [1]\n", "hotDocIDs: \"a,b\"\n"] {
        let file = TempFile::new(text);
        let refused = refusal(with_clusters(&["--config", file.path()]));
        assert!(
            refused.starts_with("NotSupported: ") && refused.contains("'hotDocIDs'"),
            "{refused}"
        );
    }
    let flag = refusal(with_clusters(&["--hotDocIDs", "1,2"]));
    assert!(flag.starts_with("NotSupported: "), "{flag}");
}

/// Every setting of mongosync's documentation (1.20), as its page has it, but for the one that is refused.
#[test]
fn a_full_file_of_mongosync_is_read_as_it_is() {
    let file = TempFile::new(
        "cluster0: \"mongodb://192.0.2.10:27017,192.0.2.11:27017\"\n\
         cluster1: \"mongodb+srv://user:secret@cluster1.example.net/?tls=true\"\n\
         acceptDisclaimer: true\ncreateIndexesBatchSize: 2\ndisableMetricsLogging: true\ndisableTelemetry: true\n\
         disableVerification: false\nenableCappedCollectionHandling: true\nid: \"shard01\"\nloadLevel: 4\n\
         logPath: \"/var/log/mongosync\"\nmetricsLoggingFilepath: \"/var/log/mongosync\"\nport: 27601\n\
         verbosity: \"WARN\"\n",
    );
    let config = run(&["--config", file.path()]).expect("a configuration");
    assert_eq!(
        (config.port, config.load_level, config.id.as_str()),
        (27601, 4, "shard01")
    );
    assert_eq!(config.verbosity, LevelFilter::WARN);
    let log_path = Path::new("/var/log/mongosync");
    assert_eq!(config.log_path.as_deref(), Some(log_path));
    for (text, reason) in [
        (
            "createIndexesBatchSize: 65\n",
            "createIndexesBatchSize is 65",
        ),
        ("hotDocIDs: [1]\n", "'hotDocIDs'"),
        ("loadlevel: 4\n", "did you mean 'loadLevel'"),
    ] {
        let file = TempFile::new(text);
        let refused = refusal(with_clusters(&["--config", file.path()]));
        assert!(refused.contains(reason), "{refused}");
    }
}

#[test]
fn a_collector_has_an_endpoint_without_secrets() {
    let config = with_clusters(&["--otlpEndpoint", "http://localhost:4318"]);
    let otlp = config.expect("a configuration").otlp.expect("a collector");
    assert_eq!(otlp.endpoint, "http://localhost:4318");
    for url in [
        "localhost:4318",
        "https://user:s3cret@collector",
        "https://collector/?key=s3cret",
        "http://",
    ] {
        let refused = refusal(with_clusters(&["--otlpEndpoint", url]));
        assert!(
            refused.contains("otlpEndpoint has to be a URL") && !refused.contains("s3cret"),
            "{refused}"
        );
    }
}
