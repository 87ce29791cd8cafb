//! An event by mail: its subject, the message around it, and how a server takes it.

pub mod message;
pub mod smtp;
mod subject;
