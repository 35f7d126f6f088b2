//! Errors of servers and of the driver, and their form for operators.

pub mod code;
mod driver_error;
mod error;
mod meaning;
mod operator;
mod selection;
mod server_error;

pub(super) use driver_error::TokenFault;
pub use driver_error::{DriverError, unreadable};
pub use error::{CollectionLocation, Error};
pub(super) use operator::{authentication_required, refusal};
pub use server_error::ServerError;
