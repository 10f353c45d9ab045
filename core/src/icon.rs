//! A user's picture: recognised by its content, kept apart from the user's record.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The picture types that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IconType {
    /// Portable Network Graphics.
    Png,
    /// JPEG.
    Jpeg,
}

impl IconType {
    /// Recognises a picture by its first bytes; `None` if it is neither PNG nor JPEG.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if bytes.starts_with(b"\xff\xd8\xff") {
            Some(Self::Jpeg)
        } else {
            None
        }
    }

    /// The registered media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
        }
    }
}

/// A picture with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Icon {
    /// What the bytes are.
    pub media: IconType,
    /// The picture itself.
    pub bytes: Arc<[u8]>,
    /// SHA-256 of the bytes.
    pub digest: [u8; 32],
}

impl Icon {
    /// The most bytes a picture may have: 5 MiB.
    pub const MAX_BYTES: usize = 5 * 1024 * 1024;

    /// Recognises and measures a picture; `None` if it is neither PNG nor JPEG.
    pub fn new(bytes: Arc<[u8]>) -> Option<Self> {
        let media = IconType::sniff(&bytes)?;
        let digest = Sha256::digest(&bytes).into();
        Some(Self { media, bytes, digest })
    }

    /// What the user's record keeps of it.
    pub fn reference(&self) -> IconRef {
        IconRef {
            media: self.media,
            size: self.bytes.len() as u64,
            digest: hex::encode(self.digest),
        }
    }
}

/// What a user's record says of its picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IconRef {
    /// What the bytes are.
    pub media: IconType,
    /// How many bytes.
    pub size: u64,
    /// SHA-256 of the bytes, lower-case hexadecimal: also the picture's entity tag.
    pub digest: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

    #[test]
    fn pictures_are_recognised_by_their_first_bytes() {
        let cases: [(&[u8], Option<IconType>); 8] = [
            (PNG, Some(IconType::Png)),
            (b"\x89PNG\r\n\x1a\nrest", Some(IconType::Png)),
            (b"\xff\xd8\xff\xe0JFIF", Some(IconType::Jpeg)),
            (&PNG[..7], None),
            (b"\xff\xd8", None),
            (b"GIF89a", None),
            (b" \x89PNG\r\n\x1a\n", None),
            (b"", None),
        ];
        for (bytes, media) in cases {
            assert_eq!(IconType::sniff(bytes), media, "{bytes:?}");
            assert_eq!(Icon::new(Arc::from(bytes)).map(|icon| icon.media), media);
        }
    }

    #[test]
    fn the_reference_measures_the_bytes() {
        let reference = Icon::new(Arc::from(PNG)).unwrap().reference();
        assert_eq!((reference.media, reference.size), (IconType::Png, 8));
        let digest = "4c4b6a3be1314ab86138bef4314dde022e600960d8689a2c8f8631802d20dab6";
        assert_eq!(reference.digest, digest);
        assert_eq!(
            (IconType::Png.media_type(), IconType::Jpeg.media_type()),
            ("image/png", "image/jpeg")
        );
    }
}
