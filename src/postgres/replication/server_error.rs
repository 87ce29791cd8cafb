//! What the server says of a failure, by its own code for it.

use super::message::BodyFields;
use crate::error::{Error, Kind, Result};
use crate::text::escape::printable;

/// What the server complains of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ServerError {
    /// Five characters, see PostgreSQL's Appendix A.
    pub sqlstate: String,
    /// `ERROR`, `FATAL`, `WARNING`, never translated.
    pub severity: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

impl ServerError {
    /// Reads the body of an ErrorResponse or a NoticeResponse.
    pub fn read(body: &[u8]) -> Result<ServerError> {
        let mut fields = BodyFields(body);
        let mut read = ServerError::default();
        loop {
            match fields.byte()? {
                0 => return Ok(read),
                b'C' => read.sqlstate = fields.text()?,
                b'V' => read.severity = fields.text()?,
                b'M' => read.message = fields.text()?,
                b'D' => read.detail = Some(fields.text()?),
                b'H' => read.hint = Some(fields.text()?),
                _ => drop(fields.text()?),
            }
        }
    }

    /// True where pages did not fit their checksums: everything was sent all the same.
    pub fn is_checksum_failure(&self) -> bool {
        self.sqlstate == "XX001"
    }

    /// The failure, with what to do about it where that is known.
    pub fn into_error(self) -> Error {
        let kind = match self.sqlstate.as_str() {
            // connections, shutdown, start-up, too many of them
            code if code.starts_with("08") || code.starts_with("57P") || code == "53300" => {
                Kind::Unavailable
            }
            _ => Kind::Failed,
        };
        let detail = self.detail.as_ref();
        let detail = detail.map_or(String::new(), |detail| format!(" ({detail})"));
        let text = printable(&format!("the server says: {}{detail}", self.message)).to_string();
        let error = Error::new(kind, text);
        match self.advice() {
            Some(advice) => error.hint(advice),
            None => match self.hint {
                Some(hint) => error.hint(printable(&hint).to_string()),
                None => error,
            },
        }
    }

    fn advice(&self) -> Option<&'static str> {
        Some(match self.sqlstate.as_str() {
            "28000" => {
                "pg_hba.conf on the server needs a line for replication, such as: hostssl replication backup 10.0.0.0/8 scram-sha-256; then reload it"
            }
            "28P01" => "check the password of the connection in the configuration",
            "42501" => "give the role the right to it: ALTER ROLE backup REPLICATION",
            "53300" => {
                "a backup takes two WAL senders: raise max_wal_senders on the server, or let fewer standbys and backups run at a time"
            }
            "53400" => {
                "a backup takes a replication slot: raise max_replication_slots on the server"
            }
            "57P01" | "57P02" => "the server stopped, or somebody ended the session; run it again",
            "57P03" => "the server is starting or stopping; run it again when it is up",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_by_its_code() {
        let body = b"SERREUR\0VERROR\0C28000\0Mno pg_hba.conf entry\0Dof host\0\0";
        let read = ServerError::read(body).unwrap();
        assert_eq!((&*read.severity, &*read.sqlstate), ("ERROR", "28000"));
        let error = read.into_error();
        assert_eq!(
            error.to_string(),
            "the server says: no pg_hba.conf entry (of host)"
        );
        assert!(error.first_hint().unwrap().contains("pg_hba.conf"));
        assert!(ServerError::read(b"Cxx").is_err());
    }
}
