//! What the manifest beside a backup claims: read, held against the backup's name, and opened where it is sealed.

use crate::error::{Error, Kind, Result};
use crate::format::seal;
use crate::format::seal::{Expect, Keys};
use crate::repository::manifest::{
    Detail, Manifest, ObjectsPart, SealedDetails, SealedTables, SourcePart,
};
use crate::repository::names::BackupId;
use base64ct::{Base64, Encoding};

/// What follows the label of a backup in that of its sealed list of tables.
const TABLES_LABEL: &str = "#tables";

/// Seals `tables`, as what the manifest of `id` says of the inside of the dump.
pub fn seal_tables(tables: &SealedTables, keys: &Keys, id: &BackupId) -> Result<String> {
    let plain = serde_json::to_vec(tables)
        .map_err(|error| Error::failed("cannot write the list of tables").because(error))?;
    let sealed = seal::seal_bytes(&plain, keys, &format!("{id}{TABLES_LABEL}"))?;
    Ok(Base64::encode_string(&sealed))
}

/// What follows the label of a backup in that of the sealed details of another source than a dump.
const DETAILS_LABEL: &str = "#details";

/// Seals `details` of the backup `id` together with its plain `part`, which holds the result from then on.
pub fn seal_details(
    part: &mut ObjectsPart,
    details: serde_json::Value,
    keys: &Keys,
    id: &BackupId,
) -> Result<()> {
    let sealed = SealedDetails {
        kind: part.kind,
        objects: part.objects.clone(),
        parent: part.parent.clone(),
        cluster: part.cluster.clone(),
        details,
    };
    let plain = serde_json::to_vec(&sealed)
        .map_err(|error| Error::failed("cannot write the details of a backup").because(error))?;
    let container = seal::seal_bytes(&plain, keys, &format!("{id}{DETAILS_LABEL}"))?;
    part.details_sealed = Some(Base64::encode_string(&container));
    Ok(())
}

/// The details that are sealed in `part` of the backup `id`; damaged where the plain part says something else.
pub fn open_details(
    part: &ObjectsPart,
    keys: &dyn Fn() -> Result<Keys>,
    id: &BackupId,
) -> Result<Option<serde_json::Value>> {
    let Some(sealed) = &part.details_sealed else {
        return Ok(part.details.clone());
    };
    let damaged = |what: &str| Error::damaged(format!("the manifest of {id} {what}"));
    let container =
        Base64::decode_vec(sealed).map_err(|_| damaged("has sealed details that are no base64"))?;
    let label = format!("{id}{DETAILS_LABEL}");
    let plain = seal::open_bytes(&container, &keys()?, Expect::Label(&label))?;
    let sealed: SealedDetails = serde_json::from_slice(&plain)
        .map_err(|error| damaged("has sealed details that cannot be read").because(error))?;
    let same = (sealed.kind, &sealed.objects) == (part.kind, &part.objects)
        && (&sealed.parent, &sealed.cluster) == (&part.parent, &part.cluster);
    match same {
        true => Ok(Some(sealed.details)),
        false => Err(damaged(
            "says something else in the clear than what is sealed in it",
        )),
    }
}

/// What `manifest` says of the inside of the dump of `id`, where it says anything. `keys` is asked for only if that is
/// sealed; what was sealed has to describe the same archive as the plain fields do.
pub fn detail(
    manifest: Manifest,
    id: &BackupId,
    keys: &dyn Fn() -> Result<Keys>,
) -> Result<Option<Detail>> {
    let SourcePart::Dump(part) = manifest.part else {
        return Ok(None);
    };
    let Some(sealed) = &part.tables_sealed else {
        let contents = part.contents;
        return Ok(part.tables.map(|tables| Detail { tables, contents }));
    };
    let damaged = |what: &str| Error::damaged(format!("the manifest of {id} {what}"));
    let container =
        Base64::decode_vec(sealed).map_err(|_| damaged("has sealed details that are no base64"))?;
    let label = format!("{id}{TABLES_LABEL}");
    let plain = seal::open_bytes(&container, &keys()?, Expect::Label(&label)).map_err(|error| {
        // sealed for another backup: nobody means that here
        let kind = match error.kind() {
            Kind::Refused => Kind::Damaged,
            kind => kind,
        };
        error.with_kind(kind).doing(format!(
            "cannot open the sealed details of the manifest of {id}"
        ))
    })?;
    let sealed: SealedTables = serde_json::from_slice(&plain)
        .map_err(|error| damaged("has sealed details that cannot be read").because(error))?;
    if sealed.archive != part.archive {
        return Err(damaged(
            "says something else about the archive than what is sealed in it",
        ));
    }
    Ok(Some(Detail {
        tables: sealed.tables,
        contents: sealed.contents,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::seal::Derivations;
    use crate::repository::manifest::StoredObject;
    use crate::repository::source_kind::SourceKind;
    use crate::secret::Secret;

    #[test]
    fn sealed_details_are_bound_to_the_plain_part_and_to_their_backup() {
        let keys = Keys::new(vec![Secret::new("pw")], Derivations::new()).unwrap();
        let id = BackupId::parse("main/20261125_010000.000000000Z").unwrap();
        let mut part = ObjectsPart {
            kind: SourceKind::FullCluster,
            objects: vec![StoredObject {
                key: "main/a".into(),
                bytes: 5,
                sha256: "00".into(),
                plain_bytes: 9,
            }],
            parent: None,
            cluster: None,
            details: None,
            details_sealed: None,
        };
        assert_eq!(
            open_details(&part, &|| Ok(keys.clone()), &id).unwrap(),
            None
        );
        let details = serde_json::json!({ "tablespaces": ["/srv/fast"] });
        seal_details(&mut part, details.clone(), &keys, &id).unwrap();
        assert_eq!(
            open_details(&part, &|| Ok(keys.clone()), &id).unwrap(),
            Some(details)
        );
        let other = BackupId::parse("main/20261126_010000.000000000Z").unwrap();
        assert!(open_details(&part, &|| Ok(keys.clone()), &other).is_err());
        part.objects[0].bytes = 6;
        let error = open_details(&part, &|| Ok(keys.clone()), &id).unwrap_err();
        assert_eq!(error.kind(), Kind::Damaged);
    }
}
