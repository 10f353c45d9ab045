//! Secrets at rest: what a remote system knows us by is sealed before it is stored.
//!
//! XChaCha20-Poly1305 with a random nonce per record. The tenant, the linked account, its dialect and
//! base URL are associated data, so a sealed secret does not open in another record, nor after its record was made to
//! point elsewhere. Each record names its key, so keys can be rotated:
//! append a new one, and it seals from then on while the older ones still open what they sealed.
//!
//! Keys and nonces come from the machine's random source itself and not from an `Entropy` that is handed in: one that repeats a
//! nonce, as those of tests do, would give the secrets away.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use patchbay_core::{
    id::{LinkedAccountId, TenantId},
    linked_account::SealedSecret,
};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::system::SystemEntropy;

/// The key file's name in the data folder, where the configuration names no other.
pub const KEY_FILE: &str = "seal.key";
const NONCE: usize = 24;

/// Why a secret could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The text is not a list of keys.
    #[error("{place} does not hold keys of 64 hexadecimal digits; make one with `openssl rand -hex 32`")]
    Malformed {
        /// Where the text came from.
        place: String,
    },
    /// Others than the owner may use the key file.
    #[error("the key file {} is open to other users; run `chmod 600` on it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// The key file cannot be read or made.
    #[error("the key file {} cannot be used: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The key that sealed a secret is not at hand.
    #[error("the secret was sealed with key {key}, which is neither configured nor in the key file")]
    UnknownKey {
        /// The key's id.
        key: String,
    },
    /// The sealed secret was altered, or belongs to another record.
    #[error("the sealed secret does not open: it was altered or belongs to another account")]
    Broken,
}

/// Where a secret belongs: it opens nowhere else.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    /// The tenant.
    pub tenant: TenantId,
    /// The linked account.
    pub account: &'a LinkedAccountId,
    /// The dialect in which the secret is shown.
    pub dialect: &'a str,
    /// To whom it is shown.
    pub base_url: &'a str,
}

/// One key, wiped from memory when dropped.
struct Key {
    id: String,
    bytes: Zeroizing<[u8; 32]>,
}

/// Fails if the setting `seal.key` does not hold keys.
pub fn check(configured: &SecretString) -> Result<(), SealError> {
    configured_keys(configured).map(|_| ())
}

fn configured_keys(text: &SecretString) -> Result<Vec<Key>, SealError> {
    parse(text.expose_secret(), || "the setting seal.key".to_owned())
}

/// Seals and opens secrets with the configured keys and those of the key file.
pub struct Sealer {
    configured: Vec<Key>,
    path: PathBuf,
    file: RwLock<Vec<Key>>,
}

impl Sealer {
    /// A sealer with the configured keys, if any, and those of the key file, if there is one.
    ///
    /// Several keys stand one per line, or separated by commas; the last one seals. A configured key goes before the
    /// file's. Fails if a key is malformed or the file is open to other users.
    pub fn new(configured: Option<&SecretString>, path: PathBuf) -> Result<Self, SealError> {
        let configured = configured.map_or_else(|| Ok(Vec::new()), configured_keys)?;
        let file = RwLock::new(read(&path)?);
        Ok(Self { configured, path, file })
    }

    /// Seals a secret for one linked account. Makes the key file, readable by its owner only, if there is no key yet.
    pub fn seal(&self, bound: Bound<'_>, secret: &SecretString) -> Result<SealedSecret, SealError> {
        if self.with_newest(|_| ()).is_none() {
            make(&self.path)?;
            self.reload()?;
        }
        let sealed = self.with_newest(|key| seal_with(key, bound, secret));
        sealed.unwrap_or_else(|| Err(malformed(&self.path)))
    }

    /// Opens a secret that was sealed for this linked account. Looks into the key file again if the key is not known, so
    /// a key that was added while the server runs is found.
    pub fn open(&self, bound: Bound<'_>, sealed: &SealedSecret) -> Result<SecretString, SealError> {
        let open = |key: &Key| open_with(key, bound, sealed);
        if let Some(opened) = self.with_key(&sealed.key, open) {
            return opened;
        }
        self.reload()?;
        self.with_key(&sealed.key, open).unwrap_or_else(|| {
            Err(SealError::UnknownKey {
                key: sealed.key.clone(),
            })
        })
    }

