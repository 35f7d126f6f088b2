//! The packages: each is built from the binary beside this test, installed and looked at.

mod command_line;
