//! Writing an object: what fits into one part goes up by one PUT at the commit, anything larger as a
//! multipart upload with parts that are sent while the next ones are filled.

use super::client::S3Client;
use super::commit::{Invisible, UploadTarget, afterwards};
use super::kept::SentObject;
use super::multipart::Multipart;
use super::parts::PartPlan;
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::storage::Upload;
use rusty_s3::Method;
use std::io::{self, Write};
use std::sync::Arc;

/// An object that is being written.
pub(super) struct S3Upload {
    target: UploadTarget,
    plan: PartPlan,
    cancel: Cancel,
    buffer: Vec<u8>,
    multipart: Option<Multipart>,
    /// Bytes were lost, so there is nothing left to commit.
    failed: bool,
}

impl S3Upload {
    pub fn new(target: UploadTarget, plan: PartPlan, cancel: &Cancel) -> S3Upload {
        S3Upload {
            target,
            plan,
            cancel: cancel.clone(),
            buffer: Vec::new(),
            multipart: None,
            failed: false,
        }
    }

    fn fill(&mut self, bytes: &[u8]) -> Result<usize> {
        self.cancel.check()?;
        if self.buffer.len() == self.part_size()? {
            self.send_part()?;
        }
        let room = self.part_size()? - self.buffer.len();
        let count = room.min(bytes.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    /// The size of the part that is being filled.
    fn part_size(&self) -> Result<usize> {
        let number = self.multipart.as_ref().map_or(1, Multipart::next_number);
        self.plan
            .size(number)
            .map(|size| size as usize)
            .ok_or_else(|| {
                Error::failed(format!(
                    "cannot write {}: it is larger than the {} GiB that its parts can hold",
                    self.target.shown,
                    self.plan.limit() >> 30
                ))
                .hint("raise part_size and memory_ceiling of the storage, or leave tables out of the backup")
            })
    }

    /// Hands the full buffer to a thread that sends it, and takes an empty one.
    fn send_part(&mut self) -> Result<()> {
        if self.multipart.is_none() {
            self.multipart = Some(Multipart::start(&self.target, &self.cancel)?);
        }
        if let Some(multipart) = &mut self.multipart {
            let part = std::mem::take(&mut self.buffer);
            multipart.send(part)?;
        }
        // the next part may be larger, and the buffers of both have to fit the ceiling
        let size = self.part_size()?;
        if let Some(multipart) = &mut self.multipart {
            let in_flight = self.plan.in_flight(size as u64);
            multipart.wait_until(in_flight, &self.cancel)?;
            self.buffer = multipart.empty_buffer(size);
        }
        Ok(())
    }
}

impl S3Upload {
    /// Writes what fits into one request.
    fn put(&mut self) -> Result<()> {
        let mut target = self.target.clone();
        // of its own, so that a request that was given up can be kept from arriving later
        target.client = S3Client::new(Arc::clone(&target.client.shared));
        let body = std::mem::take(&mut self.buffer);
        let put = target.making(Method::Put, "write").body(body);
        let sent = SentObject::whole(&put.body, put.digest());
        match target.make_visible(&sent, put, &self.cancel) {
            Ok(()) => Ok(()),
            Err(Invisible::Sure(error)) => Err(error),
            Err(Invisible::Unsure(error)) => {
                target.client.shut_down();
                self.target.settle(&sent, error, &afterwards()?)
            }
        }
    }
}

impl Write for S3Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let filled = self.fill(bytes);
        self.failed |= filled.is_err();
        Ok(filled?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for S3Upload {
    fn commit(mut self: Box<Self>) -> Result<()> {
        if self.failed {
            return Err(Error::failed(format!(
                "cannot write {}: a part of it was lost",
                self.target.shown
            )));
        }
        let Some(mut multipart) = self.multipart.take() else {
            return self.put();
        };
        // dropped on failure, it aborts
        if !self.buffer.is_empty() {
            multipart.send(std::mem::take(&mut self.buffer))?;
        }
        multipart.wait_until(0, &self.cancel)?;
        multipart.complete(&self.cancel)
    }
}
