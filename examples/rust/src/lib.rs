//! Asks a digitserve server: a connection, calls with a deadline, and streams that resume.

mod call;
mod connection;
mod resume;

pub use call::{predict, request, within};
pub use connection::{Bearer, Client, Connection, client, connect};
pub use resume::Resuming;

/// The stubs.
pub mod v1 {
    tonic::include_proto!("digitserve.v1");
}
