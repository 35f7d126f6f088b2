use protocol_model::{checker::check, copy::{Fault, Copy, Event}};

fn logs() -> Vec<(&'static str, Vec<Event>)> { use Event::*; vec![("delete", vec![Delete(0)]), ("delete insert update", vec![Delete(0), Insert(0), Update(0)]), ("insert update delete", vec![Insert(1), Update(0), Delete(1)]), ("updates", vec![Update(0), Update(0)])] }

fn run(name: &str, model: &Copy) -> bool {
    let start = std::time::Instant::now();
    match check(model) { Ok(holds) => {println!("{name} {holds} {:?}", start.elapsed()); true}, Err(found) => {println!("{name} {:?} {} {found}", start.elapsed(), found.actions.len()); false} }
}

#[test]
fn all() {
    for (n, log) in logs() {
        run(n, &Copy { log: log.clone(), hosts: 2, terms: 2, losses: 2, fault: None });
        run(n, &Copy { log: log.clone(), hosts: 2, terms: 3, losses: 2, fault: None });
    }
    use Fault::*;
    for fault in [SuspectInMemory, BegunTooLate, OnlyTakeovers, LostReplyForgotten, DoneClearsSuspect, SuspectNotCompared, InsertReplaces, DeltasAfterTakeover, LateAfterCommit] {
        for (n, log) in logs() {
            let m = Copy { log, hosts: 2, terms: 2, losses: 2, fault: Some(fault) };
            if check(&m).is_err() { run(&format!("{fault:?} {n}"), &m); } else { println!("{fault:?} {n} not found"); }
        }
    }
}
