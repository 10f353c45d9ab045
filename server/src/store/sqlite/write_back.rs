//! What has changed in a file, written to the disk a piece at a time.
//!
//! Syncing all of a database at once puts tens of thousands of its pages before the disk, and whoever wants a batch of the log
//! synced meanwhile waits behind them. Between two pieces it is his turn.

use std::{
    fs::File,
    io,
    time::{Duration, Instant},
};

use memmap2::MmapOptions;

/// A piece that took longer is followed by one half as long,
const LONG: Duration = Duration::from_millis(10);
/// and one that took less by one twice as long: changes lie close together in one part of a file and apart in another.
const SHORT: Duration = Duration::from_millis(5);
/// No piece is shorter, in bytes: it would be mostly the disk's answer that is waited for.
const LEAST: usize = 256 << 10;
/// None is longer, since it may be full of changes.
const MOST: usize = 8 << 20;

/// Writes a file to the disk piece by piece from its beginning on, until it `ends` early.
///
/// The file must be open for writing: through another descriptor the system syncs no part of it, and says nothing. What cannot be mapped,
/// for want of address space, is synced as a whole. What is changed meanwhile may be left out. An error of writing is told once for each open file:
/// see [`Loss`](super::loss::Loss).
pub(super) fn write_back(file: &File, ends: impl Fn() -> bool) -> io::Result<()> {
    // Nothing is read through the mapping: it is how the system takes a part of a file to be synced.
    let map = match MmapOptions::new().map_raw_read_only(file) {
        Ok(map) => map,
        Err(error) => {
            tracing::debug!(%error, "the database is not mapped; it is synced as a whole");
            return file.sync_data();
        }
    };
    let (mut start, mut length) = (0, LEAST);
    while start < map.len() && !ends() {
        let piece = length.min(map.len() - start);
        let began = Instant::now();
        match map.flush_range(start, piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            outcome => outcome?,
        }
        length = next(length, began.elapsed());
        start += piece;
    }
    Ok(())
}

/// How long the next piece is.
fn next(length: usize, took: Duration) -> usize {
    let length = match took {
        took if took > LONG => length / 2,
        took if took < SHORT => length * 2,
        _ => length,
    };
    length.clamp(LEAST, MOST)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How many pieces a file of so many bytes is written in, if it ends after `most`.
    fn written(length: u64, most: u32) -> u32 {
        let file = tempfile::tempfile().unwrap();
        file.set_len(length).unwrap();
        let written = Cell::new(0);
        let ends = || {
            let ends = written.get() == most;
            written.set(written.get() + u32::from(!ends));
            ends
        };
        write_back(&file, ends).unwrap();
        written.get()
    }

    #[test]
    fn a_file_is_written_to_its_end_unless_it_ends_early() {
        let least = LEAST as u64;
        assert_eq!(written(1, 99), 1);
        assert_eq!(written(least, 99), 1);
        assert_eq!(written(least + 1, 99), 2);
        assert!((7..=100).contains(&written(100 * least, 1000)));
        assert_eq!(written(100 * least, 3), 3);
        assert_eq!(written(100 * least, 0), 0);
    }

    #[test]
    fn a_piece_is_as_long_as_the_one_before_was_fast() {
        let millis = Duration::from_millis;
        assert_eq!(next(2 * LEAST, millis(11)), LEAST);
        assert_eq!(next(2 * LEAST, millis(7)), 2 * LEAST);
        assert_eq!(next(2 * LEAST, millis(4)), 4 * LEAST);
        assert_eq!(next(LEAST, millis(5000)), LEAST);
        assert_eq!(next(MOST, millis(0)), MOST);
    }

    #[test]
    fn a_file_that_cannot_be_mapped_is_synced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("file")).unwrap();
        file.set_len(1).unwrap();
        // A mapping wants to be read, and this descriptor is for writing alone.
        write_back(&file, || panic!("asked for pieces")).unwrap();
    }
}
