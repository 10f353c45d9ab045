//! The systems that are measured: one server doing one kind of request.

use serde::Serialize;

/// One server and the one request it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// Patchbay: durable, audited, authorised update of one user over HTTP.
    PatchbayUpdate,
    /// Patchbay: the same request through the same layers, nothing stored.
    PatchbayEcho,
    /// Patchbay: one user by id.
    PatchbayGet,
    /// Patchbay: a fixed answer through the same layers.
    PatchbayStatic,
    /// OpenLDAP: replace one attribute of one entry.
    SlapdModify,
    /// PocketBase: update of one record over HTTP.
    PocketbaseUpdate,
    /// Patchbay, in NERM's dialect: one user by id.
    NermGet,
    /// The same: update of one user.
    NermUpdate,
    /// Patchbay, in SoftwareOne's dialect: one user by id.
    SoftwareoneGet,
    /// The same: update of one user, as plain JSON.
    SoftwareoneUpdate,
    /// Patchbay, in Trusted Twin's dialect: one user by id.
    TrustedTwinGet,
    /// The same: update of one user's description.
    TrustedTwinUpdate,
}

impl System {
    /// Every system, in the order of the table.
    pub const ALL: [Self; 12] = [
        Self::PatchbayUpdate,
        Self::PatchbayEcho,
        Self::SlapdModify,
        Self::PocketbaseUpdate,
        Self::PatchbayGet,
        Self::PatchbayStatic,
        Self::NermGet,
        Self::NermUpdate,
        Self::SoftwareoneGet,
        Self::SoftwareoneUpdate,
        Self::TrustedTwinGet,
        Self::TrustedTwinUpdate,
    ];

    /// The name used on the command line, in the table and in the JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PatchbayUpdate => "patchbay-update",
            Self::PatchbayEcho => "patchbay-echo",
            Self::PatchbayGet => "patchbay-get",
            Self::PatchbayStatic => "patchbay-static",
            Self::SlapdModify => "slapd-modify",
            Self::PocketbaseUpdate => "pocketbase-update",
            Self::NermGet => "nerm-get",
            Self::NermUpdate => "nerm-update",
            Self::SoftwareoneGet => "softwareone-get",
            Self::SoftwareoneUpdate => "softwareone-update",
            Self::TrustedTwinGet => "trusted-twin-get",
            Self::TrustedTwinUpdate => "trusted-twin-update",
        }
    }

    /// Whether Patchbay is the server.
    pub const fn is_patchbay(self) -> bool {
        !matches!(self, Self::SlapdModify | Self::PocketbaseUpdate)
    }

    /// Whether its requests are stored.
    pub const fn writes(self) -> bool {
        matches!(
            self,
            Self::PatchbayUpdate
                | Self::SlapdModify
                | Self::PocketbaseUpdate
                | Self::NermUpdate
                | Self::SoftwareoneUpdate
                | Self::TrustedTwinUpdate
        )
    }

    /// Whether it is measured only if it is asked for: what the other dialects cost is not compared with anything.
    const fn is_extra(self) -> bool {
        matches!(
            self,
            Self::NermGet
                | Self::NermUpdate
                | Self::SoftwareoneGet
                | Self::SoftwareoneUpdate
                | Self::TrustedTwinGet
                | Self::TrustedTwinUpdate
        )
    }

    /// Systems whose name starts with one of `prefixes`; for no prefix all but the other dialects.
    pub fn chosen(prefixes: &[String]) -> anyhow::Result<Vec<Self>> {
        let named = |system: &Self| prefixes.iter().any(|p| system.name().starts_with(p));
        let wanted = |system: &Self| named(system) || prefixes.is_empty() && !system.is_extra();
        if let Some(unknown) = prefixes
            .iter()
            .find(|p| !Self::ALL.iter().any(|s| s.name().starts_with(p.as_str())))
        {
            let names = Self::ALL.map(Self::name).join(", ");
            anyhow::bail!("--only {unknown}: no system is named so; there are {names}");
        }
        Ok(Self::ALL.into_iter().filter(wanted).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_chooses_a_group_and_an_unknown_one_is_refused() {
        assert_eq!(System::chosen(&["slapd".to_owned()]).unwrap(), [System::SlapdModify]);
        assert_eq!(System::chosen(&["patchbay".to_owned()]).unwrap().len(), 4);
        assert_eq!(System::chosen(&["softwareone".to_owned()]).unwrap().len(), 2);
        assert_eq!(System::chosen(&[]).unwrap().len(), 6);
        assert!(System::chosen(&["sladp".to_owned()]).is_err());
    }
}
