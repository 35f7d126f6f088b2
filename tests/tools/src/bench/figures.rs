//! Figures, and their table.

use anyhow::{Result, bail};
use serde_json::{Value, json};
use support::TestDir;

use super::round;

/// The name of the figure that decides about the exit status.
const DIFFERENCES: &str = "differences";

/// The outcome of a case.
pub(super) struct Case {
    name: &'static str,
    figures: Vec<Figure>,
    /// Reasons of missing figures, and examples of differences.
    notes: Vec<String>,
}

struct Figure {
    name: &'static str,
    unit: &'static str,
    /// Missing if the case did not get that far.
    found: Option<f64>,
    wanted: Wanted,
}

#[derive(Clone, Copy)]
enum Wanted {
    /// The figure is for comparison with other releases.
    Nothing,
    AtMost(f64),
    AtLeast(f64),
}

impl Case {
    pub(super) fn new(name: &'static str) -> Self {
        eprintln!("{name}");
        Self {
            name,
            figures: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(super) fn found(&mut self, name: &'static str, unit: &'static str, found: Option<f64>) {
        self.add(name, unit, found, Wanted::Nothing);
    }

    pub(super) fn at_most(
        &mut self,
        name: &'static str,
        unit: &'static str,
        found: Option<f64>,
        bound: f64,
    ) {
        self.add(name, unit, found, Wanted::AtMost(bound));
    }

    pub(super) fn at_least(
        &mut self,
        name: &'static str,
        unit: &'static str,
        found: Option<f64>,
        bound: f64,
    ) {
        self.add(name, unit, found, Wanted::AtLeast(bound));
    }

    /// The number of differences between source and destination; `None` if they could not be compared.
    pub(super) fn differences(&mut self, found: Option<usize>) {
        self.at_most(DIFFERENCES, "", found.map(|number| number as f64), 0.0);
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    fn add(&mut self, name: &'static str, unit: &'static str, found: Option<f64>, wanted: Wanted) {
        eprintln!("  {name}: {}", text(found, unit));
        self.figures.push(Figure {
            name,
            unit,
            found,
            wanted,
        });
    }

    pub(super) fn to_json(&self) -> Value {
        let figures: Vec<Value> = self.figures.iter().map(Figure::to_json).collect();
        json!({ "name": self.name, "figures": figures, "notes": self.notes })
    }

    /// The files of the case: kept if it has something to explain.
    pub(super) fn close(&self, directory: TestDir) {
        if self.notes.is_empty() {
            directory.remove();
        }
    }

    fn is_equal(&self) -> bool {
        let mut differences = self.figures.iter().filter(|one| one.name == DIFFERENCES);
        differences.all(|one| one.passes() == Some(true) || one.found.is_none())
    }
}

impl Figure {
    fn passes(&self) -> Option<bool> {
        let within = |pleases: &dyn Fn(f64) -> bool| Some(self.found.is_some_and(pleases));
        match self.wanted {
            Wanted::Nothing => None,
            Wanted::AtMost(bound) => within(&|found| found <= bound),
            Wanted::AtLeast(bound) => within(&|found| found >= bound),
        }
    }

    fn to_json(&self) -> Value {
        let mut figure = json!({
            "name": self.name,
            "unit": self.unit,
            "found": self.found.map(round),
        });
        let wanted = match self.wanted {
            Wanted::Nothing => return figure,
            Wanted::AtMost(bound) => json!({ "atMost": bound }),
            Wanted::AtLeast(bound) => json!({ "atLeast": bound }),
        };
        if let Some(figure) = figure.as_object_mut() {
            figure.insert("wanted".to_owned(), wanted);
            figure.insert("passes".to_owned(), json!(self.passes()));
        }
        figure
    }

    fn print(&self, case: &str) {
        let wanted = match self.wanted {
            Wanted::Nothing => String::new(),
            Wanted::AtMost(bound) => format!("≤ {}", number(bound)),
            Wanted::AtLeast(bound) => format!("≥ {}", number(bound)),
        };
        let verdict = match self.passes() {
            None => "",
            Some(true) => "pass",
            Some(false) => "MISS",
        };
        println!(
            "{case:18} {:32} {wanted:>10}  {:>16}  {verdict}",
            self.name,
            text(self.found, self.unit)
        );
    }
}

fn text(found: Option<f64>, unit: &str) -> String {
    found.map_or_else(
        || "-".to_owned(),
        |found| format!("{} {unit}", number(found)).trim_end().to_owned(),
    )
}

/// With as many digits as say something.
fn number(value: f64) -> String {
    match value.abs() {
        magnitude if magnitude >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}

pub(super) fn print(cases: &[Case]) {
    println!(
        "{:18} {:32} {:>10}  {:>16}  verdict",
        "case", "figure", "wanted", "found"
    );
    for case in cases {
        case.figures.iter().for_each(|one| one.print(case.name));
    }
    for case in cases {
        for note in &case.notes {
            println!("{}: {note}", case.name);
        }
    }
}

/// Fails if source and destination differ in a case.
pub(super) fn equal(cases: &[Case]) -> Result<()> {
    let differing: Vec<&str> = cases
        .iter()
        .filter(|case| !case.is_equal())
        .map(|case| case.name)
        .collect();
    if differing.is_empty() {
        return Ok(());
    }
    bail!(
        "source and destination differ after {}",
        differing.join(", ")
    )
}
