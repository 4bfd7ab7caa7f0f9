//! Shares of suppliers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A supplier's share of what a consumer takes of an item, in millionths.
///
/// The shares of all suppliers of one requirement add up to [`Share::WHOLE`]. A supplier with a share of zero
/// is a standby: it produces, but is only asked while all suppliers with a share are silent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub struct Share(u32);

impl TryFrom<u32> for Share {
    type Error = &'static str;

    fn try_from(millionths: u32) -> Result<Self, Self::Error> {
        if millionths <= Self::WHOLE.0 { Ok(Self(millionths)) } else { Err("a share is a part of the whole") }
    }
}

impl Share {
    /// The share of a standby.
    pub const STANDBY: Self = Self(0);
    /// The whole.
    pub const WHOLE: Self = Self(1_000_000);

    /// Returns a share of this many millionths.
    ///
    /// # Panics
    /// If the share exceeds the whole.
    #[must_use]
    pub fn from_millionths(millionths: u32) -> Self {
        assert!(millionths <= Self::WHOLE.0, "a share is a part of the whole");
        Self(millionths)
    }

    /// Returns the share in millionths.
    #[must_use]
    pub fn millionths(self) -> u32 {
        self.0
    }

    /// Splits the whole in proportion to weights so that the shares add up exactly: each is rounded down, and
    /// the rest goes to the largest remainders, in order (Hamilton's method).
    ///
    /// All shares are standbys if no weight is above zero.
    #[must_use]
    pub fn split(weights: &[u64]) -> Vec<Self> {
        let whole = u128::from(Self::WHOLE.0);
        let total: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
        if total == 0 {
            return vec![Self::STANDBY; weights.len()];
        }
        let exact = |&weight: &u64| u128::from(weight) * whole;
        let mut shares: Vec<u128> = weights.iter().map(|weight| exact(weight) / total).collect();
        let left = usize::try_from(whole - shares.iter().sum::<u128>())
            .expect("the remainder is below the number of shares");
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by_key(|&at| std::cmp::Reverse(exact(&weights[at]) % total));
        order.iter().take(left).for_each(|&at| shares[at] += 1);
        shares
            .iter()
            .map(|&share| Self(u32::try_from(share).expect("a share is at most a million millionths")))
            .collect()
    }
}

impl fmt::Display for Share {
    /// Formats the share in percent, or as `standby`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("standby"),
            share => write!(f, "{} %", f64::from(share) / 10_000.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        for weights in [&[1, 1, 1][..], &[5], &[0, 3, 0, 7], &[1; 7], &[u64::MAX, 1]] {
            let total: u32 = Share::split(weights).iter().map(|share| share.millionths()).sum();
            assert_eq!(total, Share::WHOLE.millionths(), "{weights:?}");
        }
        let thirds: Vec<_> = Share::split(&[1, 1, 1]).iter().map(|share| share.millionths()).collect();
        assert_eq!(thirds, [333_334, 333_333, 333_333]);
        let sixths: Vec<_> = Share::split(&[1, 5]).iter().map(|share| share.millionths()).collect();
        assert_eq!(sixths, [166_667, 833_333], "the largest remainder gets the rest");
        assert_eq!(Share::split(&[0, 0]), [Share::STANDBY; 2]);
        assert_eq!(Share::try_from(1_000_000), Ok(Share::WHOLE));
        assert!(Share::try_from(1_000_001).is_err());
        assert_eq!(Share::split(&[]), []);
    }
}