    fn reload(&self) -> Result<(), SealError> {
        let keys = read(&self.path)?;
        // A file that is gone takes no key back: what is sealed with those that it had can still be opened.
        if keys.is_empty() {
            return Ok(());
        }
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    fn with_newest<T>(&self, work: impl FnOnce(&Key) -> T) -> Option<T> {
        let file = self.file.read().unwrap_or_else(PoisonError::into_inner);
        self.configured.last().or_else(|| file.last()).map(work)
    }

    fn with_key<T>(&self, id: &str, work: impl FnOnce(&Key) -> T) -> Option<T> {
        let file = self.file.read().unwrap_or_else(PoisonError::into_inner);
        let mut keys = self.configured.iter().chain(file.iter());
        keys.find(|key| key.id == id).map(work)
    }
}

fn seal_with(key: &Key, bound: Bound<'_>, secret: &SecretString) -> Result<SealedSecret, SealError> {
    let nonce = SystemEntropy.bytes::<NONCE>();
    let aad = associated(bound);
    let payload = Payload {
        msg: secret.expose_secret().as_bytes(),
        aad: &aad,
    };
    let sealed = cipher(key)
        .encrypt(&XNonce::from(nonce), payload)
        .map_err(|_| SealError::Broken)?;
    Ok(SealedSecret {
        key: key.id.clone(),
        sealed: hex::encode([nonce.as_slice(), &sealed].concat()),
    })
}

fn open_with(key: &Key, bound: Bound<'_>, sealed: &SealedSecret) -> Result<SecretString, SealError> {
    let bytes = hex::decode(&sealed.sealed).map_err(|_| SealError::Broken)?;
    let (nonce, msg) = bytes.split_first_chunk::<NONCE>().ok_or(SealError::Broken)?;
    let aad = associated(bound);
    let payload = Payload { msg, aad: &aad };
    let opened = cipher(key)
        .decrypt(&XNonce::from(*nonce), payload)
        .map_err(|_| SealError::Broken)?;
    String::from_utf8(opened).map(SecretString::from).map_err(|error| {
        error.into_bytes().zeroize();
        SealError::Broken
    })
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new((&*key.bytes).into())
}

/// What the secret is bound to, each part after its length.
fn associated(bound: Bound<'_>) -> Vec<u8> {
    let Bound {
        tenant,
        account,
        dialect,
        base_url,
    } = bound;
    let parts = [
        tenant.0.as_bytes(),
        account.0.as_bytes(),
        dialect.as_bytes(),
        base_url.as_bytes(),
    ];
    let framed = parts
        .into_iter()
        .flat_map(|part| [&(part.len() as u64).to_be_bytes(), part].concat());
    framed.collect()
}

fn parse(text: &str, place: impl Fn() -> String) -> Result<Vec<Key>, SealError> {
    let parts = text
        .split([',', '\n'])
        .map(str::trim)
        .filter(|part| !part.is_empty() && !part.starts_with('#'));
    let keys: Vec<Key> = parts
        .map(|part| {
            let mut bytes = Zeroizing::new([0; 32]);
            hex::decode_to_slice(part, bytes.as_mut_slice()).map_err(|_| SealError::Malformed { place: place() })?;
            // The id tells nothing of the key: it is a piece of its hash.
            let id = hex::encode(Sha256::digest(bytes.as_slice()).get(..6).unwrap_or_default());
            Ok(Key { id, bytes })
        })
        .collect::<Result<_, SealError>>()?;
    if keys.is_empty() {
        return Err(SealError::Malformed { place: place() });
    }
    Ok(keys)
}

/// The keys of the file; none if there is no file.
fn read(path: &Path) -> Result<Vec<Key>, SealError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(file(path, cause)),
    };
    if exposed(path).map_err(|cause| file(path, cause))? {
        return Err(SealError::Exposed { path: path.to_owned() });
    }
    parse(&text, || path.display().to_string())
}

