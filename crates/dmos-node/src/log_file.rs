//! The log on disk: a sequence of commit frames, each of which becomes durable as a whole.
//!
//! | bytes | content |
//! |---|---|
//! | 4 | length of the body |
//! | 4 | CRC-32 of the rest of the header and of the length |
//! | 8 | number of the frame, one higher than that of the frame before |
//! | 4 | number of records in the body |
//! | 4 | CRC-32 of the body with its padding |
//! | length | the records |
//! | 0 to 7 | zeroes, so that the next frame starts at a multiple of 8 |
//!
//! The header has a checksum of its own, so that a damaged length is not mistaken for a short log. A damaged
//! frame is the end of the log only if no later frame follows it: then its commit was interrupted, and nothing
//! that depends on it has left the node. Otherwise durable records are lost, which is an error. Zeroes after
//! the last frame are unused space.
//!
//! Zeroes in place of complete frames at the end cannot be told from unused space.

use std::ops::Range;

use crate::codec::CodecError;
use crate::log::LogRecord;

/// Size of a frame's header.
const HEADER: usize = 24;

/// Frames start at multiples of this.
const ALIGNMENT: usize = 8;

/// Maximum length of a frame's body.
const BODY_MAX: usize = 64 << 20;

/// The content of a log file.
#[derive(Clone, PartialEq, Debug)]
pub struct LogFile {
    /// All records, in order.
    pub records: Vec<LogRecord>,
    /// Number of the next frame.
    pub next_frame: u64,
    /// The end of the file.
    pub end: LogEnd,
}

/// End of a log file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogEnd {
    /// The last frame is complete.
    Complete,
    /// A damaged frame starts at this offset and is the last one: its commit was interrupted.
    Torn(usize),
}

/// Appends a frame with the records of one commit to `bytes`, whose length is a multiple of 8.
///
/// # Panics
/// If the records take more than 64 MiB.
pub fn write_frame(number: u64, records: &[LogRecord], bytes: &mut Vec<u8>) {
    debug_assert!(bytes.len().is_multiple_of(ALIGNMENT), "frames are aligned");
    let start = bytes.len();
    bytes.resize(start + HEADER, 0);
    for record in records {
        let body = postcard::to_stdvec(record).expect("every record can be written to memory");
        bytes.extend_from_slice(&body);
    }
    let length = bytes.len() - start - HEADER;
    assert!(length <= BODY_MAX, "a commit of {length} bytes");
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    let body_crc = crc32fast::hash(&bytes[start + HEADER..]);
    let header = Header { length: length as u32, number, count: records.len() as u32, body_crc };
    bytes[start..start + HEADER].copy_from_slice(&header.to_bytes());
}

/// Reads a log file from its first frame.
///
/// # Errors
/// [`CodecError::CorruptLog`] if a frame is damaged that is not the last, or frames are missing.
pub fn read_log(bytes: &[u8]) -> Result<LogFile, CodecError> {
    let mut log = LogFile { records: Vec::new(), next_frame: 0, end: LogEnd::Complete };
    let (mut at, mut is_first) = (0, true);
    while !is_unused(&bytes[at.min(bytes.len())..]) {
        match read_frame(&bytes[at..]) {
            Some(frame) if is_first || frame.number == log.next_frame => {
                let records = frame.records(&bytes[at..]).ok_or(CodecError::CorruptLog { at })?;
                log.records.extend(records);
                (log.next_frame, is_first) = (frame.number + 1, false);
                at += frame.end;
            }
            Some(_) => return Err(CodecError::CorruptLog { at }),
            None if has_frame_after(bytes, at, log.next_frame) => return Err(CodecError::CorruptLog { at }),
            None => {
                log.end = LogEnd::Torn(at);
                break;
            }
        }
    }
    Ok(log)
}

/// The header of a frame.
struct Header {
    length: u32,
    number: u64,
    count: u32,
    body_crc: u32,
}

impl Header {
    fn to_bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.count.to_le_bytes());
        bytes[20..].copy_from_slice(&self.body_crc.to_le_bytes());
        let crc = Self::crc(&bytes);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Returns the header at the start of `bytes`, if it is undamaged.
    fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER] = bytes.first_chunk()?;
        let number_at = |at| bytes[at..].first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        let header = Self {
            length: number_at(0)?,
            number: bytes[8..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes))?,
            count: number_at(16)?,
            body_crc: number_at(20)?,
        };
        (number_at(4)? == Self::crc(bytes) && header.length as usize <= BODY_MAX).then_some(header)
    }

    fn crc(bytes: &[u8; HEADER]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        // A header of zeroes must not be valid.
        hasher.update(b"dmos");
        hasher.update(&bytes[..4]);
        hasher.update(&bytes[8..]);
        hasher.finalize()
    }
}

/// An undamaged frame.
struct Frame {
    number: u64,
    count: u32,
    body: Range<usize>,
    /// End of the frame with its padding.
    end: usize,
}

impl Frame {
    /// Decodes the records. Returns `None` if the body, although undamaged, does not consist of them.
    fn records(&self, bytes: &[u8]) -> Option<Vec<LogRecord>> {
        let mut body = &bytes[self.body.clone()];
        let mut records = Vec::new();
        for _ in 0..self.count {
            let (record, rest) = postcard::take_from_bytes(body).ok()?;
            records.push(record);
            body = rest;
        }
        body.is_empty().then_some(records)
    }
}

