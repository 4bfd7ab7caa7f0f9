//! What is wrong with a scenario or an experiment, and where.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// Problems beyond this many are only counted: nobody reads more at once.
const SHOWN: usize = 10;

/// A scenario, or an experiment, that cannot be used: every problem found, with its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScenarioError {
    origin: String,
    text: String,
    problems: Vec<Located>,
}

/// One problem and its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Located {
    /// What is wrong, and what would be right.
    pub message: String,
    /// Where.
    pub place: Place,
}

/// Where a problem is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// In the file, at these bytes.
    File(Range<usize>),
    /// In a setting from elsewhere.
    Setting {
        /// As it was given.
        given: String,
        /// Where it was given: on the command line, or in which file.
        origin: String,
    },
    /// The file as a whole.
    Whole,
}

impl ScenarioError {
    pub(crate) fn new(origin: &str, text: &str, problems: Vec<Located>) -> Self {
        Self { origin: origin.to_owned(), text: text.to_owned(), problems }
    }

    pub(crate) fn unreadable(origin: &str, reason: &str) -> Self {
        let message = format!("cannot read `{origin}`: {reason}");
        Self::new(origin, "", vec![Located { message, place: Place::Whole }])
    }

    /// Returns every problem found, in the order in which they were.
    #[must_use]
    pub fn problems(&self) -> &[Located] {
        &self.problems
    }
}

impl std::error::Error for ScenarioError {}

impl fmt::Display for ScenarioError {
    /// Returns all problems, each with an excerpt, without colour, and without a line's end after the last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown: Vec<String> =
            self.problems.iter().take(SHOWN).map(|problem| self.show(problem)).collect();
        if self.problems.len() > SHOWN {
            shown.push(format!("and {} more problems", self.problems.len() - SHOWN));
        }
        f.write_str(&shown.join("\n\n"))
    }
}

impl ScenarioError {
    fn show(&self, problem: &Located) -> String {
        let title = Level::ERROR.primary_title(problem.message.as_str());
        let report = match &problem.place {
            Place::Whole => Group::with_title(title),
            Place::Setting { given, origin } => title.element(excerpt(given, origin, 0..given.len())),
            Place::File(span) => title.element(excerpt(&self.text, &self.origin, span.clone())),
        };
        Renderer::plain().render(&[report])
    }
}

fn excerpt<'a>(
    text: &'a str,
    path: &'a str,
    span: Range<usize>,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    Snippet::source(text).path(path).annotation(AnnotationKind::Primary.span(first_line(text, span)))
}

/// Returns the part of a span that is on its first line: an excerpt of a whole section helps nobody.
fn first_line(text: &str, span: Range<usize>) -> Range<usize> {
    let end = text[span.start..].find('\n').map_or(text.len(), |length| span.start + length);
    span.start..span.end.min(end)
}
