//! How a stream of unknown length is cut into parts, so that it fits the provider's number of parts and
//! our memory.
//!
//! Parts begin small and their size doubles each twentieth of the allowed number, up to half of the memory
//! ceiling; as they grow, fewer are in flight. With the defaults (8 MiB parts, 256 MiB ceiling) 10,000 parts
//! hold 1.03 TiB and 1,000 parts 105 GiB. Where all parts must be equal (Cloudflare R2) they are as large
//! from the start as the ceiling allows for the wanted number in flight: 51 MiB, 498 GiB.

use crate::error::{Error, Result};

pub(super) const MIB: u64 = 1 << 20;
/// S3 accepts no smaller part but the last.
const SMALLEST: u64 = 5 * MIB;
/// S3 accepts no larger part.
const LARGEST: u64 = 5 << 30;
/// What every provider accepts as one object.
const LARGEST_OBJECT: u64 = 5 << 40;
/// The part size doubles each time this fraction of the parts is used.
const STEPS: u64 = 20;

/// What a provider allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProviderRules {
    /// The highest part number.
    pub parts: u64,
    /// All parts but the last have to be of one size.
    pub equal: bool,
}

impl ProviderRules {
    /// The rules of the provider behind this host.
    pub fn of(host: &str) -> ProviderRules {
        let is = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
        ProviderRules {
            parts: if is("scw.cloud") { 1_000 } else { 10_000 },
            equal: is("r2.cloudflarestorage.com"),
        }
    }
}

/// The sizes of all parts of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartPlan {
    rules: ProviderRules,
    first: u64,
    ceiling: u64,
    concurrency: u64,
}

impl PartPlan {
    /// A plan within `ceiling` bytes of buffers; `part_size` is the size of the first part, if it is given.
    pub fn new(
        rules: ProviderRules,
        part_size: Option<u64>,
        ceiling: u64,
        concurrency: usize,
    ) -> Result<PartPlan> {
        let concurrency = concurrency.max(1) as u64;
        let first = match part_size {
            Some(size) => size,
            None if rules.equal => (ceiling / (concurrency + 1)) / MIB * MIB,
            None => 8 * MIB,
        };
        if !(SMALLEST..=LARGEST).contains(&first) {
            return Err(Error::usage(format!(
                "a part_size of {first} bytes is outside of what S3 accepts, 5 MiB to 5 GiB"
            )));
        }
        if ceiling < 2 * first {
            return Err(Error::usage(format!(
                "a memory ceiling of {} MiB is too small for parts of {} MiB",
                ceiling / MIB,
                first.div_ceil(MIB)
            ))
            .hint("one part is filled while another is sent: allow twice the part size at least"));
        }
        Ok(PartPlan {
            rules,
            first,
            ceiling,
            concurrency,
        })
    }

    /// The size of part `number`, counted from 1; `None` where the provider allows no such part.
    pub fn size(&self, number: u64) -> Option<u64> {
        if number == 0 || number > self.rules.parts {
            return None;
        }
        if self.rules.equal {
            return Some(self.first);
        }
        let step = (number - 1) / (self.rules.parts / STEPS);
        // once it is past the largest it stays there, so the shift never matters beyond 2^20
        let grown = self.first.saturating_mul(1 << step.min(STEPS));
        Some(grown.min(self.largest()))
    }

    /// How many parts may be in flight while a buffer of `size` is being filled.
    pub fn in_flight(&self, size: u64) -> usize {
        let buffers = self.ceiling / size;
        buffers.saturating_sub(1).clamp(1, self.concurrency) as usize
    }

    /// The largest object that fits.
    pub fn limit(&self) -> u64 {
        let whole: u64 = (1..=self.rules.parts)
            .filter_map(|part| self.size(part))
            .sum();
        whole.min(LARGEST_OBJECT)
    }

    /// Half of the ceiling: one is filled while another is sent.
    fn largest(&self) -> u64 {
        (self.ceiling / 2).clamp(self.first, LARGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: ProviderRules = ProviderRules {
        parts: 10_000,
        equal: false,
    };

    fn plan(rules: ProviderRules) -> PartPlan {
        PartPlan::new(rules, None, 256 * MIB, 4).unwrap()
    }

    #[test]
    fn ten_thousand_parts_reach_the_documented_size_and_there_is_no_part_more() {
        let plan = plan(ANY);
        assert_eq!(plan.size(1), Some(8 * MIB));
        assert_eq!(plan.size(500), Some(8 * MIB));
        assert_eq!(plan.size(501), Some(16 * MIB));
        assert_eq!(plan.size(2_001), Some(128 * MIB));
        assert_eq!(plan.size(10_000), Some(128 * MIB));
        assert_eq!(plan.size(10_001), None);
        assert_eq!(plan.limit(), 1_084_000 * MIB);
        assert!(plan.limit() > 1 << 40);
    }

    #[test]
    fn a_thousand_parts_reach_a_tenth_of_it() {
        let plan = plan(ProviderRules {
            parts: 1_000,
            ..ANY
        });
        assert_eq!(plan.limit(), 108_400 * MIB);
        assert_eq!(plan.size(1_001), None);
    }

    #[test]
    fn equal_parts_are_equal_and_fill_the_ceiling() {
        let plan = plan(ProviderRules { equal: true, ..ANY });
        assert_eq!(plan.size(1), Some(51 * MIB));
        assert_eq!(plan.size(10_000), Some(51 * MIB));
        assert_eq!(plan.in_flight(51 * MIB), 4);
        assert_eq!(plan.limit(), 510_000 * MIB);
    }

    #[test]
    fn memory_stays_under_the_ceiling_for_every_part_of_every_plan() {
        for ceiling in [16, 40, 64, 256, 1024, 16 * 1024] {
            for concurrency in [1, 4, 32] {
                for parts in [1_000, 10_000] {
                    let rules = ProviderRules {
                        parts,
                        equal: false,
                    };
                    let plan = PartPlan::new(rules, None, ceiling * MIB, concurrency).unwrap();
                    let mut before = 0;
                    for number in 1..=parts {
                        let size = plan.size(number).unwrap();
                        let in_flight = plan.in_flight(size) as u64;
                        assert!((in_flight + 1) * size <= ceiling * MIB, "{plan:?} {number}");
                        assert!(size >= before && (1..=concurrency as u64).contains(&in_flight));
                        before = size;
                    }
                }
            }
        }
    }

    #[test]
    fn an_object_is_never_promised_past_what_providers_accept() {
        let plan = PartPlan::new(ANY, None, 64 << 30, 4).unwrap();
        assert_eq!(plan.limit(), LARGEST_OBJECT);
    }

    #[test]
    fn sizes_that_cannot_work_are_refused() {
        assert!(PartPlan::new(ANY, Some(4 * MIB), 256 * MIB, 4).is_err());
        assert!(PartPlan::new(ANY, Some(200 * MIB), 256 * MIB, 4).is_err());
        assert!(PartPlan::new(ANY, Some(6 << 30), 64 << 30, 4).is_err());
    }

    #[test]
    fn providers_are_told_by_their_host() {
        let r2 = ProviderRules::of("abc.r2.cloudflarestorage.com");
        assert!(r2.equal && r2.parts == 10_000);
        assert_eq!(ProviderRules::of("s3.fr-par.scw.cloud").parts, 1_000);
        assert_eq!(ProviderRules::of("s3.eu-central-1.amazonaws.com"), ANY);
        assert_eq!(ProviderRules::of("notscw.cloud"), ANY);
    }
}
