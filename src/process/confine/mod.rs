//! Confining a program that runs what strangers wrote, so that it reaches its own directory and nothing else.
//!
//! The confined program is started by way of ourselves: this executable is run once more under the name [`confinement::NAME`], and
//! that process, which has one thread and holds no secret, takes its own rights away and becomes the program. So all of
//! it is done by ordinary code; between fork and exec there is no place for that.
//!
//! ```text
//! confinement   what a program may use, and the command that becomes it
//! entrance      what the process under that name does
//! files         Landlock: which files may be read, written and run; no signal to a process outside
//! system_calls  seccomp: no other program, no other process, no network, no other server
//! loader        the program that Linux runs to load a program
//! ```
//!
//! Neither needs a privilege, and neither can be taken off again: not by the program, nor by what it starts. What the kernel
//! of this machine lacks is left out; [`confinement::hold`] says beforehand what it has.

pub mod confinement;
pub mod entrance;
mod files;
mod loader;
mod system_calls;
