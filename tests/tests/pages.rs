//! The pages for contributors name files, functions and tests that exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use support::mongod::workspace;

/// Pages whose paths and functions in backticks are checked.
const CHECKED: &[&str] = &[
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/glossary.md",
    "docs/tour.md",
];

fn read(path: &str) -> Result<String> {
    fs::read_to_string(workspace().join(path)).with_context(|| format!("read {path}"))
}

/// Every file under a folder with this extension, without build output and hidden folders.
fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in folder
        .read_dir()
        .with_context(|| folder.display().to_string())?
    {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                files(&path, extension, found)?;
            }
        } else if path.extension().is_some_and(|its| its == extension) {
            found.push(path);
        }
    }
    Ok(())
}

/// The texts between backticks, without blocks of code.
fn quoted(page: &str) -> Vec<&str> {
    let prose = page.split("```").step_by(2);
    prose
        .flat_map(|text| text.split('`').skip(1).step_by(2))
        .collect()
}

/// The names that follow `fn ` in a source text.
fn functions(source: &str) -> impl Iterator<Item = &str> {
    source.split("fn ").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
        rest.get(..end)
    })
}

/// The names of all functions of the workspace.
fn all_functions() -> Result<BTreeSet<String>> {
    let mut sources = Vec::new();
    files(&workspace(), "rs", &mut sources)?;
    let mut all = BTreeSet::new();
    for source in sources {
        all.extend(functions(&fs::read_to_string(source)?).map(str::to_owned));
    }
    Ok(all)
}

/// Tests are named in sentences: four words or more.
fn is_test(text: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.chars().all(word) && text.matches('_').count() >= 3
}

fn is_path(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let in_repository = !text.starts_with('/') && !text.starts_with("target/");
    text.chars().all(plain) && text.contains('/') && in_repository
}

#[test]
fn paths_and_functions_of_the_pages_exist() -> Result<()> {
    let (mut missing, known) = (Vec::new(), all_functions()?);
    for page in CHECKED {
        let text = read(page)?;
        let mut last = String::new();
        for name in quoted(&text) {
            if is_path(name) {
                let path = workspace().join(name);
                if !path.exists() {
                    missing.push(format!("{page}: {name}"));
                }
                last = fs::read_to_string(path).unwrap_or_default();
            } else if let Some(function) = name.strip_suffix("()") {
                let function = function.rsplit("::").next().unwrap_or(function);
                // A function stands in the file that the page has named last.
                if !functions(&last).any(|its| its == function) {
                    missing.push(format!("{page}: {name} in the file before it"));
                }
            } else if is_test(name) && !known.contains(name) {
                missing.push(format!("{page}: test {name}"));
            }
        }
    }
    ensure!(missing.is_empty(), "missing: {missing:#?}");
    Ok(())
}

#[test]
fn relative_links_lead_to_files() -> Result<()> {
    let root = workspace();
    let mut pages = Vec::new();
    for page in [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "tests/SCENARIOS.md",
    ] {
        pages.push(root.join(page));
    }
    files(&root.join("docs"), "md", &mut pages)?;
    let mut broken = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page).with_context(|| page.display().to_string())?;
        for rest in text.split("](").skip(1) {
            let link = rest.split(')').next().unwrap_or_default();
            let path = link.split('#').next().unwrap_or_default();
            if path.is_empty() || link.contains("://") {
                continue;
            }
            if !page.parent().context("a folder")?.join(path).exists() {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    ensure!(broken.is_empty(), "broken links: {broken:#?}");
    Ok(())
}

/// The number of a test such as `s41_rename_chains`: `s41`.
fn number(test: &str) -> Option<&str> {
    let (number, _) = test.split_once('_')?;
    let digits = number.strip_prefix(['s', 'f'])?;
    ((2..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()))
        .then_some(number)
}

/// The rows of tests/SCENARIOS.md that name tests: the number and the tests.
fn rows(page: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let cells = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
        Some((cells.next()?, cells.nth(1)?))
    });
    let numbered = cells.filter(|(first, _)| number(&format!("{first}_")).is_some());
    numbered
        .map(|(number, tests)| (number, tests.split('`').skip(1).step_by(2).collect()))
        .collect()
}

#[test]
fn each_numbered_test_has_its_row_and_each_row_its_tests() -> Result<()> {
    let page = read("tests/SCENARIOS.md")?;
    let (proven, unproven) = page
        .split_once("## Scenarios without a test")
        .context("scenarios without a test")?;
    let (unproven, findings) = unproven.split_once("## Findings").context("findings")?;
    let listed = format!("{proven}{findings}");
    let mut rows = rows(&listed);
    let (mut wrong, known) = (Vec::new(), all_functions()?);
    for test in &known {
        if let Some(number) = number(test) {
            if !rows.get(number).is_some_and(|row| row.contains(&**test)) {
                wrong.push(format!("{test} is not in row {number}"));
            }
            if unproven.contains(&format!("| {number} |")) {
                wrong.push(format!("{number} has a test"));
            }
        }
    }
    for (number, tests) in &mut rows {
        tests.retain(|test| !known.contains(*test));
        wrong.extend(tests.iter().map(|test| format!("{number}: no test {test}")));
    }
    ensure!(wrong.is_empty(), "tests/SCENARIOS.md: {wrong:#?}");
    Ok(())
}

#[test]
fn numbers_of_tests_are_read() {
    assert_eq!(number("s41_rename_chains"), Some("s41"));
    assert_eq!(number("f07_x"), Some("f07"));
    assert_eq!(number("f110_x"), Some("f110"));
    assert_eq!(number("s_views"), None);
    assert_eq!(number("start_late"), None);
}
