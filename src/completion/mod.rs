//! Completions for shells, made from the definition that `--help` is made from.
//!
//! What a value is follows from its name in that help: FILE and DIR are looked for on disk, NAME, BACKUP, EARLIER and LATER among the
//! configured databases, SHELL and LEVEL are those that we know; anything else is left to the user.

mod bash;
mod definition;
mod fish;
mod zsh;

use crate::cli::{Arguments, CompletionSubject};
use argh::ArgsInfo;

/// The completions of a shell; nothing for what is no shell.
pub fn script(subject: CompletionSubject) -> Option<String> {
    let program = Arguments::get_args_info();
    match subject {
        CompletionSubject::Bash => Some(bash::script(&program)),
        CompletionSubject::Zsh => Some(zsh::script(&program)),
        CompletionSubject::Fish => Some(fish::script(&program)),
        CompletionSubject::Databases => None,
    }
}
