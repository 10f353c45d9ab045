//! Ports and folders that cannot be used: one sentence, and nothing touched.

use super::*;

#[test]
fn a_port_that_is_taken_is_said_in_one_sentence() {
    let (folder, data, _) = sample();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (command, data) in [("serve", data.as_path()), ("quickstart", &folder.path().join("unmade"))] {
        let complaint = run(data, &[command, "--data", "DATA", "--listen", &address]).refused();
        assert!(
            complaint.contains(&address) && complaint.contains("--listen"),
            "{complaint}"
        );
    }
    assert!(!folder.path().join("unmade").exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_said_in_one_sentence() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    for data in [file.join("below"), file, PathBuf::from("/proc/patchbay")] {
        for arguments in [
            &["quickstart", "--data", "DATA", "--listen", "127.0.0.1:0", "--once"][..],
            &["init", "--data", "DATA", "--sample"],
        ] {
            let complaint = run(&data, arguments).refused();
            assert!(complaint.contains(&*data.to_string_lossy()), "{complaint}");
            assert!(complaint.contains("--data"), "{complaint}");
        }
    }
}

#[test]
fn a_folder_of_a_newer_version_is_left_alone() {
    let (_folder, data, _) = sample();
    let database = rusqlite::Connection::open(data.join("patchbay.db")).unwrap();
    database.pragma_update(None, "user_version", 9_999).unwrap();
    for arguments in [
        &["serve", "--data", "DATA", "--listen", "127.0.0.1:0"][..],
        &["quickstart", "--data", "DATA", "--listen", "127.0.0.1:0", "--once"],
        &["audit", "--data", "DATA"],
        &["account", "list", "--data", "DATA"],
    ] {
        let complaint = run(&data, arguments).refused();
        assert!(complaint.contains("newer version"), "{complaint}");
    }
}

#[test]
fn a_folder_without_data_is_not_served() {
    let folder = TempDir::new().unwrap();
    for arguments in [
        &["serve", "--data", "DATA"][..],
        &["audit", "--data", "DATA"],
        &["account", "list", "--data", "DATA"],
    ] {
        let complaint = run(folder.path(), arguments).refused();
        assert!(complaint.contains("patchbay init"), "{complaint}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