#[cfg(unix)]
fn exposed(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn exposed(_: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Makes the key file with one new key. It appears whole or not at all, and never replaces one that is there.
fn make(path: &Path) -> Result<(), SealError> {
    let draft = path.with_extension(format!("{}.new", hex::encode(SystemEntropy.bytes::<8>())));
    let made = write_key(&draft).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let cleared = fs::remove_file(&draft);
    made.and(cleared).map_err(|cause| file(path, cause))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|cause| file(path, cause))
}

fn write_key(path: &Path) -> io::Result<()> {
    use std::io::Write;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(path)?;
    let key = Zeroizing::new(SystemEntropy.bytes::<32>());
    let mut line = Zeroizing::new(hex::encode(key.as_slice()));
    line.push('\n');
    out.write_all(line.as_bytes())?;
    out.sync_all()
}

fn file(path: &Path, cause: io::Error) -> SealError {
    SealError::File {
        path: path.to_owned(),
        cause,
    }
}

fn malformed(path: &Path) -> SealError {
    SealError::Malformed {
        place: path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const ONE: &str = "1111111111111111111111111111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222222222222222222222222222";

    fn account() -> LinkedAccountId {
        LinkedAccountId("a".into())
    }

    fn place(account: &LinkedAccountId) -> Bound<'_> {
        Bound {
            tenant: TenantId(Uuid::from_u128(1)),
            account,
            dialect: "one",
            base_url: "https://a.example/api",
        }
    }

    fn configured(keys: &str) -> Sealer {
        Sealer::new(Some(&keys.to_owned().into()), "/nonexistent/seal.key".into()).unwrap()
    }

    fn secret() -> SecretString {
        SecretString::from("hunter2".to_owned())
    }

    #[test]
    fn opens_what_it_sealed_and_only_in_its_place() {
        let account = account();
        let a = place(&account);
        let keeper = configured(ONE);
        let sealed = keeper.seal(a, &secret()).unwrap();
        assert!(!sealed.sealed.contains(&hex::encode("hunter2")));
        let opened = keeper.open(a, &sealed).unwrap();
        assert_eq!(opened.expose_secret(), "hunter2");
        let other = LinkedAccountId("b".into());
        let (tenant, base_url) = (TenantId(Uuid::from_u128(2)), "https://b.example");
        for place in [
            Bound { tenant, ..a },
            Bound { account: &other, ..a },
            Bound { dialect: "other", ..a },
            Bound { base_url, ..a },
        ] {
            assert!(
                matches!(keeper.open(place, &sealed), Err(SealError::Broken)),
                "{place:?}"
            );
        }
    }

    #[test]
    fn two_seals_of_one_secret_differ() {
        let sealer = configured(ONE);
        let seal = || sealer.seal(place(&account()), &secret()).unwrap();
        assert_ne!(seal(), seal());
    }

    #[test]
    fn every_altered_byte_is_noticed() {
        let keeper = configured(ONE);
        let sealed = keeper.seal(place(&account()), &secret()).unwrap();
        let bytes = hex::decode(&sealed.sealed).unwrap();
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            let altered = SealedSecret {
                sealed: hex::encode(altered),
                ..sealed.clone()
            };
            let opened = keeper.open(place(&account()), &altered);
            assert!(matches!(opened, Err(SealError::Broken)), "byte {at}");
        }
        for sealed_text in ["", "zz", "00"] {
            let short = SealedSecret {
                sealed: sealed_text.to_owned(),
                ..sealed.clone()
            };
            assert!(keeper.open(place(&account()), &short).is_err());
        }
    }

    #[test]
    fn the_last_key_seals_and_older_ones_still_open() {
        let old = configured(ONE).seal(place(&account()), &secret()).unwrap();
        let rotated = configured(&format!("{ONE},{TWO}"));
        assert!(rotated.open(place(&account()), &old).is_ok());
        let new = rotated.seal(place(&account()), &secret()).unwrap();
        assert_ne!(new.key, old.key);
        let opened = configured(ONE).open(place(&account()), &new);
        assert!(matches!(opened, Err(SealError::UnknownKey { key }) if key == new.key));
    }

    #[test]
    fn a_wrong_key_under_the_right_name_does_not_open() {
        let mut sealed = configured(ONE).seal(place(&account()), &secret()).unwrap();
        let other = configured(TWO);
        sealed.key = other.with_newest(|key| key.id.clone()).unwrap();
        let opened = other.open(place(&account()), &sealed);
        assert!(matches!(opened, Err(SealError::Broken)));
    }

    #[test]
    fn malformed_keys_are_refused_without_showing_them() {
        for text in ["", "12", "not hex", &ONE[1..]] {
            let refused = Sealer::new(Some(&text.to_owned().into()), "/nonexistent/seal.key".into());
            let message = refused.err().unwrap().to_string();
            assert!(message.contains("seal.key") && message.contains("64 hexadecimal digits"));
            assert!(text.is_empty() || !message.contains(&ONE[1..]));
        }
    }

    #[test]
    fn the_key_file_is_made_once_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(KEY_FILE);
        let keeper = Sealer::new(None, path.clone()).unwrap();
        assert!(!path.exists());
        let other = Sealer::new(None, path.clone()).unwrap();
        let sealed = keeper.seal(place(&account()), &secret()).unwrap();
        // A process that started before the file was there finds the key.
        let opened = other.open(place(&account()), &sealed).unwrap();
        assert_eq!(opened.expose_secret(), "hunter2");
        assert_eq!(other.seal(place(&account()), &secret()).unwrap().key, sealed.key);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(!exposed(&path).unwrap());

        fs::remove_file(&path).unwrap();
        let unknown = configured(TWO).seal(place(&account()), &secret()).unwrap();
        keeper.open(place(&account()), &unknown).unwrap_err();
        assert!(
            keeper.open(place(&account()), &sealed).is_ok(),
            "the file is gone, its key is not"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_open_to_others_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(KEY_FILE);
        fs::write(&path, ONE).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = Sealer::new(None, path.clone()).err().unwrap();
            assert!(refused.to_string().contains("chmod 600"), "{refused}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(Sealer::new(None, path).is_ok());
    }
}
