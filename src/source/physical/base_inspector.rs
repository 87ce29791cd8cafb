//! PLACEHOLDER until the inspector is merged.
use crate::error::Result;
use crate::format::inspect::StreamInspector;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageFailure {
    pub file: String,
    pub block: u32,
}
pub struct BaseFacts {
    bytes: u64,
}
pub enum BasePart {
    Base,
    Tablespace(u32),
    Manifest,
}
impl BaseFacts {
    pub fn new(_checksums: bool, _start_lsn: u64) -> BaseFacts {
        BaseFacts { bytes: 0 }
    }
    pub fn compare(&self) -> Result<()> {
        Ok(())
    }
    pub fn database_bytes(&self, _oid: u32) -> u64 {
        0
    }
    pub fn file_count(&self) -> u64 {
        0
    }
    pub fn suspicions(&self) -> Vec<String> {
        Vec::new()
    }
    pub fn page_failures(&self) -> &[PageFailure] {
        &[]
    }
}
pub struct BaseInspector<'a> {
    facts: &'a mut BaseFacts,
}
impl<'a> BaseInspector<'a> {
    pub fn of(facts: &'a mut BaseFacts, _part: BasePart) -> BaseInspector<'a> {
        BaseInspector { facts }
    }
}
impl StreamInspector for BaseInspector<'_> {
    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        self.facts.bytes += bytes.len() as u64;
        Ok(())
    }
    fn end(&mut self) -> Result<()> {
        Ok(())
    }
}
