//! How many locks a server has room for.
//!
//! More than `max_locks_per_transaction` × `max_connections`: background processes count as well, and so does what other tables
//! in shared memory leave over. How much that is depends on the server, so two numbers matter: what surely fits, and what never
//! does.

use crate::error::Result;
use crate::postgres::client::Client;

/// Bytes of shared memory for a lock that one session holds: LOCK and PROCLOCK of lock.h, each with the header of its place in a
/// hash table.
const A_LOCK: u64 = 248;
/// What a server rounds its shared memory up to where it gets huge pages.
const HUGE_PAGE: u64 = 2 << 20;
/// Locks that fit into what else of its shared memory a server leaves over: up to 1000 were measured beyond 8/5 of its table.
const LEFT_OVER: u64 = 1500;
/// The first version that says whether it got huge pages, and the first that says how large its shared memory is.
const TELLS_HUGE_PAGES: u32 = 17;
const TELLS_SHARED_MEMORY: u32 = 13;

const SETTINGS: &str = "
    SELECT current_setting('max_locks_per_transaction'),
           sum(setting::bigint) FILTER (WHERE name IN ('max_connections', 'max_prepared_transactions')),
           sum(setting::bigint) FILTER (WHERE name IN ('max_connections', 'max_prepared_transactions', 'max_worker_processes',
             'max_wal_senders')) + 2 + coalesce(max(setting) FILTER (WHERE name = 'autovacuum_worker_slots'),
             max(setting) FILTER (WHERE name = 'autovacuum_max_workers'))::bigint,
           coalesce(max(setting) FILTER (WHERE name = 'huge_pages_status'), max(setting) FILTER (WHERE name = 'huge_pages'))
    FROM pg_settings WHERE name IN ('max_connections', 'max_prepared_transactions', 'autovacuum_max_workers',
      'autovacuum_worker_slots', 'max_worker_processes', 'max_wal_senders', 'huge_pages', 'huge_pages_status')";
/// Whether the role may see this. It counts in whole huge pages where the server got them.
const MAY_SEE_MEMORY: &str = "SELECT has_table_privilege('pg_shmem_allocations', 'SELECT') \
     AND has_function_privilege('pg_get_shmem_allocations()', 'EXECUTE')";
const MEMORY: &str = "SELECT sum(size) FROM pg_shmem_allocations";

/// How many locks a server has room for.
#[derive(Debug, Clone, Copy)]
pub struct LockTable {
    /// Its `max_locks_per_transaction`.
    pub setting: u64,
    /// Sessions and prepared transactions, each of which has room for so many.
    sessions: u64,
    /// It never holds more locks than these, whatever it has to spare.
    pub most: u64,
}

impl LockTable {
    /// Asks the server of `client`, which is of that major version.
    pub fn ask(client: &Client, server: Option<u32>) -> Result<LockTable> {
        let row = client.query(SETTINGS)?.into_iter().next();
        let [setting, sessions, processes, huge_pages] =
            <[String; 4]>::try_from(row.unwrap_or_default()).unwrap_or_default();
        let number = |text: &str| text.parse().unwrap_or(0);
        let (setting, sessions) = (number(&setting), number(&sessions));
        let spare = match has_huge_pages(&huge_pages, client, server)? {
            true => HUGE_PAGE / A_LOCK,
            false => 0,
        };
        Ok(LockTable {
            setting,
            sessions,
            most: setting * number(&processes) * 8 / 5 + LEFT_OVER + spare,
        })
    }

    /// How many locks the manual of PostgreSQL promises room for.
    pub fn promised(&self) -> u64 {
        self.setting * self.sessions
    }

    /// True where there is room for twice as many locks: what is counted is the least that it takes.
    pub fn surely_takes(&self, locks: u64) -> bool {
        2 * locks <= self.promised()
    }

    /// True where there is no room for so many locks, whatever the server has to spare.
    pub fn never_takes(&self, locks: u64) -> bool {
        self.setting > 0 && locks > self.most
    }

    /// The `max_locks_per_transaction` with which so many locks fit, and as many again.
    pub fn setting_for(&self, locks: u64) -> u64 {
        let each = (2 * locks).div_ceil(self.sessions.max(1));
        each.next_multiple_of(64)
    }
}

/// Whether the server may have got huge pages: what it rounded its shared memory up to is room, too.
fn has_huge_pages(setting: &str, client: &Client, server: Option<u32>) -> Result<bool> {
    let server = server.unwrap_or(0);
    if setting == "off" || setting == "on" || server >= TELLS_HUGE_PAGES {
        return Ok(setting != "off");
    }
    let first = |sql: &str| -> Result<String> {
        let row = client.query(sql)?.into_iter().flatten().next();
        Ok(row.unwrap_or_default())
    };
    if server < TELLS_SHARED_MEMORY || first(MAY_SEE_MEMORY)? != "t" {
        return Ok(true);
    }
    let bytes: u64 = first(MEMORY)?.parse().unwrap_or(0);
    Ok(bytes.is_multiple_of(HUGE_PAGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What servers of 14, 17 and 18 were measured to take in one session, by how they were set.
    #[test]
    fn what_a_server_was_seen_to_take_is_never_refused() {
        for (setting, processes, taken) in [
            (64, 123, 12_832),
            (64, 123, 13_008),
            (512, 273, 220_608),
            (64, 136, 14_912),
            (36, 136, 8_832),
            (10, 56, 1_427),
        ] {
            let table = LockTable {
                setting,
                sessions: 100,
                most: setting * processes * 8 / 5 + LEFT_OVER,
            };
            assert!(!table.never_takes(taken), "{table:?}");
            assert!(table.never_takes(taken + 2000 + taken / 20), "{table:?}");
            assert!(table.surely_takes(setting * 50));
            assert!(!table.surely_takes(taken));
            assert!(table.setting_for(taken) * 100 >= 2 * taken);
        }
    }
}
