//! Checksums of PostgreSQL's data pages, see `storage/checksum_impl.h` of its sources.
//!
//! A page is 2048 words in 64 rows of 32. Each of the 32 columns is hashed by a variant of FNV-1a; the hashes are folded
//! together with the number of the block, so that a page in the wrong place is found as well.

/// The size of a page, unless PostgreSQL was built for another.
pub const PAGE: usize = 8192;
/// Pages in one file of a relation; larger ones have several.
const PAGES_A_FILE: u32 = 131_072;

const COLUMNS: usize = 32;
const PRIME: u32 = 16_777_619;
const OFFSETS: [u32; COLUMNS] = [
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
    0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
    0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
    0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756,
];

/// The checksum that a page should have as the block of this number.
pub fn checksum(page: &[u8; PAGE], block: u32) -> u16 {
    let mut sums = OFFSETS;
    for (row, words) in page.chunks_exact(4 * COLUMNS).enumerate() {
        for (column, word) in words.chunks_exact(4).enumerate() {
            let mut word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
            // the checksum itself counts as zero
            if row == 0 && column == 2 {
                word &= 0xffff_0000;
            }
            sums[column] = mixed(sums[column], word);
        }
    }
    // two rounds of zeros, for the last words to reach every bit
    for sum in &mut sums {
        *sum = mixed(mixed(*sum, 0), 0);
    }
    let folded = sums.iter().fold(0, |all, sum| all ^ sum) ^ block;
    (folded % 65_535 + 1) as u16
}

fn mixed(sum: u32, word: u32) -> u32 {
    let mixed = sum ^ word;
    mixed.wrapping_mul(PRIME) ^ (mixed >> 17)
}

/// Where the page of this number does not fit its checksum: the place in the WAL that it says it was written at. New pages have
/// none.
pub fn written_though_damaged(page: &[u8; PAGE], block: u32) -> Option<u64> {
    let upper = u16::from_le_bytes([page[14], page[15]]);
    if upper == 0 || u16::from_le_bytes([page[8], page[9]]) == checksum(page, block) {
        return None;
    }
    let half = |at: usize| {
        u64::from(u32::from_le_bytes([
            page[at],
            page[at + 1],
            page[at + 2],
            page[at + 3],
        ]))
    };
    Some(half(0) << 32 | half(4))
}

/// The number of the first page of the file `name`, relative to the data directory, where it consists of pages.
pub fn first_block(name: &str) -> Option<u32> {
    let parts: Vec<&str> = name.split('/').collect();
    let file = match parts.as_slice() {
        ["global", file] => file,
        ["base", database, file] if is_number(database) => file,
        ["pg_tblspc", oid, version, database, file]
            if is_number(oid) && version.starts_with("PG_") && is_number(database) =>
        {
            file
        }
        _ => return None,
    };
    let file = file.strip_prefix("INCREMENTAL.").unwrap_or(file);
    let (relation, segment) = match file.split_once('.') {
        Some((relation, segment)) => (relation, segment.parse::<u32>().ok()?),
        None => (file, 0),
    };
    let (number, fork) = match relation.split_once('_') {
        Some((number, fork)) => (number, fork),
        None => (relation, ""),
    };
    // temporary relations, t3_16384, are not in a backup
    let is_relation = is_number(number) && matches!(fork, "" | "fsm" | "vm" | "init");
    is_relation.then(|| segment.checked_mul(PAGES_A_FILE))?
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_pages_are_known_by_their_names() {
        for (name, block) in [
            ("base/5/1259", Some(0)),
            ("base/5/1259_fsm", Some(0)),
            ("base/5/16384.2", Some(262_144)),
            ("base/5/INCREMENTAL.16384.1", Some(131_072)),
            ("global/1262", Some(0)),
            ("pg_tblspc/16385/PG_17_202406281/5/16390_vm", Some(0)),
            ("global/pg_control", None),
            ("base/5/pg_filenode.map", None),
            ("base/5/PG_VERSION", None),
            ("base/5/16384_x", None),
            ("pg_xact/0000", None),
            ("base/5/99999.99999999", None),
        ] {
            assert_eq!(first_block(name), block, "{name}");
        }
    }

    #[test]
    fn a_page_belongs_to_its_place() {
        let mut page = [0u8; PAGE];
        page[14] = 1;
        page[100] = 9;
        let sum = checksum(&page, 5);
        page[8..10].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(written_though_damaged(&page, 5), None);
        assert_eq!(written_though_damaged(&page, 6), Some(0));
        page[5000] ^= 1;
        assert_eq!(written_though_damaged(&page, 5), Some(0));
        page[..8].copy_from_slice(&[1, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(written_though_damaged(&page, 5), Some(0x1_0000_0002));
        assert_eq!(written_though_damaged(&[0; PAGE], 5), None);
    }
}
