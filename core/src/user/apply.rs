//! Applying a delta: pure, total, and exhaustive.
//!
//! [`User::apply`] takes the patch apart member by member, so a new member does not compile until it is handled here.
//! What really changed is listed as before/after pairs; a patch that changes nothing lists nothing.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
use serde_json::{Map, Value};

use super::{PASSTHROUGH, Unfit, User, UserPatch, limits};
use crate::{
    audit::FieldChange,
    error::Error,
    id::OrganizationId,
    membership::{Membership, MembershipPatch},
    packed::Packed,
    patch::Patch,
    settings::{NumberFormat, NumberFormatPatch, Phone, PhonePatch, Settings, SettingsPatch},
};

/// A user after a delta, and what the delta changed. Revision and time of change are the store's to set.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The user as he becomes.
    pub user: User,
    /// What changed; empty if nothing did.
    pub changes: Vec<FieldChange>,
}

impl User {
    /// Applies a delta to this user.
    ///
    /// Fails with [`Error::Invalid`] naming the one member whose value breaks a bound, or with [`Error::Unfit`] naming all of
    /// several, those that the caller's dialect would refuse among them, and then nothing is applied. What breaks the bounds of
    /// a description, attributes, groups or the current organization is told alone. A value that is there already is not judged.
    pub fn apply(&self, patch: &UserPatch) -> Result<Applied, Error> {
        let UserPatch {
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
            status_kept,
            unset_kept,
            unfit,
        } = patch;
        let mut user = self.clone();
        let mut changes = Changes::new(unfit);
        changes.text("username", &mut user.username, username, limits::username)?;
        changes.text("email", &mut user.email, email, limits::email)?;
        changes.text("first_name", &mut user.first_name, first_name, limits::text)?;
        changes.text("last_name", &mut user.last_name, last_name, limits::text)?;
        // Callers know the name to show, not whether it is made of the others: that is what may come back. Where it is what the
        // others make, before and after, it goes on being made of them.
        let name = display_name.value().map(String::as_str);
        let made_of_others = |user: &Self| user.display_name.is_none() && name == user.full_name().as_deref();
        let nameless = |user: &Self| unset_kept.contains(&"name") && user.name().is_none();
        let shows = |user: &Self| {
            name.is_some() && (nameless(user) || unset_kept.contains(&"display_name") && made_of_others(user))
        };
        if !(shows(self) && shows(&user)) {
            if !changes.is_unfit("display_name") {
                changes.text("display_name", &mut user.display_name, display_name, limits::text)?;
            } else if name != self.name().as_deref() {
                changes.refuses("display_name");
            }
        }
        changes.text("title", &mut user.title, title, limits::text)?;
        let kept = self
            .status
            .filter(|now| status.value().is_some() && status_kept.as_ref() == Some(now));
        changes.set("status", &mut user.status, kept.or_else(|| status.over(&self.status)))?;
        changes.set("is_bot", &mut user.is_bot, is_bot.over(&self.is_bot))?;
        changes.phone(&mut user.phone, phone)?;
        changes.settings(&mut user.settings, settings)?;
        let icon = icon.as_ref().map(crate::icon::Icon::reference);
        changes.set("icon", &mut user.icon, icon.over(&self.icon))?;
        changes.set("role", &mut user.role, role.over(&self.role))?;
        changes.description(&mut user.description, description)?;
        changes.attributes(&mut user.attributes, attributes, unset_kept)?;
        changes.passed(&mut user.attributes, passthrough)?;
        for membership in memberships {
            changes.membership(Arc::make_mut(&mut user.memberships), membership)?;
        }
        changes.current_organization(&mut user, *current_organization)?;
        let changes = changes.end()?;
        Ok(Applied { user, changes })
    }
}

/// Collects what changed, while setting it.
struct Changes<'a> {
    made: Vec<FieldChange>,
    unfit: &'a [Unfit],
    refused: Vec<Unfit>,
}

impl<'a> Changes<'a> {
    fn new(unfit: &'a [Unfit]) -> Self {
        let (made, refused) = (Vec::new(), Vec::new());
        Self { made, unfit, refused }
    }

    /// What changed; fails if something did that breaks a bound or that the caller's dialect would refuse.
    fn end(self) -> Result<Vec<FieldChange>, Error> {
        match self.refused.as_slice() {
            [] => Ok(self.made),
            [Unfit { field, reason }] if !self.is_unfit(field) => Err(Error::invalid(field, reason)),
            _ => Err(Error::Unfit(self.refused)),
        }
    }

