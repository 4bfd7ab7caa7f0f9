//! Log records and messages as bytes.
//!
//! A record on a disk is framed by its length and a checksum (CRC-32), so that one which a crash left torn
//! at the end of a log is told from a log that is broken in its middle: the first is a log that ends there,
//! the second an error. What comes from outside is never trusted: any bytes give a value or an error.

use thiserror::Error;

use crate::log::LogRecord;
use crate::message::Message;

/// Bytes before a record: its length and its checksum.
const HEADER: usize = 8;

/// The longest record that is read; a longer one is no record of ours.
const RECORD_MAX: usize = 64 << 20;

/// Why bytes are no log, or no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum CodecError {
    /// A record before the last is broken: the disk has lost what it had promised to keep.
    #[error(
        "the log is broken at byte {at}, before its end; restore it from a copy, or give the node up and add another"
    )]
    BrokenLog {
        /// Where the broken record begins.
        at: usize,
    },
    /// The bytes are no message, or there is more than one message in them.
    #[error("the bytes are no message of this version")]
    NoMessage,
}

/// How a log ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogEnd {
    /// With a whole record.
    Whole,
    /// With a record that was torn when it was written; it begins at this byte, and was never durable.
    Torn(usize),
}

/// Appends a record, framed, to `bytes`.
///
/// # Panics
/// If the record is longer than 64 MiB.
pub fn write_record(record: &LogRecord, bytes: &mut Vec<u8>) {
    let body = postcard::to_stdvec(record).expect("every record can be written to memory");
    assert!(body.len() <= RECORD_MAX, "a record of {} bytes", body.len());
    bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    bytes.extend_from_slice(&body);
}

/// Reads the records of a log, up to a torn one at its end.
///
/// # Errors
/// [`CodecError::BrokenLog`] if a record before the last is broken.
pub fn read_log(bytes: &[u8]) -> Result<(Vec<LogRecord>, LogEnd), CodecError> {
    let mut records = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let Some((length, checksum)) = header(&bytes[at..]) else {
            return Ok((records, LogEnd::Torn(at)));
        };
        let Some(body) = bytes.get(at + HEADER..(at + HEADER).saturating_add(length)) else {
            return Ok((records, LogEnd::Torn(at)));
        };
        let is_last = at + HEADER + length == bytes.len();
        match whole(body, checksum) {
            Some(record) => records.push(record),
            None if is_last => return Ok((records, LogEnd::Torn(at))),
            None => return Err(CodecError::BrokenLog { at }),
        }
        at += HEADER + length;
    }
    Ok((records, LogEnd::Whole))
}

fn header(bytes: &[u8]) -> Option<(usize, u32)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, _) = rest.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*length) as usize, u32::from_le_bytes(*checksum)))
}

fn whole(body: &[u8], checksum: u32) -> Option<LogRecord> {
    if body.len() > RECORD_MAX || crc32fast::hash(body) != checksum {
        return None;
    }
    match postcard::take_from_bytes(body) {
        Ok((record, [])) => Some(record),
        _ => None,
    }
}

/// A message as bytes.
#[must_use]
pub fn write_message(message: &Message) -> Vec<u8> {
    postcard::to_stdvec(message).expect("every message can be written to memory")
}

/// The message in these bytes.
///
/// # Errors
/// [`CodecError::NoMessage`] if they are none.
pub fn read_message(bytes: &[u8]) -> Result<Message, CodecError> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        _ => Err(CodecError::NoMessage),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dmos_core::{BatchId, FlowPart, ItemId, NodeId, RequestId, Requirement, Stamp, Term};

    use super::*;
    use crate::log::LogState;
    use crate::orders::Order;

    fn records() -> Vec<LogRecord> {
        let batch = BatchId { maker: NodeId::new(3), serial: 70_000 };
        let requires = Requirement { item: ItemId::new(2), quantity: 4 };
        vec![
            LogRecord::Made { first: batch, count: 2, inputs: 7 },
            LogRecord::Promised { batch, to: NodeId::new(9), request: RequestId { life: 1, number: 300 } },
            LogRecord::Ordered(Order::Recipe(Box::new([requires]))),
            LogRecord::Election(Box::new([1, 2, 3])),
            LogRecord::Compacted(Box::new(LogState { made: 5, ..LogState::default() })),
        ]
    }

    fn log() -> Vec<u8> {
        let mut bytes = Vec::new();
        records().iter().for_each(|record| write_record(record, &mut bytes));
        bytes
    }

    #[test]
    fn a_log_is_read_as_it_was_written() {
        assert_eq!(read_log(&log()), Ok((records(), LogEnd::Whole)));
        assert_eq!(read_log(&[]), Ok((vec![], LogEnd::Whole)));
    }

    #[test]
    fn a_log_cut_anywhere_is_the_records_before_the_cut() {
        let (bytes, records) = (log(), records());
        for cut in 0..bytes.len() {
            let (read, end) = read_log(&bytes[..cut]).expect("it is torn, not broken");
            assert!(read.len() < records.len() && read == records[..read.len()], "cut at {cut}");
            let mut whole = Vec::new();
            read.iter().for_each(|record| write_record(record, &mut whole));
            let expected = if whole.len() == cut { LogEnd::Whole } else { LogEnd::Torn(whole.len()) };
            assert_eq!(end, expected);
        }
    }

    #[test]
    fn a_broken_record_before_the_last_is_an_error() {
        let mut bytes = log();
        bytes[HEADER] ^= 1;
        assert_eq!(read_log(&bytes), Err(CodecError::BrokenLog { at: 0 }));
        let mut bytes = log();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert!(matches!(read_log(&bytes), Ok((read, LogEnd::Torn(_))) if read.len() == 4));
    }

    #[test]
    fn messages_are_read_as_they_were_written() {
        let part =
            FlowPart { suppliers: Box::new([(ItemId::new(1), NodeId::new(2))]), consumers: Box::new([]) };
        let messages = [
            Message::HeartbeatRequest,
            Message::Part(Stamp { term: Term(3), version: 1 }, Arc::new(part)),
            Message::Election(Box::new([7; 9])),
        ];
        for message in messages {
            let bytes = write_message(&message);
            assert_eq!(read_message(&bytes), Ok(message));
            assert_eq!(read_message(&bytes[..bytes.len() - 1]), Err(CodecError::NoMessage));
            assert_eq!(read_message(&[&bytes[..], &[0]].concat()), Err(CodecError::NoMessage));
        }
    }
}
