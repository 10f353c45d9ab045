//! Between a domain value and the bytes that a database keeps of it.
//!
//! A record is stored as one JSON document: the serde form of the domain type itself (never a wire type), so a member
//! that is added with `#[serde(default)]` reads old records. Whatever is looked up, ordered or made unique stands in
//! columns of its own beside the document; it is always written together with it.

use patchbay_core::error::Error;
use serde::{Serialize, de::DeserializeOwned};

/// Bytes that a document is given from the start: most users fit.
const ROOM: usize = 1536;

/// The document of a record.
pub(crate) fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>, Error> {
    let mut document = Vec::with_capacity(ROOM);
    serde_json::to_writer(&mut document, record).map_err(Error::internal)?;
    Ok(document)
}

/// The record of a document. Fails with [`Error::Internal`] if the bytes are not what [`encode`] wrote.
pub(crate) fn decode<T: DeserializeOwned>(document: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(document).map_err(|error| {
        Error::internal(format!(
            "a stored {} cannot be read: {error}",
            std::any::type_name::<T>()
        ))
    })
}
