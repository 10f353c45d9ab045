//! What has changed in a file, written to the disk a piece at a time.
//!
//! Syncing all of a database at once puts tens of thousands of its pages before the disk, and whoever wants a batch of the log
//! synced meanwhile waits behind them. Between two pieces it is his turn.

use std::{fs::File, io};

use memmap2::MmapOptions;

/// No piece is smaller: it would be mostly the disk's answer that is waited for.
const LEAST: u64 = 64 << 10;

/// Writes a file to the disk in so many pieces of equal length, from its beginning on, until it `ends` early.
///
/// A file that cannot be mapped, since there is no address space for it or it is not open for reading and writing, is written all at
/// once. What is changed meanwhile may be left out. Whatever the disk refuses is also told to whoever else has the file open, at
/// his next sync.
pub(super) fn write_back(file: &File, pieces: u64, ends: impl Fn() -> bool) -> io::Result<()> {
    let length = file.metadata()?.len();
    // Nothing is read or written through the mapping: it is how the system takes a part of a file to be synced.
    let Ok(map) = MmapOptions::new().map_raw(file) else {
        return file.sync_data();
    };
    let piece = length.div_ceil(pieces.max(1)).max(LEAST);
    let mut start = 0;
    while start < length && !ends() {
        let end = length.min(start + piece);
        map.flush_range(in_memory(start)?, in_memory(end - start)?)?;
        start = end;
    }
    Ok(())
}

fn in_memory(bytes: u64) -> io::Result<usize> {
    usize::try_from(bytes).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How many pieces a file of so many bytes is written in, if it is asked for that many, and ends after `most`.
    fn written(length: u64, pieces: u64, most: u32) -> u32 {
        let file = tempfile::tempfile().unwrap();
        file.set_len(length).unwrap();
        let written = Cell::new(0);
        let ends = || written.get() == most || written.replace(written.get() + 1) > most;
        write_back(&file, pieces, ends).unwrap();
        written.get()
    }

    #[test]
    fn a_file_is_written_in_pieces_and_in_no_smaller_ones_than_pay() {
        assert_eq!(written(8 * LEAST, 8, 99), 8);
        assert_eq!(written(80 * LEAST + 1, 8, 99), 8);
        assert_eq!(written(3 * LEAST - 1, 99, 99), 3);
        assert_eq!(written(5 * LEAST, 0, 99), 1);
        assert_eq!(written(1, 1, 99), 1);
    }

    #[test]
    fn it_ends_early_if_it_is_to() {
        assert_eq!(written(8 * LEAST, 8, 3), 3);
        assert_eq!(written(8 * LEAST, 8, 0), 0);
    }

    #[test]
    fn a_file_that_cannot_be_mapped_is_written_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "text").unwrap();
        write_back(&File::open(path).unwrap(), 1, || panic!("asked for pieces")).unwrap();
    }
}
