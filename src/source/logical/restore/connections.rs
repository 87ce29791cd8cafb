//! Whether a restore over several connections gets so many.

use super::prepare::PreparedRestore;
use crate::error::{Error, Result};
use crate::postgres::client::Client;
use crate::postgres::quoting::{identifier, literal};

/// The limits that hold for the login, which are none for a superuser: what each is of, its name, and how many there may be.
/// That of the database is known by name, for one that is yet to be made has none until it is restored.
const LIMITS: &str = "
    SELECT what, name, most FROM (
        SELECT 'role', rolname::text, rolconnlimit FROM pg_roles WHERE rolname = session_user
        UNION ALL SELECT 'database', datname, datconnlimit FROM pg_database WHERE datname = {database}
        UNION ALL SELECT 'server', '', current_setting('max_connections')::int
            - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true), '0')::int
    ) limits (what, name, most)
    WHERE most >= 0 AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = session_user)
    ORDER BY most";

impl PreparedRestore<'_> {
    /// Refuses more connections at a time than the login may have. Which of them others have taken is not looked at.
    pub(super) fn too_few_connections(&self) -> Result<Option<Error>> {
        let reachable = self.reachable();
        match self.facts.request.jobs {
            Some(jobs) if reachable.is_available() => {
                let database = self.facts.request.session.database();
                Ok(lowest(reachable, database)?.and_then(|limit| limit.refusal(jobs)))
            }
            _ => Ok(None),
        }
    }
}

/// A limit of connections.
struct Limit {
    what: String,
    name: String,
    most: u32,
}

/// The lowest of those that hold for the login of `client`.
fn lowest(client: &Client, database: &str) -> Result<Option<Limit>> {
    let question = LIMITS.replace("{database}", &literal(database));
    let rows = client.query(&question)?.into_iter();
    let mut limits = rows.filter_map(|row| {
        let [what, name, most] = <[String; 3]>::try_from(row).ok()?;
        let most = most.parse().ok()?;
        Some(Limit { what, name, most })
    });
    Ok(limits.next())
}

impl Limit {
    fn refusal(&self, jobs: u32) -> Option<Error> {
        // pg_restore has one a job, and we look at who waits for whom through another
        let taken = jobs.saturating_add(1);
        if taken <= self.most {
            return None;
        }
        let name = identifier(&self.name);
        let (whose, raise) = match &*self.what {
            "role" => (
                format!("the role {}", self.name),
                format!("ALTER ROLE {name} CONNECTION LIMIT {taken}"),
            ),
            "database" => (
                format!("the database {}", self.name),
                format!("ALTER DATABASE {name} CONNECTION LIMIT {taken}"),
            ),
            _ => (
                "the server".to_string(),
                "set a larger max_connections".to_string(),
            ),
        };
        let fewer = match self.most {
            0..3 => "without --jobs".to_string(),
            most => format!("with --jobs {}", most - 1),
        };
        Some(
            Error::failed(format!(
                "--jobs {jobs} takes {taken} connections at a time, and {whose} lets the login have {}",
                self.most
            ))
            .hint(format!("restore {fewer}, or let an administrator {raise}")),
        )
    }
}
