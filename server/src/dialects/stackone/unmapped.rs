//! Statuses that a provider tells and for which the domain has no name: kept as an attribute, shown as `unmapped_value`.

use patchbay_core::user::{PASSTHROUGH, User};
use serde_json::Value;

use super::{map::UNMAPPED, wire::EnumValue};

/// What follows the dialect's name in the attribute that keeps a status for which the domain has no name.
const STATUS: &str = ":status";

/// The attribute in which this dialect's connector keeps it.
pub(super) const ATTRIBUTE: &str = "stackone:status";

/// A status as the provider tells it, if it tells any.
pub(super) fn told_status(status: &EnumValue) -> Option<Value> {
    let tells = status.value.value().is_some() || status.source_value.value().is_some();
    serde_json::to_value(status).ok().filter(|_| tells)
}

/// A status for which the domain has no name, with the provider's own word (contract notes, section 3: `unmapped_value` is
/// the server's own fallback).
pub(super) fn unmapped_status(user: &User) -> Option<EnumValue> {
    let mut kept = user.attributes.iter();
    let (_, told) = kept.find(|(name, _)| name.ends_with(STATUS) && !name.starts_with(PASSTHROUGH))?;
    let words = [told.get("source_value"), told.get("value")].into_iter().flatten();
    let source = match told {
        Value::Object(_) => words.into_iter().find(|word| !word.is_null()),
        word => Some(word),
    };
    Some(EnumValue::of(UNMAPPED, source.cloned().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_providers_own_word_is_shown() {
        let shown = |name: &str, told: Value| {
            let mut user = User::remote("u");
            user.attributes = std::sync::Arc::new([(name.to_owned(), told)].into());
            unmapped_status(&user).map(|status| serde_json::to_value(status).unwrap())
        };
        let archived = |source: Value| Some(json!({ "value": "unmapped_value", "source_value": source }));
        assert_eq!(shown("vendor:status", json!("Archived")), archived(json!("Archived")));
        let both = json!({ "value": "archived", "source_value": "A" });
        assert_eq!(shown(ATTRIBUTE, both), archived(json!("A")));
        let one = json!({ "value": "archived", "source_value": null });
        assert_eq!(shown(ATTRIBUTE, one), archived(json!("archived")));
        assert_eq!(shown("passthrough:status", json!("Archived")), None);
    }
}
