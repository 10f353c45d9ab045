//! The short texts of a record.

/// A text that stands in the record itself if it is no longer than 24 bytes, as most names are: a record that is copied or
/// read is then one piece of memory instead of ten.
pub type Text = compact_str::CompactString;
