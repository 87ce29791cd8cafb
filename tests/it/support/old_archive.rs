//! Archives of old versions of pg_dump, made from one of version 1.14: no such pg_dump runs here any more.
//!
//! ```text
//! 1.10  8.0 to 8.3   no section in an entry, no entry for each large object
//! 1.11  8.4          no entry for each large object
//! 1.12  9.0 to 10    no access method in an entry
//! ```
//!
//! Up to 10 all hold the schema public, up to 8.4 PL/pgSQL as well.

/// The bytes after `PGDMP`, major, minor and revision, and the format: as many as do not change.
const SIZES: usize = 11;

struct Reader<'a> {
    left: &'a [u8],
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> &[u8] {
        let (taken, left) = self.left.split_at(count);
        self.left = left;
        taken
    }

    fn integer(&mut self) -> i64 {
        let bytes: [u8; 5] = self.take(5).try_into().expect("five bytes");
        let magnitude = i64::from(u32::from_le_bytes(
            bytes[1..].try_into().expect("four bytes"),
        ));
        if bytes[0] == 0 { magnitude } else { -magnitude }
    }

    fn string(&mut self) -> Option<Vec<u8>> {
        let length = self.integer();
        let length = usize::try_from(length).ok()?;
        Some(self.take(length).to_vec())
    }
}

/// One entry of a table of contents.
#[derive(Clone, Default)]
struct OldEntry {
    id: i64,
    has_data: i64,
    oids: [Option<Vec<u8>>; 2],
    tag: String,
    kind: String,
    section: i64,
    /// Definition, drop statement, COPY statement, schema, tablespace.
    texts: [Option<Vec<u8>>; 5],
    owner: Option<Vec<u8>>,
    dependencies: Vec<Vec<u8>>,
    is_offset_known: bool,
}

fn integer(out: &mut Vec<u8>, value: i64) {
    out.push(u8::from(value < 0));
    let magnitude = u32::try_from(value.abs()).expect("it fits");
    out.extend(magnitude.to_le_bytes());
}

fn string(out: &mut Vec<u8>, text: Option<&[u8]>) {
    match text {
        None => integer(out, -1),
        Some(text) => {
            integer(out, i64::try_from(text.len()).expect("it fits"));
            out.extend(text);
        }
    }
}

/// `archive`, which is of version 1.14 and not compressed, as a pg_dump of `release` wrote it: `8.3.23`, `8.4.22` or `9.6.24`.
pub fn of_release(archive: &[u8], release: &str) -> Vec<u8> {
    let minor = match release {
        _ if release.starts_with("8.3") => 10,
        _ if release.starts_with("8.4") => 11,
        _ => 12,
    };
    assert_eq!(&archive[..7], b"PGDMP\x01\x0e", "it is of another version");
    let offset_size = usize::from(archive[9]);
    let mut out = archive[..SIZES].to_vec();
    out[6] = minor;
    let mut reader = Reader {
        left: &archive[SIZES..],
    };
    // the compression and seven parts of the time
    for _ in 0..8 {
        integer(&mut out, reader.integer());
    }
    string(&mut out, reader.string().as_deref());
    for _ in 0..2 {
        reader.string();
        string(&mut out, Some(release.as_bytes()));
    }
    let mut entries = entries(&mut reader, offset_size);
    if minor < 12 {
        entries.retain(|entry| entry.kind != "BLOB");
    }
    add_what_every_database_has(&mut entries, minor < 12);
    integer(&mut out, i64::try_from(entries.len()).expect("it fits"));
    for entry in &entries {
        write(&mut out, entry, minor, offset_size);
    }
    out.extend(reader.left);
    out
}

fn entries(reader: &mut Reader, offset_size: usize) -> Vec<OldEntry> {
    let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes.unwrap_or_default()).expect("text");
    let count = reader.integer();
    (0..count)
        .map(|_| {
            let mut entry = OldEntry {
                id: reader.integer(),
                has_data: reader.integer(),
                oids: [reader.string(), reader.string()],
                tag: text(reader.string()),
                kind: text(reader.string()),
                section: reader.integer(),
                texts: std::array::from_fn(|_| reader.string()),
                ..OldEntry::default()
            };
            let _access_method = reader.string();
            entry.owner = reader.string();
            let _with_oids = reader.string();
            while let Some(id) = reader.string() {
                entry.dependencies.push(id);
            }
            entry.is_offset_known = reader.take(1 + offset_size)[0] != 3;
            entry
        })
        .collect()
}

fn write(out: &mut Vec<u8>, entry: &OldEntry, minor: u8, offset_size: usize) {
    integer(out, entry.id);
    integer(out, entry.has_data);
    for oid in &entry.oids {
        string(out, oid.as_deref());
    }
    string(out, Some(entry.tag.as_bytes()));
    string(out, Some(entry.kind.as_bytes()));
    if minor >= 11 {
        integer(out, entry.section);
    }
    for text in &entry.texts {
        string(out, text.as_deref());
    }
    string(out, entry.owner.as_deref());
    string(out, Some(b"false"));
    for id in &entry.dependencies {
        string(out, Some(id));
    }
    string(out, None);
    // where the data lies has moved, so it is as in a pipe: not known
    out.push(if entry.is_offset_known { 1 } else { 3 });
    out.extend(vec![0; offset_size]);
}

/// The schema public with its comment and its grants, and PL/pgSQL.
fn add_what_every_database_has(entries: &mut Vec<OldEntry>, plpgsql: bool) {
    let mut id = entries.iter().map(|entry| entry.id).max().unwrap_or(0);
    let mut made = |kind: &str, tag: &str, create: &str, drop: &str, of: Option<i64>| {
        id += 1;
        let text = |text: &str| Some(text.as_bytes().to_vec());
        OldEntry {
            id,
            oids: [text("2615"), text("2200")],
            tag: tag.into(),
            kind: kind.into(),
            section: 2,
            texts: [text(create), text(drop), text(""), None, None],
            owner: text("postgres"),
            dependencies: of
                .map(|id| id.to_string().into_bytes())
                .into_iter()
                .collect(),
            ..OldEntry::default()
        }
    };
    let schema = made(
        "SCHEMA",
        "public",
        "CREATE SCHEMA public;\n",
        "DROP SCHEMA public;\n",
        None,
    );
    let of = Some(schema.id);
    let comment = "COMMENT ON SCHEMA public IS 'Standard public schema';\n";
    let comment = made("COMMENT", "SCHEMA public", comment, "", of);
    let grants = "REVOKE ALL ON SCHEMA public FROM PUBLIC;\nREVOKE ALL ON SCHEMA public FROM postgres;\n\
                  GRANT ALL ON SCHEMA public TO postgres;\nGRANT ALL ON SCHEMA public TO PUBLIC;\n";
    let grants = made("ACL", "public", grants, "", of);
    let language = "CREATE PROCEDURAL LANGUAGE plpgsql;\n";
    let language = made(
        "PROCEDURAL LANGUAGE",
        "plpgsql",
        language,
        "DROP PROCEDURAL LANGUAGE plpgsql;\n",
        None,
    );
    let settings = |entry: &OldEntry| {
        matches!(
            &*entry.kind,
            "ENCODING" | "STDSTRINGS" | "SEARCHPATH" | "DATABASE"
        )
    };
    let at = entries.iter().position(|entry| !settings(entry));
    let at = at.unwrap_or(entries.len());
    let languages = plpgsql.then_some(language);
    entries.splice(at..at, [schema, comment].into_iter().chain(languages));
    entries.push(grants);
}