    /// True if a check is passed; a value that breaks a bound is noted, so that the caller is told of all.
    fn passes(&mut self, check: Result<(), Error>) -> Result<bool, Error> {
        match check {
            Ok(()) => Ok(true),
            Err(Error::Invalid { field, reason }) => {
                self.refused.push(Unfit { field, reason });
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn is_unfit(&self, field: &str) -> bool {
        self.unfit.iter().any(|unfit| unfit.field == field)
    }

    /// True if the member may not change; that it would have is noted.
    fn refuses(&mut self, field: &str) -> bool {
        let before = self.refused.len();
        let unfit = self.unfit.iter().filter(|unfit| unfit.field == field);
        self.refused.extend(unfit.cloned());
        self.refused.len() > before
    }

    /// Sets one member and notes it if it differs.
    fn set<T: PartialEq + Serialize>(
        &mut self,
        field: &str,
        slot: &mut Option<T>,
        after: Option<T>,
    ) -> Result<(), Error> {
        if *slot != after && !self.refuses(field) {
            let before = shown(slot.as_ref())?;
            *slot = after;
            self.made.push(FieldChange {
                field: field.into(),
                before,
                after: shown(slot.as_ref())?,
            });
        }
        Ok(())
    }

    fn text<T: AsRef<str> + for<'t> From<&'t str> + PartialEq + Serialize>(
        &mut self,
        field: &str,
        slot: &mut Option<T>,
        patch: &Patch<String>,
        check: fn(&str, &str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match patch {
            Patch::Null => self.set(field, slot, None),
            Patch::Value(value) if slot.as_ref().is_some_and(|now| now.as_ref() == value) => Ok(()),
            Patch::Value(_) if self.is_unfit(field) => {
                self.refuses(field);
                Ok(())
            }
            Patch::Value(value) if self.passes(check(field, value))? => {
                self.set(field, slot, Some(value.as_str().into()))
            }
            // Not said, or out of bounds, which is noted.
            Patch::Absent | Patch::Value(_) => Ok(()),
        }
    }

    fn phone(&mut self, slot: &mut Option<Phone>, patch: &Patch<PhonePatch>) -> Result<(), Error> {
        let Patch::Value(PhonePatch { prefix, number }) = patch else {
            return self.clear("phone", slot, patch);
        };
        let mut phone = slot.clone().unwrap_or_default();
        self.text("phone.prefix", &mut phone.prefix, prefix, |field, value| {
            limits::bounded(field, value, 10)
        })?;
        self.text("phone.number", &mut phone.number, number, |field, value| {
            limits::bounded(field, value, 15)
        })?;
        *slot = Some(phone).filter(|phone| *phone != Phone::default());
        Ok(())
    }

    fn settings(&mut self, slot: &mut Option<Packed<Settings>>, patch: &Patch<SettingsPatch>) -> Result<(), Error> {
        let Patch::Value(patch) = patch else {
            return self.clear("settings", slot, patch);
        };
        let SettingsPatch {
            culture_code,
            language_code,
            date_format,
            time_format,
            time_zone,
            number_format,
        } = patch;
        let mut settings = slot.as_ref().map(Packed::read).unwrap_or_default();
        self.text(
            "settings.culture_code",
            &mut settings.culture_code,
            culture_code,
            limits::text,
        )?;
        self.text(
            "settings.language_code",
            &mut settings.language_code,
            language_code,
            limits::text,
        )?;
        self.text(
            "settings.date_format",
            &mut settings.date_format,
            date_format,
            limits::text,
        )?;
        self.text(
            "settings.time_format",
            &mut settings.time_format,
            time_format,
            limits::text,
        )?;
        self.text("settings.time_zone", &mut settings.time_zone, time_zone, limits::text)?;
        self.number_format(&mut settings.number_format, number_format)?;
        *slot = Some(settings)
            .filter(|settings| *settings != Settings::default())
            .map(Packed::from);
        Ok(())
    }

    fn number_format(
        &mut self,
        slot: &mut Option<NumberFormat>,
        patch: &Patch<NumberFormatPatch>,
    ) -> Result<(), Error> {
        let Patch::Value(patch) = patch else {
            return self.clear("settings.number_format", slot, patch);
        };
        let NumberFormatPatch {
            decimal_separator,
            group_separator,
        } = patch;
        let mut format = slot.clone().unwrap_or_default();
        let decimal = "settings.number_format.decimal_separator";
        self.text(decimal, &mut format.decimal_separator, decimal_separator, limits::text)?;
        let group = "settings.number_format.group_separator";
        self.text(group, &mut format.group_separator, group_separator, limits::text)?;
        *slot = Some(format).filter(|format| *format != NumberFormat::default());
        Ok(())
    }

    /// The two states of a nested delta that are no delta: absent leaves, null clears.
    fn clear<T: PartialEq + Serialize, P>(
        &mut self,
        field: &str,
        slot: &mut Option<T>,
        patch: &Patch<P>,
    ) -> Result<(), Error> {
        if matches!(patch, Patch::Null) {
            self.set(field, slot, None)
        } else {
            Ok(())
        }
    }

    fn description(
        &mut self,
        slot: &mut Option<Packed<Map<String, Value>>>,
        patch: &Patch<Map<String, Value>>,
    ) -> Result<(), Error> {
        let after = patch.value().map(Packed::new);
        if patch.is_absent() || after == *slot {
            return Ok(());
        }
        if let Patch::Value(members) = patch {
            limits::description("description", members)?;
        }
        self.set("description", slot, after)
    }

    fn attributes(
        &mut self,
        slot: &mut Arc<BTreeMap<String, Value>>,
        patch: &BTreeMap<String, Patch<Value>>,
        unset_kept: &[&str],
    ) -> Result<(), Error> {
        let kept = |name: &String| {
            let listed = |path: &&str| path.strip_prefix("attributes.") == Some(name);
            !slot.contains_key(name) && unset_kept.iter().any(listed)
        };
        let said: Vec<_> = patch
            .iter()
            .filter(|(name, value)| !value.is_absent() && !kept(name))
            .map(|(name, value)| (name.clone(), value.value()))
            .collect();
        self.attributes_said(slot, said)
    }

    fn passed(
        &mut self,
        slot: &mut Arc<BTreeMap<String, Value>>,
        passthrough: &Map<String, Value>,
    ) -> Result<(), Error> {
        let said = passthrough.iter().map(|(name, value)| {
            (
                format!("{PASSTHROUGH}{name}"),
                Some(value).filter(|value| !value.is_null()),
            )
        });
        self.attributes_said(slot, said.collect())
    }

    /// Sets and removes attributes; those of each dialect that was written are bounded together.
    fn attributes_said(
        &mut self,
        slot: &mut Arc<BTreeMap<String, Value>>,
        said: Vec<(String, Option<&Value>)>,
    ) -> Result<(), Error> {
        if said.is_empty() {
            return Ok(());
        }
        let before = self.made.len();
        let slot = Arc::make_mut(slot);
        for (name, value) in said {
            self.attribute(slot, name, value)?;
        }
        let written = self.made.iter().skip(before).filter(|change| !change.after.is_null());
        let written = written.filter_map(|change| Some((change, change.field.strip_prefix("attributes.")?)));
        let last: BTreeMap<_, _> = written.map(|(change, name)| (limits::dialect(name), change)).collect();
        for (dialect, change) in last {
            let kept = slot.iter().filter(|(name, _)| limits::dialect(name) == dialect);
            limits::attributes(&change.field, kept)?;
        }
        Ok(())
    }

    fn attribute(
        &mut self,
        slot: &mut BTreeMap<String, Value>,
        name: String,
        after: Option<&Value>,
    ) -> Result<(), Error> {
        let field = format!("attributes.{name}");
        let before = slot.get(&name);
        if before.is_none() {
            limits::attribute_name(&field, &name)?;
        }
        if before != after && !self.refuses(&field) {
            after.map_or(Ok(()), |value| limits::attribute(&field, value))?;
            let (before, now) = (before.cloned().unwrap_or_default(), after.cloned().unwrap_or_default());
            self.made.push(FieldChange {
                field: field.into(),
                before,
                after: now,
            });
            match after {
                Some(value) => slot.insert(name, value.clone()),
                None => slot.remove(&name),
            };
        }
        Ok(())
    }

    fn membership(&mut self, slot: &mut [Membership], patch: &MembershipPatch) -> Result<(), Error> {
        let MembershipPatch {
            organization,
            groups,
            invitation_notes,
        } = patch;
        let place = slot
            .iter_mut()
            .find(|membership| membership.organization == *organization);
        let place = place.ok_or(Error::NotFound { what: "membership" })?;
        if !groups.is_absent() {
            let Some(groups) = groups.value().filter(|groups| !groups.is_empty()) else {
                return Err(Error::invalid("groups", "must name at least one group"));
            };
            let mut after = groups.clone();
            after.sort_unstable();
            after.dedup();
            let mut now = Some(std::mem::take(&mut place.groups));
            self.set(&format!("memberships.{organization}.groups"), &mut now, Some(after))?;
            place.groups = now.unwrap_or_default();
        }
        let notes = format!("memberships.{organization}.invitation_notes");
        self.text(&notes, &mut place.invitation_notes, invitation_notes, limits::text)
    }

    /// Whoever names the organization that the user works in already changes nothing.
    fn current_organization(&mut self, user: &mut User, patch: Patch<OrganizationId>) -> Result<(), Error> {
        if let Patch::Value(wanted) = patch {
            let now = user.current_membership().map(|membership| membership.organization);
            if now == Some(wanted) {
                return Ok(());
            }
            if user.active(|organization| organization == wanted).is_none() {
                return self.passes(Err(not_a_member())).map(|_| ());
            }
        }
        let after = patch.over(&user.current_organization);
        self.set("current_organization", &mut user.current_organization, after)
    }
}

/// The refusal of an organization in which the user's membership is not active, the same whether or not there is one.
pub(crate) fn not_a_member() -> Error {
    Error::invalid("current_organization", "must be one in which his membership is active")
}

/// A value as the audit log shows it; null if there is none.
fn shown<T: Serialize>(value: Option<&T>) -> Result<Value, Error> {
    serde_json::to_value(value).map_err(Error::internal)
}
