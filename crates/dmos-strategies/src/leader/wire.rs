//! Encoding of election messages and durable states: a kind and a few numbers.

/// Upper bound for terms, which no correct candidate reaches, so that counting on cannot overflow.
pub(crate) const TERM_MAX: u64 = 1 << 62;

/// Encodes a message of a kind with numbers.
pub(crate) fn write<const N: usize>(kind: u8, numbers: [u64; N]) -> Box<[u8]> {
    let mut bytes = Vec::with_capacity(1 + 8 * N);
    bytes.push(kind);
    numbers.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
    bytes.into()
}

/// Decodes the kind and the numbers of a message, if the bytes are one; the first number is a term.
pub(crate) fn read<const N: usize>(bytes: &[u8]) -> Option<(u8, [u64; N])> {
    let (&kind, rest) = bytes.split_first()?;
    let (numbers, []) = rest.as_chunks::<8>() else {
        return None;
    };
    let numbers: [[u8; 8]; N] = numbers.try_into().ok()?;
    let numbers = numbers.map(u64::from_le_bytes);
    numbers.first().is_none_or(|&term| term < TERM_MAX).then_some((kind, numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_messages_are_refused() {
        assert_eq!(read::<2>(&write(3, [7, u64::MAX])), Some((3, [7, u64::MAX])));
        for bytes in [&[][..], &[9; 9], &[0; 8], &[2; 18], &write(1, [TERM_MAX, 0])] {
            assert_eq!(read::<2>(bytes), None, "{bytes:?}");
        }
    }
}
