//! Numbers as ranges: `3,7,12-14`, the notation of batch engines.

use std::fmt::Write;

/// Formats ascending numbers as ranges.
#[must_use]
pub fn format(numbers: &[usize]) -> String {
    let mut shown = String::new();
    let mut rest = numbers;
    while let Some(&first) = rest.first() {
        let length = rest.iter().enumerate().take_while(|(nth, number)| **number == first + nth).count();
        let separator = if shown.is_empty() { "" } else { "," };
        let last = first + length - 1;
        let _ = if length == 1 {
            write!(shown, "{separator}{first}")
        } else {
            write!(shown, "{separator}{first}-{last}")
        };
        rest = &rest[length..];
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::format;

    #[test]
    fn numbers_in_a_row_are_a_range() {
        assert_eq!(format(&[3, 7, 12, 13, 14]), "3,7,12-14");
        assert_eq!(format(&[0, 1]), "0-1");
        assert_eq!(format(&[]), "");
    }
}
