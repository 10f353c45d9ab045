//! From a linked account to the connector that calls it.

use std::sync::{Arc, OnceLock};

use patchbay_core::{
    connector::{Connector, Connectors},
    error::Error,
    linked_account::{LinkedAccount, RemoteTarget},
};

use secrecy::SecretString;

use super::http::{Client, OutboundConfig, Target};
use crate::{
    dialects,
    seal::{Bound, SealError, Sealer},
};

/// Makes connectors of linked accounts: opens the secret and picks the dialect from the registry.
pub struct LinkedConnectors {
    sealer: Sealer,
    config: OutboundConfig,
    client: OnceLock<Client>,
}

impl LinkedConnectors {
    /// Connectors whose secrets `sealer` opens. The client is made when it is first needed: loading the system's TLS
    /// roots is slow, and an installation without linked accounts never needs them.
    pub fn new(sealer: Sealer, config: OutboundConfig) -> Self {
        Self {
            sealer,
            config,
            client: OnceLock::new(),
        }
    }

    fn client(&self) -> Result<Client, Error> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let client = Client::new(self.config)?;
        Ok(self.client.get_or_init(|| client).clone())
    }

    fn target(&self, account: &LinkedAccount, remote: &RemoteTarget) -> Result<Target, Error> {
        let secret = open(&self.sealer, account, remote);
        Ok(Target {
            base_url: remote.base_url.clone(),
            secret: secret.map_err(|error| Error::internal(format!("linked account {}: {error}", account.id)))?,
            settings: remote.settings.clone(),
            client: self.client()?,
        })
    }
}

/// The secret of a linked account.
pub(crate) fn open(sealer: &Sealer, account: &LinkedAccount, remote: &RemoteTarget) -> Result<SecretString, SealError> {
    let bound = Bound {
        tenant: account.tenant,
        account: &account.id,
        dialect: &remote.dialect,
        base_url: &remote.base_url,
    };
    sealer.open(bound, &remote.secret)
}

impl Connectors for LinkedConnectors {
    fn connect(&self, account: &LinkedAccount) -> Result<Arc<dyn Connector>, Error> {
        let remote = account.remote.as_ref();
        let remote = remote.ok_or_else(|| Error::internal("the embedded directory has no connector"))?;
        let dialect = dialects::by_name(&remote.dialect).ok_or_else(|| {
            let (id, name) = (&account.id, &remote.dialect);
            Error::internal(format!(
                "linked account {id} speaks {name}, which this version does not know"
            ))
        })?;
        dialect.connector(self.target(account, remote)?)
    }
}
