//! What people read and type: sizes, ages, durations, moments, tables, words of a shell, the nearest of some names, and
//! text of others cut and escaped.

pub mod amount;
pub mod cut;
pub mod duration;
pub mod escape;
pub mod fill;
pub mod human;
pub mod nearest;
pub mod ours;
pub mod rfc3339;
pub mod shell;
pub mod table;
