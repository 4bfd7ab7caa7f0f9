//! Errors in scenario and experiment files, with their places.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// Maximum number of problems shown; further ones are only counted.
const SHOWN: usize = 10;

/// An invalid scenario or experiment: all problems, with their places.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScenarioError {
    origin: String,
    text: String,
    problems: Vec<Located>,
}

/// A problem and its location.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Located {
    /// Description of the problem, with a suggested fix.
    pub message: String,
    /// Location of the problem.
    pub location: SourceLocation,
}

/// Location of a problem.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SourceLocation {
    /// A span of bytes in the file.
    File(Range<usize>),
    /// A setting from outside the file.
    Setting {
        /// The setting as given.
        given: String,
        /// Source of the setting: the command line or a file.
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
        Self::new(origin, "", vec![Located { message, location: SourceLocation::Whole }])
    }

    /// Returns all problems, in the order in which they were found.
    #[must_use]
    pub fn problems(&self) -> &[Located] {
        &self.problems
    }
}

impl std::error::Error for ScenarioError {}

impl fmt::Display for ScenarioError {
    /// Formats all problems, each with an excerpt, without colour and without a final newline.
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
        let report = match &problem.location {
            SourceLocation::Whole => Group::with_title(title),
            SourceLocation::Setting { given, origin } => {
                title.element(excerpt(given, origin, 0..given.len()))
            }
            SourceLocation::File(span) => title.element(excerpt(&self.text, &self.origin, span.clone())),
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

/// Returns the part of a span on its first line, because an excerpt of a whole section is not helpful.
fn first_line(text: &str, span: Range<usize>) -> Range<usize> {
    let end = text[span.start..].find('\n').map_or(text.len(), |length| span.start + length);
    span.start..span.end.min(end)
}
