//! `cargo xtask servers`: the suites of syncs with other versions of the server, as far as these run on the machine.
//!
//! A server that cannot be had is named, and the other courses are run; the task fails at the end.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use clap::Args;
use support::{
    mongod::{self, versions::Server},
    release::Profile,
};

use crate::{
    build::{self, command, has_subcommand, succeed},
    releases,
};

#[derive(Args, Clone)]
pub(crate) struct Options {
    /// Only courses whose name holds this
    #[arg(long)]
    only: Option<String>,
    /// Print the courses, with their servers, and run none
    #[arg(long)]
    list: bool,
    /// Take the host as it is built already
    #[arg(long)]
    no_build: bool,
}

/// Suites with a pair of servers. `None` is the server of all tests.
struct Course {
    name: &'static str,
    source: Option<&'static str>,
    destination: Option<&'static str>,
    tests: Tests,
}

/// The tests of a course.
enum Tests {
    /// A broad selection of the suites that the gate runs.
    Gate,
    /// The tests of sources before 6.0, which the gate leaves out (`tests/tests/servers`).
    OldSources,
    /// A source without one feature, which takes the gate too long.
    Features,
}

const COURSES: [Course; 8] = [
    Course {
        name: "6.0.27 to 6.0.27",
        source: Some("6.0.27"),
        destination: Some("6.0.27"),
        tests: Tests::Gate,
    },
    Course {
        name: "the tests' own to 6.0.27",
        source: None,
        destination: Some("6.0.27"),
        tests: Tests::Gate,
    },
    Course {
        name: "the tests' own without a feature",
        source: None,
        destination: None,
        tests: Tests::Features,
    },
    Course {
        name: "4.4.2 to the tests' own",
        source: Some("4.4.2"),
        destination: None,
        tests: Tests::OldSources,
    },
    Course {
        name: "4.4.2 to 6.0.27",
        source: Some("4.4.2"),
        destination: Some("6.0.27"),
        tests: Tests::OldSources,
    },
    Course {
        name: "5.0.4 to the tests' own",
        source: Some("5.0.4"),
        destination: None,
        tests: Tests::OldSources,
    },
    Course {
        name: "5.0.32 to the tests' own",
        source: Some("5.0.32"),
        destination: None,
        tests: Tests::OldSources,
    },
    Course {
        name: "5.0.32 to 6.0.27",
        source: Some("5.0.32"),
        destination: Some("6.0.27"),
        tests: Tests::OldSources,
    },
];

/// Every kind of collection, event and command, a kill, and a commit with its checks.
const BROAD: &str = "binary(basic) + binary(connections) + binary(preflight) + binary(secured) + (binary(scenarios) & \
    test(/^(capped|copy_ddl|cutover|ddl|ddl_in_copy|findings_operators|findings_specs|findings_time_series|ids|indexes|\
    odd_updates|oversize|resume|resync|reverse|steps|stored_functions|time_series|updates|users|verification|views)::/))";

const OLD_SOURCES: &str = "binary(servers)";

const FEATURES: &str = "test(f188_)";

pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(
        has_subcommand("nextest"),
        "the courses select tests by expressions: install cargo-nextest"
    );
    let wanted = |course: &&Course| match &options.only {
        Some(only) => course.name.contains(only.as_str()),
        None => true,
    };
    let courses: Vec<_> = COURSES.iter().filter(wanted).collect();
    ensure!(!courses.is_empty(), "no course has this name");
    if options.list {
        courses
            .iter()
            .for_each(|course| println!("{}", course.name));
        return Ok(());
    }
    eprintln!("the tests' own mongod: {}", mongod::obtain()?.display());
    if !options.no_build {
        build::all(Profile::Dev)?;
        releases::for_tests()?;
    }
    let mut missed = Vec::new();
    for course in courses {
        eprintln!("\n{}", course.name);
        if let Err(error) = course.run() {
            eprintln!("{}: {error:#}", course.name);
            missed.push(format!("{}: {error:#}", course.name));
        }
    }
    if missed.is_empty() {
        return Ok(());
    }
    bail!("not passed:\n{}", missed.join("\n"))
}

impl Course {
    fn run(&self) -> Result<()> {
        let source = obtain(self.source)?;
        let destination = obtain(self.destination)?;
        let mut tests = command();
        tests.args(["nextest", "run", "--workspace", "--locked", "-E"]);
        match self.tests {
            Tests::Gate => tests.arg(BROAD),
            Tests::OldSources => tests.args([OLD_SOURCES, "--run-ignored", "only"]),
            Tests::Features => tests.args([FEATURES, "--ignore-default-filter"]),
        };
        for (variable, binary) in [
            ("MONGOD_SOURCE", &source),
            ("MONGOD_DESTINATION", &destination),
        ] {
            if let Some(binary) = binary {
                tests.env(variable, binary);
            }
        }
        succeed(tests.env("RUST_BACKTRACE", "0"))
    }
}

fn obtain(version: Option<&str>) -> Result<Option<PathBuf>> {
    version
        .map(|version| Server::of(version)?.obtain())
        .transpose()
}
