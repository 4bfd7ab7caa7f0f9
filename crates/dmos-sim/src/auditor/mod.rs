//! Auditors see everything that happens and check what must always hold, one property per file.

pub(crate) mod goods;
