//! The keys under `storage`. Those of each kind are read by the kind itself.

use super::types::StorageSettings;
use super::validate;
use crate::storage::kind::StorageKind;
use crate::storage::registry::KINDS;
use crate::yaml::cursor::Spot;
use crate::yaml::reader::KeyReader;

/// The keys of every storage, and for each kind the one that its own keys stand below.
pub(super) fn keys() -> Vec<&'static str> {
    let kinds = KINDS.iter().map(|kind| kind.word);
    ["name", "type"].into_iter().chain(kinds).collect()
}

impl KeyReader<'_> {
    pub(super) fn storage(&mut self, spot: &Spot) -> Option<StorageSettings> {
        let table = self.table(spot, &keys())?;
        let name = self.required_word(
            &table,
            "name",
            "such as name: local",
            validate::storage_name,
        );
        let words = KINDS.map(|kind| kind.word).join(" or ");
        let found = self.kind(&table, &words)?;
        let (meant, others): (Vec<StorageKind>, Vec<StorageKind>) =
            KINDS.into_iter().partition(|kind| kind.word == found);
        let Some(kind) = meant.first() else {
            self.unknown_kind(&table, &found, &words);
            return None;
        };
        for other in others {
            let place = format!("a storage of type {}", kind.word);
            self.foreign(&table, other.word, &place);
        }
        let spot = self.require(&table, kind.word, kind.example)?;
        let keys = (kind.read)(self, &spot)?;
        Some(StorageSettings { name: name?, keys })
    }
}
