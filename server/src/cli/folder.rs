//! The data folder that a command works on.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use patchbay_core::{
    changeset::{Changeset, Committed, Tenant},
    id::TenantId,
    store::Store,
};

use super::Complaint;
use crate::{
    config::{Config, Secret},
    seal::{KEY_FILE, Sealer},
    store::sqlite::{FILE, OpenError, SqliteStore},
};

/// An open data folder.
pub(super) struct Folder {
    /// Where it is.
    pub(super) path: PathBuf,
    /// What is in it.
    pub(super) store: Arc<dyn Store>,
}

/// What a folder is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To serve, which only one process at a time may.
    Serve,
    /// A command: nothing is kept, and a server that runs is told of what is written.
    Command,
}

impl Folder {
    /// Opens a folder, and makes it and its store if they are not there.
    pub(super) fn create(path: &Path, config: &Config, purpose: Purpose) -> Result<Self, Complaint> {
        make(path).map_err(|error| {
            let path = path.display();
            Complaint(format!(
                "the data folder {path} cannot be made: {error}; choose another with --data"
            ))
        })?;
        Self::open(path, config, purpose)
    }

    /// Opens a folder that has a store.
    pub(super) fn existing(path: &Path, config: &Config, purpose: Purpose) -> Result<Self, Complaint> {
        let shown = path.display();
        match path.join(FILE).try_exists() {
            Ok(true) => Self::open(path, config, purpose),
            Ok(false) => Err(Complaint(format!(
                "there is no Patchbay data in {shown}; make it with `patchbay init --data {shown} --sample`"
            ))),
            Err(error) => Err(Complaint(format!("the data folder {shown} cannot be read: {error}"))),
        }
    }

    /// Keeps other commands that ask for it out, until what is answered is dropped; waits for those that were first.
    pub(super) fn alone(&self) -> Result<File, Complaint> {
        let locked = File::open(&self.path).and_then(|folder| folder.lock().map(|()| folder));
        locked.map_err(|error| Complaint(format!("{} cannot be locked: {error}", self.path.display())))
    }

    /// Its tenants, in order of their making.
    pub(super) async fn tenants(&self) -> Result<Vec<Tenant>, Complaint> {
        let tenants = self.store.tenants().await;
        tenants.map_err(|error| Complaint::while_doing("read the tenants", &error))
    }

    /// The tenant with this id, or if none is named the only one.
    pub(super) async fn tenant(&self, id: Option<TenantId>) -> Result<Tenant, Complaint> {
        let mut tenants = self.tenants().await?;
        let place = self.path.display();
        match id {
            Some(id) => tenants
                .into_iter()
                .find(|tenant| tenant.id == id)
                .ok_or_else(|| Complaint(format!("{place} holds no tenant {id}"))),
            None if tenants.len() > 1 => {
                let ids: Vec<String> = tenants.iter().map(|tenant| tenant.id.to_string()).collect();
                let ids = ids.join(", ");
                Err(Complaint(format!(
                    "{place} holds several tenants; choose one with --tenant: {ids}"
                )))
            }
            None => tenants
                .pop()
                .ok_or_else(|| Complaint(format!("{place} holds no tenant; make one with `patchbay init`"))),
        }
    }

    /// Writes a changeset.
    pub(super) async fn commit(&self, changeset: Changeset) -> Result<Committed, Complaint> {
        let committed = self.store.commit(changeset).await;
        committed.map_err(|error| Complaint::while_doing("write to the data folder", &error))
    }

    /// What seals the folder's secrets.
    pub(super) fn sealer(&self, config: &Config) -> Result<Sealer, Complaint> {
        let seal = &config.seal;
        // Every command finds the same file, from wherever it is called.
        let path = self.path.join(seal.key_file.as_deref().unwrap_or(Path::new(KEY_FILE)));
        let key = seal.key.as_ref().map(Secret::inner);
        Sealer::new(key, path).map_err(|error| Complaint(error.to_string()))
    }

    fn open(path: &Path, config: &Config, purpose: Purpose) -> Result<Self, Complaint> {
        let mut options = config.store();
        match purpose {
            Purpose::Serve => options.serving = true,
            Purpose::Command => options.cached_users = 0,
        }
        let store = SqliteStore::open(path, &options).map_err(|error| {
            let next = match error {
                OpenError::NewerSchema { .. } => "run that version, or choose another folder with --data",
                OpenError::NotWritable { .. } => "give it to this user, or choose another with --data",
                OpenError::InUse { .. } => "see which one with `fuser` on its files",
                OpenError::Other { .. } => "choose another folder with --data",
            };
            Complaint(format!("{error}; {next}"))
        })?;
        Ok(Self {
            path: path.to_owned(),
            store: Arc::new(store),
        })
    }
}

/// Makes a folder for its owner only, and those above it.
fn make(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
