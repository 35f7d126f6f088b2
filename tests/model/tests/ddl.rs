use protocol_model::{checker::check, ddl::{Fault, Ddl, Event, A, B, C}};

fn there_and_back() -> Vec<Event> { vec![Event::Write(0), Event::Rename(0, B), Event::Rename(0, A), Event::Write(0)] }
fn name_taken() -> Vec<Event> { vec![Event::Rename(0, B), Event::Create(1, A), Event::Rename(0, C), Event::Write(1)] }
fn dropped() -> Vec<Event> { vec![Event::Write(0), Event::Drop(0), Event::Create(1, A), Event::Write(1)] }

fn run(name: &str, model: &Ddl) -> bool {
    let start = std::time::Instant::now();
    match check(model) { Ok(holds) => {println!("{name} {holds} {:?}", start.elapsed()); true}, Err(found) => {println!("{name} {:?} {} {found}", start.elapsed(), found.actions.len()); false} }
}

#[test]
fn all() {
    for (n, log) in [("aba", there_and_back()), ("taken", name_taken()), ("dropped", dropped())] {
        run(n, &Ddl { log: log.clone(), hosts: 2, terms: 2, losses: 2, fault: None });
        run(n, &Ddl { log: log.clone(), hosts: 2, terms: 3, losses: 3, fault: None });
    }
    use Fault::*;
    for fault in [RedoneUnguarded, NoIntent, IntentWithoutPosition, RecordBeforeEffect, RecordUnguarded, ByName, InFlightForgotten, UnknownForgotten, OnlyTakeovers, NotComparedAtCommit, LateAfterCommit] {
        for (n, log) in [("aba", there_and_back()), ("taken", name_taken()), ("dropped", dropped())] {
            let m = Ddl { log, hosts: 2, terms: 3, losses: 2, fault: Some(fault) };
            if check(&m).is_err() { run(&format!("{fault:?} {n}"), &m); } else { println!("{fault:?} {n} not found"); }
        }
    }
}
