//! A login whose sessions act as another role, by a setting: `ALTER DATABASE … SET role`, `ALTER ROLE … SET role`.

use super::quoting::identifier;
use crate::cause::FailureCause;
use crate::error::Error;

/// Who logs in where, and whom the sessions act as there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActingRole {
    login: String,
    role: String,
    database: String,
}

impl ActingRole {
    /// `None` where they act as who logs in.
    pub fn of(login: &str, role: &str, database: &str) -> Option<ActingRole> {
        (login != role).then(|| ActingRole {
            login: login.to_string(),
            role: role.to_string(),
            database: database.to_string(),
        })
    }

    /// What makes them act so, and how to take it back.
    pub fn way_back(&self) -> String {
        let [login, role, database] =
            [&self.login, &self.role, &self.database].map(|name| identifier(name));
        format!(
            "a setting of the database or of the login makes the sessions of {login} act as {role}: take it back by ALTER DATABASE \
             {database} RESET role, or ALTER ROLE {login} RESET role"
        )
    }

    /// `error` with this as the first step, where it is about what the role may not read.
    pub fn beside(&self, error: Error) -> Error {
        use FailureCause::*;
        match error.cause() {
            Some(ObjectDenied | PasswordsForbidden | LargeObjectDenied | RowSecurity) => {
                let hint = error.first_hint().unwrap_or_default().to_string();
                error.hint(self.way_back()).also_hint(format!("or {hint}"))
            }
            _ => error,
        }
    }
}
