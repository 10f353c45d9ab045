//! What a delta says, member by member, whatever the record holds.

use serde::Serialize;
use serde_json::Value;

use super::{PASSTHROUGH, UserPatch};
use crate::{
    audit::FieldChange,
    error::Error,
    patch::Patch,
    settings::{NumberFormatPatch, PhonePatch, SettingsPatch},
};

impl UserPatch {
    /// Every member that the delta clears (null) or sets, by its domain path; nothing for those it leaves. What was there
    /// before is not known here and stands as null.
    pub fn said(&self) -> Vec<FieldChange> {
        let Self {
            username,
            email,
            first_name,
            last_name,
            display_name,
            title,
            status,
            is_bot,
            phone,
            settings,
            icon,
            role,
            description,
            attributes,
            passthrough,
            memberships,
            current_organization,
            // How the rest is meant, not something said.
            status_kept: _,
            unset_kept: _,
            unfit: _,
        } = self;
        let mut said = Said::default();
        said.member("username", username);
        said.member("email", email);
        said.member("first_name", first_name);
        said.member("last_name", last_name);
        said.member("display_name", display_name);
        said.member("title", title);
        said.member("status", status);
        said.member("is_bot", is_bot);
        said.phone(phone);
        said.settings(settings);
        said.member("icon", &icon.as_ref().map(crate::icon::Icon::reference));
        said.member("role", role);
        said.member("description", description);
        for (name, value) in attributes {
            said.member(&format!("attributes.{name}"), value);
        }
        for (name, value) in passthrough {
            said.note(&format!("attributes.{PASSTHROUGH}{name}"), value.clone());
        }
        for membership in memberships {
            let place = format!("memberships.{}", membership.organization);
            said.member(&format!("{place}.groups"), &membership.groups);
            said.member(&format!("{place}.invitation_notes"), &membership.invitation_notes);
        }
        said.member("current_organization", current_organization);
        said.0
    }

    /// Checks that the delta says nothing but these members, each a domain path or the beginning of one.
    ///
    /// Fails with [`Error::Unsupported`] naming the first other member, without what is inside it.
    pub fn says_only(&self, members: &[&str]) -> Result<(), Error> {
        let known = |field: &str| {
            let rest = |member: &&str| field.strip_prefix(*member);
            members
                .iter()
                .filter_map(rest)
                .any(|rest| rest.is_empty() || rest.starts_with(['.', ':']))
        };
        match self.said().into_iter().find(|said| !known(&said.field)) {
            Some(said) => {
                let member = said.field.split('.').next().unwrap_or_default();
                Err(Error::unsupported(member, "cannot be changed through this provider"))
            }
            None => Ok(()),
        }
    }
}

#[derive(Default)]
struct Said(Vec<FieldChange>);

impl Said {
    fn note(&mut self, field: &str, after: Value) {
        self.0.push(FieldChange {
            field: field.into(),
            before: Value::Null,
            after,
        });
    }

    fn member<T: Serialize>(&mut self, field: &str, patch: &Patch<T>) {
        if !patch.is_absent() {
            // Members are texts, numbers and maps with text keys, all of which JSON can say.
            self.note(field, serde_json::to_value(patch).unwrap_or_default());
        }
    }

    fn phone(&mut self, patch: &Patch<PhonePatch>) {
        match patch {
            Patch::Absent => {}
            Patch::Null => self.note("phone", Value::Null),
            Patch::Value(PhonePatch { prefix, number }) => {
                self.member("phone.prefix", prefix);
                self.member("phone.number", number);
            }
        }
    }

    fn settings(&mut self, patch: &Patch<SettingsPatch>) {
        let patch = match patch {
            Patch::Absent => return,
            Patch::Null => return self.note("settings", Value::Null),
            Patch::Value(patch) => patch,
        };
        let SettingsPatch {
            culture_code,
            language_code,
            date_format,
            time_format,
            time_zone,
            number_format,
        } = patch;
        self.member("settings.culture_code", culture_code);
        self.member("settings.language_code", language_code);
        self.member("settings.date_format", date_format);
        self.member("settings.time_format", time_format);
        self.member("settings.time_zone", time_zone);
        match number_format {
            Patch::Absent => {}
            Patch::Null => self.note("settings.number_format", Value::Null),
            Patch::Value(NumberFormatPatch {
                decimal_separator,
                group_separator,
            }) => {
                self.member("settings.number_format.decimal_separator", decimal_separator);
                self.member("settings.number_format.group_separator", group_separator);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_are_said_and_absent_members_are_not() {
        let patch = UserPatch {
            title: Patch::Null,
            email: Patch::Value("a@b".to_owned()),
            ..UserPatch::default()
        };
        let said: Vec<_> = patch.said().into_iter().map(|said| said.field).collect();
        assert_eq!(said, ["email", "title"]);
        assert!(patch.says_only(&["email", "title"]).is_ok());
        let refused = patch.says_only(&["email"]);
        assert!(matches!(refused, Err(Error::Unsupported { field, .. }) if field == "title"));
    }

    #[test]
    fn a_member_stands_for_what_is_inside_it_but_not_for_longer_names() {
        let phone = PhonePatch {
            prefix: Patch::Null,
            number: Patch::Absent,
        };
        let patch = UserPatch {
            phone: Patch::Value(phone),
            ..UserPatch::default()
        };
        assert!(patch.says_only(&["phone"]).is_ok());
        assert!(patch.says_only(&["pho"]).is_err());
    }
}
