//! Writers and takeover.

use protocol_model::{checker::check, writers::{Fault, Writers}};

const BASE: Writers = Writers { hosts: 2, terms: 2, events: 2, losses: 2, roll_backs: 0, bump: true, fault: None };

fn run(name: &str, model: Writers) {
    let start = std::time::Instant::now();
    match check(&model) { Ok(holds) => println!("{name} {holds} {:?}", start.elapsed()), Err(found) => println!("{name} {:?} {} {found}", start.elapsed(), found.actions.len()) }
}

#[test]
fn all() {
    run("base", BASE);
    run("l3", Writers { losses: 3, ..BASE });
    run("t3", Writers { terms: 3, ..BASE });
    run("h3", Writers { terms: 3, hosts: 3, losses: 1, ..BASE });
    run("r1 l1", Writers { losses: 1, roll_backs: 1, ..BASE });
    run("r1 l2", Writers { losses: 2, roll_backs: 1, ..BASE });
    run("read l3", Writers { losses: 3, bump: false, ..BASE });
    run("read r1 l2", Writers { losses: 2, bump: false, roll_backs: 1, ..BASE });
    use Fault::*;
    for fault in [BumpUnconditional, NoRaise, RaiseNotMajority, LeaseNotMajority, GuardOnlyRead, CounterNotInFilter, CommitNotMajority, UnknownIsDone, UnknownIsNotDone, ResolvedByLocalRead, RebuiltWhileUnknown, StatementRepeated, DeltasAfterTakeover, TimeBeforeRaise] {
        let rb = u8::from(matches!(fault, RaiseNotMajority | LeaseNotMajority | CommitNotMajority | ResolvedByLocalRead));
        for (events, losses) in [(1, 2-rb), (1, 3 - rb), (2, 2-rb), (2, 3-rb)] {
            let m = Writers { fault: Some(fault), events, roll_backs: rb, losses, ..BASE };
            if check(&m).is_err() {
                run(&format!("{fault:?} {events} {losses}"), m); break;
            }
        }
    }
}
