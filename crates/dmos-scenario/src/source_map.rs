//! The structure of a document with the place of every value, and the guard before the parser.
//!
//! The YAML parser keeps no places, silently accepts duplicate keys, and takes quadratic time for deep
//! nesting. The document is therefore first read event by event, which rejects all of that immediately and
//! records the places.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScanError, Span, StrInput};

/// Maximum nesting depth; no scenario needs a tenth of it.
pub const DEPTH_MAX: usize = 64;

/// A value of the document and its span in bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceMap {
    /// From its first byte to the byte after its last.
    pub span: Range<usize>,
    /// Structure of the value.
    pub shape: Shape,
}

/// Structure of a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Shape {
    /// A scalar.
    Scalar,
    /// A list of values.
    List(Vec<SourceMap>),
    /// A map of values.
    Map(Vec<Entry>),
}

/// An entry of a map.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Span of the key.
    pub key_span: Range<usize>,
    /// The value.
    pub value: SourceMap,
}

/// Reason why a document is rejected, with its span.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The reason.
    pub message: String,
    /// The span.
    pub span: Range<usize>,
}

/// Reads the structure of `text`.
///
/// # Errors
/// If the text is not exactly one YAML document, uses aliases or tags, has a duplicate key or a key that is
/// not a plain scalar, or is nested deeper than [`DEPTH_MAX`].
pub fn source_map(text: &str) -> Result<SourceMap, Refusal> {
    let mut reader = Reader { text, parser: Parser::new_from_str(text), offsets: Offsets::new(text) };
    let mut event = reader.next()?;
    while matches!(event.0, Event::StreamStart | Event::DocumentStart(_)) {
        event = reader.next()?;
    }
    if matches!(event.0, Event::StreamEnd) {
        return Err(Refusal { message: "the file is empty".to_owned(), span: 0..0 });
    }
    let root = reader.value(event, 0)?;
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(root),
            (Event::DocumentEnd, _) => {}
            (_, span) => {
                let message = "a second document starts here; a file holds one scenario".to_owned();
                return Err(Refusal { message, span });
            }
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    offsets: Offsets,
}

/// Byte offsets of the characters; empty for ASCII text, where they are equal to the indices.
struct Offsets(Vec<usize>);

impl Offsets {
    fn new(text: &str) -> Self {
        if text.is_ascii() { Self(Vec::new()) } else { Self(text.char_indices().map(|(at, _)| at).collect()) }
    }

    fn byte(&self, text: &str, character: usize) -> usize {
        let at =
            if self.0.is_empty() { character } else { self.0.get(character).copied().unwrap_or(text.len()) };
        at.min(text.len())
    }
}

type Spanned<'a> = (Event<'a>, Range<usize>);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Spanned<'a>, Refusal> {
        match self.parser.next() {
            Some(Ok((event, span))) => Ok((event, self.range(span))),
            Some(Err(error)) => Err(self.malformed(&error)),
            None => Ok((Event::StreamEnd, self.text.len()..self.text.len())),
        }
    }

    fn range(&self, span: Span) -> Range<usize> {
        let start = self.offsets.byte(self.text, span.start.index());
        start..self.offsets.byte(self.text, span.end.index()).max(start)
    }

    fn malformed(&self, error: &ScanError) -> Refusal {
        let at = self.offsets.byte(self.text, error.marker().index());
        Refusal { message: format!("this is not YAML: {}", error.info()), span: at..at }
    }

    fn value(&mut self, (event, span): Spanned<'a>, depth: usize) -> Result<SourceMap, Refusal> {
        let refuse =
            |message: &str| Err(Refusal { message: message.to_owned(), span: span.start..span.start });
        if depth > DEPTH_MAX {
            return refuse("values are nested too deeply");
        }
        match event {
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => refuse("tags are not supported; write the value alone"),
            Event::Alias(_) => refuse("aliases are not supported; repeat the value"),
            Event::Scalar(..) => Ok(SourceMap { span, shape: Shape::Scalar }),
            Event::SequenceStart(..) => self.list(span.start, depth),
            Event::MappingStart(..) => self.map(span.start, depth),
            _ => refuse("a value is missing here"),
        }
    }

    fn list(&mut self, start: usize, depth: usize) -> Result<SourceMap, Refusal> {
        let mut values = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, span) => {
                    return Ok(SourceMap { span: start..span.end.max(start), shape: Shape::List(values) });
                }
                event => values.push(self.value(event, depth + 1)?),
            }
        }
    }

    fn map(&mut self, start: usize, depth: usize) -> Result<SourceMap, Refusal> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut keys = std::collections::BTreeSet::new();
        loop {
            let (key, key_span) = match self.next()? {
                (Event::MappingEnd, span) => {
                    return Ok(SourceMap { span: start..span.end.max(start), shape: Shape::Map(entries) });
                }
                (Event::Scalar(key, ..), span) => (key.into_owned(), span),
                (_, span) => {
                    let message = "a key must be a string".to_owned();
                    return Err(Refusal { message, span: span.start..span.start });
                }
            };
            if !keys.insert(key.clone()) {
                return Err(Refusal { message: format!("`{key}` is given twice"), span: key_span });
            }
            let event = self.next()?;
            let value = self.value(event, depth + 1)?;
            entries.push(Entry { key, key_span, value });
        }
    }
}

impl SourceMap {
    /// Returns the entry with a key, if this is a map that has one.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.shape {
            Shape::Map(entries) => entries.iter().find(|entry| entry.key == key),
            Shape::Scalar | Shape::List(_) => None,
        }
    }

    /// Returns the value at `index`, in a list or among the values of a map.
    #[must_use]
    pub fn nth(&self, index: usize) -> Option<&Self> {
        match &self.shape {
            Shape::List(values) => values.get(index),
            Shape::Map(entries) => entries.get(index).map(|entry| &entry.value),
            Shape::Scalar => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, part: &str, at: usize) {
        let refusal = source_map(text).expect_err("an error");
        assert!(refusal.message.contains(part), "{refusal:?}");
        assert_eq!(refusal.span.start, at, "{refusal:?}");
    }

    #[test]
    fn maps_values_to_lines() {
        let text = "größe: 1\nlist: [a, {b: 2s}]\n";
        let root = source_map(text).expect("a document");
        let list = &root.entry("list").expect("a list").value;
        let inner = list.nth(1).and_then(|map| map.entry("b")).expect("a map");
        assert_eq!((&text[inner.key_span.clone()], &text[inner.value.span.clone()]), ("b", "2s"));
        assert_eq!(&text[list.nth(0).expect("a list").span.clone()], "a");
    }

    #[test]
    fn refuses_what_the_parser_would_accept() {
        refused("a: 1\nb: 2\na: 3\n", "`a` is given twice", 10);
        refused("a: &x 1\nb: *x\n", "aliases", 11);
        refused("a: !!int 1\n", "tags", 3);
        refused("a: 1\n---\nb: 2\n", "second document", 5);
        refused("", "empty", 0);
        refused("a: [1, 2\n", "not YAML", 9);
        refused("[1]: 2\n", "a string", 0);
    }

    #[test]
    fn refuses_bombs_at_once() {
        for deep in ["[", "{a: ", "- "] {
            let refusal = source_map(&deep.repeat(100_000)).expect_err("an error");
            let deep_or_malformed =
                ["nested too deeply", "not YAML"].iter().any(|part| refusal.message.contains(part));
            assert!(deep_or_malformed, "{deep}: {refusal:?}");
        }
        let bomb = "a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
        assert!(source_map(bomb).is_err());
    }
}
