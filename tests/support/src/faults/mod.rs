//! Every fault at every command: a scripted sync that contains every kind of object is repeated, each time with a
//! fault at one command of a host, and compared at its end.

mod crew;
mod injection;
mod kind;
mod name;
mod plan;
mod script;
mod set;
mod stage;
mod stamp;
mod writes;

pub use self::{
    kind::{Kind, Side},
    name::{Name, Place},
    plan::Plan,
    stage::{Outcome, Stage, Stages},
};

/// The phase in which the first host starts.
const STARTS: &str = "first host";
/// The phase in which nothing is written to the source any more.
const COMMIT: &str = "commit";
/// The phase in which the sync begins.
const START: &str = "start";