/// Returns the frame at the start of `bytes`, if it is complete and undamaged.
fn read_frame(bytes: &[u8]) -> Option<Frame> {
    let Header { length, number, count, body_crc } = Header::read(bytes)?;
    let body = HEADER..HEADER + length as usize;
    let end = body.end.next_multiple_of(ALIGNMENT);
    (crc32fast::hash(bytes.get(HEADER..end)?) == body_crc).then_some(Frame { number, count, body, end })
}

/// Returns whether the header of a frame with at least this number follows the frame at this offset.
fn has_frame_after(bytes: &[u8], at: usize, number: u64) -> bool {
    let offsets = (at + ALIGNMENT..bytes.len()).step_by(ALIGNMENT);
    offsets.filter_map(|at| Header::read(&bytes[at..])).any(|header| header.number >= number)
}

/// Returns whether the rest of a file is unused.
fn is_unused(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

#[cfg(test)]
mod tests {
    use dmos_core::{BatchId, NodeId, RequestId, Requirement};

    use super::*;
    use crate::log::LogState;
    use crate::node_config::Command;

    /// Size of a page that a disk may return as zeroes.
    const PAGE: usize = 32;

    fn commits() -> Vec<Vec<LogRecord>> {
        let batch = |serial| BatchId { producer: NodeId::new(3), serial };
        let requires = Requirement { item: dmos_core::ItemId::new(2), quantity: 4 };
        vec![
            vec![LogRecord::Compacted(Box::new(LogState { made: 5, ..LogState::default() }))],
            vec![
                LogRecord::Consumed(batch(4)),
                LogRecord::Consumed(batch(70_000)),
                LogRecord::Made { first: batch(8), count: 2, inputs: 2 },
            ],
            vec![
                LogRecord::Committed {
                    batch: batch(8),
                    to: NodeId::new(9),
                    request: RequestId { incarnation: 1, number: 300 },
                },
                LogRecord::Commanded(Command::Recipe(Box::new([requires]))),
            ],
            vec![LogRecord::Election(Box::new([1; 60]))],
        ]
    }

    /// Returns a log file, and the offset at which each of its frames starts.
    fn file() -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        for (number, records) in (7..).zip(commits()) {
            starts.push(bytes.len());
            write_frame(number, &records, &mut bytes);
        }
        (bytes, starts)
    }

    /// Returns the result of reading the first frames of the file, and nothing after them.
    fn first(frames: usize, end: LogEnd) -> Result<LogFile, CodecError> {
        let next_frame = if frames == 0 { 0 } else { 7 + frames as u64 };
        Ok(LogFile { records: commits()[..frames].concat(), next_frame, end })
    }

    #[test]
    fn a_log_is_read_as_it_was_written() {
        let (mut bytes, starts) = file();
        assert_eq!(read_log(&bytes), first(starts.len(), LogEnd::Complete));
        assert_eq!(read_log(&[]), first(0, LogEnd::Complete));
        bytes.resize(bytes.len() + 4_096, 0);
        assert_eq!(read_log(&bytes), first(starts.len(), LogEnd::Complete), "unused space is not damage");
    }

    #[test]
    fn a_file_cut_at_any_byte_has_the_frames_before_the_cut() {
        let (bytes, starts) = file();
        for cut in 0..bytes.len() {
            let whole = starts.iter().filter(|&&start| start <= cut).count() - 1;
            let start = starts[whole];
            let end = if cut == start { LogEnd::Complete } else { LogEnd::Torn(start) };
            // The first bytes of a length are not distinguishable from unused space if they are zero.
            let end = if is_unused(&bytes[start..cut]) { LogEnd::Complete } else { end };
            assert_eq!(read_log(&bytes[..cut]), first(whole, end), "cut at {cut}");
        }
    }

    #[test]
    fn a_flipped_bit_is_an_error_unless_it_is_in_the_last_frame() {
        let (bytes, starts) = file();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let damaged = starts.iter().filter(|&&start| start <= bit / 8).count() - 1;
            let expected = match damaged == starts.len() - 1 {
                true => first(damaged, LogEnd::Torn(starts[damaged])),
                false => Err(CodecError::CorruptLog { at: starts[damaged] }),
            };
            assert_eq!(read_log(&bytes), expected, "bit {bit}");
        }
    }

    #[test]
    fn a_page_of_zeroes_is_an_error_unless_it_reaches_the_last_frame() {
        let (bytes, starts) = file();
        let last = starts[starts.len() - 1];
        for page in (0..bytes.len()).step_by(PAGE) {
            let mut zeroed = bytes.clone();
            let end = (page + PAGE).min(bytes.len());
            zeroed[page..end].fill(0);
            // Bytes of the page may have been zero before.
            let Some(changed) = (page..end).find(|&at| bytes[at] != 0) else { continue };
            let damaged = starts.iter().filter(|&&start| start <= changed).count() - 1;
            let found = read_log(&zeroed);
            if end <= last {
                assert_eq!(found, Err(CodecError::CorruptLog { at: starts[damaged] }), "page at {page}");
            } else {
                assert_eq!(found, first(damaged, LogEnd::Torn(starts[damaged])), "page at {page}");
            }
        }
    }

    #[test]
    fn a_missing_or_repeated_frame_is_an_error() {
        let (bytes, starts) = file();
        let without = [&bytes[..starts[1]], &bytes[starts[2]..]].concat();
        assert_eq!(read_log(&without), Err(CodecError::CorruptLog { at: starts[1] }));
        let twice = [&bytes[..starts[2]], &bytes[starts[1]..]].concat();
        assert_eq!(read_log(&twice), Err(CodecError::CorruptLog { at: starts[2] }));
    }
}
