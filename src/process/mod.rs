//! Child processes: started in a group of their own, watched, stopped with a grace, always reaped.
//!
//! End of file from a child is conditional: [`ChildOutput`] returns it only after the child has been
//! waited for and exited 0. Every wait is a `poll` that a [`Cancel`](crate::cancel::Cancel) ends.

pub mod account;
pub mod before_exec;
pub mod boot_clock;
mod child;
pub mod confine;
mod hang_up;
pub mod machine;
mod output_tail;
mod pipes;
pub mod repeated_warnings;
mod terminate;

pub use child::{COMMAND, Child, Ended, Explain, explain_plainly, spawn};
pub use pipes::{ChildInput, ChildOutput, run, run_on};
