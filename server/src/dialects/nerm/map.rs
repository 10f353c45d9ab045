//! Pure functions between wire and domain, both ways.
//!
//! | wire | domain |
//! |---|---|
//! | `id` | `id`, or the id that the remote system gave |
//! | `uid` | attribute `nerm:uid`, else made from the id |
//! | `name` | `display_name`; answered as the name to show |
//! | `email`, `title` | the same |
//! | `login` | `username` |
//! | `status` Active, Pending, Disabled | `status` Enabled, Pending, Disabled; Blocked is answered as Disabled |
//! | `last_login` | `last_login_at` |
//! | `locale`, `preferred_language` | `settings.culture_code`, `settings.language_code` (read only) |
//! | `type`, `profile_id`, `admin`, `group_strings`, `sailpoint_identity_id`, `cookies_accepted_at` | attributes `nerm:...` |

use uuid::Uuid;

mod change;
mod object;
#[cfg(test)]
mod tests;

pub(super) use self::{
    change::{decode_change, encode_change},
    object::{decode_user, encode_user},
};

/// Prefix of the attributes that only this dialect knows.
const PREFIX: &str = "nerm:";

/// The wire's name for a domain path; paths that the wire does not know stay as they are.
pub(super) fn wire_name(path: &str) -> String {
    let name = match path {
        "display_name" => "name",
        "username" => "login",
        "settings.culture_code" => "locale",
        "settings.language_code" => "preferred_language",
        "last_login_at" => "last_login",
        _ => path
            .strip_prefix("attributes.")
            .and_then(|name| name.strip_prefix(PREFIX))
            .unwrap_or(path),
    };
    name.to_owned()
}

/// Reads a UUID as the vendor writes one: with its hyphens, or as a `uid` is without. Braces and `urn:uuid:` make it no id.
pub(super) fn uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| matches!(text.len(), 32 | 36))
}

/// The key of one of this dialect's attributes.
fn attribute(name: &str) -> String {
    format!("{PREFIX}{name}")
}
