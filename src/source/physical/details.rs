//! What the manifest of a base backup says of the inside of its cluster, sealed where sealing is configured.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What only those who can open a backup may read of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterDetails {
    /// Its databases and how large their files are, by OID.
    pub databases: Vec<DatabaseFacts>,
    /// Its tablespaces but the two that lie in the data directory.
    pub tablespaces: Vec<TablespaceFacts>,
    /// The role that initdb made.
    pub superuser: String,
    /// How many files it has.
    pub files: u64,
    /// Those settings of the server that a recovery refuses to be without, by their name.
    pub settings: BTreeMap<String, String>,
    /// Configuration files that lie outside of the data directory, as far as they could be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub configuration: Vec<ConfigurationFile>,
    /// The pages that were damaged on the server already, the first hundred of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_damage: Vec<DamagedPage>,
    /// Why it is a full backup although an incremental one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_because: Option<String>,
}

/// One database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseFacts {
    pub oid: u32,
    pub name: String,
    /// The size of its files in all tablespaces, also where an incremental backup holds only what changed of them.
    pub bytes: u64,
}

/// One tablespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablespaceFacts {
    pub oid: u32,
    /// Where it lies on the server.
    pub path: String,
}

/// A configuration file of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationFile {
    /// The setting that names it: `config_file`, `hba_file`, `ident_file`; `include` where another file includes it.
    pub setting: String,
    /// Where it lies on the server.
    pub path: String,
    /// What is in it; absent where the role may not read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A page with a wrong checksum.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DamagedPage {
    /// The file, relative to the data directory.
    pub file: String,
    /// The page's number in the relation.
    pub block: u32,
}
