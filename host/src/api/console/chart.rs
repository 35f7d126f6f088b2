//! Line charts as SVG. Their points are attributes of the server's HTML: no script draws, and no style is inline.

use std::fmt::Write;

use maud::{Markup, html};

use super::quantity;

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 90.0;

/// A series of one unit over time.
pub(super) struct Chart {
    pub(super) title: &'static str,
    /// Time in seconds, and value; `None` where it is unknown. In the order of time.
    pub(super) points: Vec<(u32, Option<f64>)>,
    /// Seconds between two points. A longer gap interrupts the line.
    pub(super) interval: u32,
    /// The value with its unit.
    pub(super) format: fn(f64) -> String,
}

impl Chart {
    /// The chart, with its newest and its greatest value in words.
    pub(super) fn render(&self) -> Markup {
        let mut known = self.points.iter().filter_map(|(_, value)| *value);
        let greatest = known.clone().fold(0.0, f64::max);
        let newest = known.next_back();
        let (from, to) = match (self.points.first(), self.points.last()) {
            (Some((from, _)), Some((to, _))) => (*from, *to),
            _ => (0, 0),
        };
        let text = |value: Option<f64>| value.map_or("unknown".to_owned(), self.format);
        let label = format!(
            "{}: now {}, at most {}",
            self.title,
            text(newest),
            (self.format)(greatest)
        );
        html! {
            figure.chart {
                figcaption { (self.title) " " b { (text(newest)) } small { " at most " ((self.format)(greatest)) } }
                @if newest.is_some() {
                    svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(label) preserveAspectRatio="none" {
                        @for line in self.lines(from, to, greatest) {
                            polyline points=(line) {}
                        }
                    }
                    small.span {
                        span { (clock(from)) } span { (clock(to)) }
                    }
                } @else {
                    p.empty { "No values yet." }
                }
            }
        }
    }

    /// The points of each uninterrupted line.
    fn lines(&self, from: u32, to: u32, greatest: f64) -> Vec<String> {
        let span = f64::from(to.saturating_sub(from).max(1));
        let top = if greatest > 0.0 { greatest } else { 1.0 };
        let mut lines = Vec::new();
        let mut line = String::new();
        let mut last = None;
        for (at, value) in &self.points {
            let is_gap = last.is_some_and(|last| at.saturating_sub(last) > 3 * self.interval);
            if is_gap || value.is_none() {
                lines.push(std::mem::take(&mut line));
            }
            last = Some(*at);
            let Some(value) = value else { continue };
            let x = f64::from(at.saturating_sub(from)) / span * WIDTH;
            let y = HEIGHT - 2.0 - value / top * (HEIGHT - 4.0);
            // Writing to a string does not fail.
            let _ = write!(line, "{x:.1},{y:.1} ");
        }
        lines.push(line);
        lines.retain(|line| !line.is_empty());
        lines
    }
}

fn clock(at: u32) -> String {
    quantity::readable(&quantity::time(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_interrupt_the_line_and_the_greatest_value_is_at_the_top() {
        let chart = Chart {
            title: "Lag",
            points: vec![
                (0, Some(0.0)),
                (10, Some(4.0)),
                (20, None),
                (30, Some(2.0)),
                (1_000, Some(1.0)),
            ],
            interval: 10,
            format: |value| format!("{value} s"),
        };
        let lines = chart.lines(0, 1_000, 4.0);
        assert_eq!(lines, ["0.0,88.0 6.0,2.0 ", "18.0,45.0 ", "600.0,66.5 "]);
        let html = chart.render().into_string();
        assert!(html.contains("Lag: now 1 s, at most 4 s"), "{html}");
    }
}
