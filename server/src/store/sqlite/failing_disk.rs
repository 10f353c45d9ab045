//! A disk that keeps nothing: for tests.

use std::{collections::BTreeMap, env::consts::ARCH, thread};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// Every call by which the store has a file written to the disk.
pub(super) const SYNCS: [i64; 3] = [libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_msync];

/// Works on a thread of its own, for which the system refuses these calls with an error of input and output, as it does for every
/// thread that is spawned there. Answers when the work is done; panics if it does.
pub(super) fn refusing<T: Send>(calls: &[i64], work: impl FnOnce() -> T + Send) -> T {
    let rules: BTreeMap<_, _> = calls.iter().map(|call| (*call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(libc::EIO.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, ARCH.try_into().unwrap()).unwrap();
    let program = BpfProgram::try_from(filter).unwrap();
    thread::scope(|scope| {
        let thread = scope.spawn(move || {
            seccompiler::apply_filter(&program).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}
