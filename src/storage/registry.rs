//! The kinds of storage there are: each is a folder here, and a line in [`KINDS`].

use super::kind::StorageKind;
use super::{local, s3};

/// All kinds, in the order in which they are told.
pub(crate) const KINDS: [StorageKind; 2] = [local::KIND, s3::KIND];
