//! What people read and type: sizes, ages, durations, words of a shell, the nearest of some names.

pub mod duration;
pub mod human;
pub mod nearest;
pub mod shell;
