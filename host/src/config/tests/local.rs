//! Commands for the host of this machine.

use std::ffi::OsString;

use super::{TempFile, load};
use crate::config::Request;

#[test]
fn commands_for_the_local_host_take_its_port() {
    let file = TempFile::new("cluster0: mongodb://a\nport: 27183\n");
    let read = |arguments: &[&str]| load(arguments.iter().map(OsString::from));
    let asked = read(&["tidegate", "health", "--ready", "--config", file.path()]);
    let Ok(Request::Health(command)) = asked else {
        unreachable!("{asked:?}")
    };
    assert!(command.ready && command.host.address.ends_with(":27183"));
}
