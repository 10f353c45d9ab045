//! Writes to one remote user, one after the other: what becomes of who waits.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use patchbay_core::{
    changeset::{Delta, Idempotency, IdempotencyRecord},
    connector::{Capability, Connector, Connectors, RemoteUpdate},
    error::Error,
    gateway::Gateway,
    host::Host,
    id::LinkedAccountId,
    linked_account::{AccountStatus, LinkedAccount, RemoteTarget, SealedSecret},
    patch::Patch,
    principal::Context,
    provider::{UpdateUser, Updated},
    remote::TURN_MILLIS,
    store::UserKey,
    user::{User, UserPatch},
};
use tokio::sync::Semaphore;

use crate::harness::Patchbay;

/// A vendor that does a write when it is let, and counts them.
#[derive(Clone)]
struct Vendor {
    begun: Arc<Semaphore>,
    let_go: Arc<Semaphore>,
    writes: Arc<AtomicUsize>,
}

#[async_trait]
impl Connector for Vendor {
    fn capability(&self) -> Capability {
        Capability { icons: false }
    }

    async fn get_user(&self, id: &str) -> Result<User, Error> {
        Ok(User::remote(id))
    }

    async fn update_user(&self, update: RemoteUpdate<'_>) -> Result<Option<User>, Error> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.begun.add_permits(1);
        self.let_go.acquire().await.unwrap().forget();
        Ok(Some(User::remote(update.id)))
    }

    fn carrier(&self, _: &str) -> Option<String> {
        None
    }
}

impl Connectors for Vendor {
    fn connect(&self, _: &LinkedAccount) -> Result<Arc<dyn Connector>, Error> {
        Ok(Arc::new(self.clone()))
    }
}

/// Who waits for a turn for no time at all, or for ever; and how many have begun to.
struct Waits {
    patient: bool,
    begun: Arc<Semaphore>,
}

#[async_trait]
impl Host for Waits {
    async fn pause(&self, millis: u64) {
        let turn = millis == TURN_MILLIS;
        if turn {
            self.begun.add_permits(1);
        }
        if self.patient || !turn {
            std::future::pending::<()>().await;
        }
    }

    fn report(&self, fault: &str) {
        panic!("{fault}")
    }
}

struct Scene {
    patchbay: Patchbay,
    gateway: Gateway,
    vendor: Vendor,
    waiting: Arc<Semaphore>,
    context: Context,
    account: LinkedAccountId,
}

impl Scene {
    async fn new(patient: bool) -> Arc<Self> {
        let patchbay = Patchbay::new().await;
        let vendor = Vendor {
            begun: Arc::new(Semaphore::new(0)),
            let_go: Arc::new(Semaphore::new(0)),
            writes: Arc::default(),
        };
        let (store, entropy) = (patchbay.store.clone(), patchbay.entropy.clone());
        let waiting = Arc::new(Semaphore::new(0));
        let waits = Waits {
            patient,
            begun: waiting.clone(),
        };
        let gateway = Gateway::new(store, Arc::new(vendor.clone()), entropy, Arc::new(waits));
        let now = patchbay.app.clock.now();
        let principal = patchbay
            .app
            .authenticator
            .principal(&patchbay.sample.keys.full, now)
            .await;
        let scene = Self {
            context: Context {
                principal: Arc::new(principal.unwrap()),
                request_id: "r".into(),
                dialect: "test",
                now,
            },
            patchbay,
            gateway,
            vendor,
            waiting,
            account: LinkedAccountId("remote".into()),
        };
        scene.keep(AccountStatus::Active).await;
        Arc::new(scene)
    }

    async fn keep(&self, status: AccountStatus) {
        let account = LinkedAccount {
            id: self.account.clone(),
            tenant: self.patchbay.sample.tenant,
            status,
            remote: Some(RemoteTarget {
                dialect: "test".to_owned(),
                base_url: "https://vendor.example".to_owned(),
                secret: SealedSecret {
                    key: "none".to_owned(),
                    sealed: String::new(),
                },
                settings: std::collections::BTreeMap::default(),
            }),
            created_at: self.context.now,
            updated_at: self.context.now,
        };
        self.patchbay.keep(Delta::PutLinkedAccount(account)).await;
    }

    /// Writes to a user, under an idempotency key of the same name.
    async fn write(&self, user: &str, key: &str) -> Result<Updated, Error> {
        let update = UpdateUser {
            patch: Box::new(UserPatch {
                title: Patch::Value("Captain".to_owned()),
                ..UserPatch::default()
            }),
            idempotency: Some(Idempotency {
                key: key.to_owned(),
                fingerprint: [0; 32],
                record: IdempotencyRecord::Finish,
            }),
            ..UpdateUser::default()
        };
        let user = UserKey::Opaque(user.to_owned());
        self.gateway
            .update_user(&self.context, Some(&self.account), &user, update)
            .await
    }

    /// Begins the same, and answers once it is under way at the vendor.
    async fn begin(
        self: &Arc<Self>,
        user: &'static str,
        key: &'static str,
    ) -> tokio::task::JoinHandle<Result<Updated, Error>> {
        let scene = self.clone();
        let write = tokio::spawn(async move { scene.write(user, key).await });
        self.vendor.begun.acquire().await.unwrap().forget();
        write
    }

    /// How many writes are recorded as begun, and not as ended.
    async fn open(&self) -> usize {
        let tenant = self.patchbay.sample.tenant;
        self.patchbay.store.open_writes(tenant, 10).await.unwrap().len()
    }

    fn writes(&self) -> usize {
        self.vendor.writes.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn who_waits_for_too_long_has_sent_nothing_and_may_come_again() {
    let scene = Scene::new(false).await;
    let first = scene.begin("han", "1").await;
    let second = scene.write("han", "2").await;
    assert!(matches!(second, Err(Error::Busy { .. })), "{second:?}");
    assert_eq!((scene.writes(), scene.open().await), (1, 1));
    let repeat = scene.write("han", "1").await;
    assert!(
        matches!(repeat, Err(Error::IdempotencyPending)),
        "a repeat does not wait for itself: {repeat:?}"
    );
    let other = scene.begin("leia", "3").await;
    scene.vendor.let_go.add_permits(3);
    for write in [first, other] {
        assert!(write.await.unwrap().unwrap().changed);
    }
    let again = scene.write("han", "2").await.unwrap();
    assert!(again.changed && !again.replayed, "the key was free");
    assert_eq!(scene.writes(), 3);
}

#[tokio::test]
async fn nothing_is_sent_to_an_account_that_was_switched_off_while_one_waited() {
    let scene = Scene::new(true).await;
    let first = scene.begin("han", "1").await;
    let waiting = scene.clone();
    let second = tokio::spawn(async move { waiting.write("han", "2").await });
    scene.waiting.acquire().await.unwrap().forget();
    assert_eq!(
        scene.open().await,
        1,
        "who only waits has begun nothing that a crash could leave open"
    );
    scene.keep(AccountStatus::Disabled).await;
    scene.vendor.let_go.add_permits(1);
    assert!(first.await.unwrap().unwrap().changed);
    let second = second.await.unwrap();
    assert!(matches!(second, Err(Error::AccountOff { .. })), "{second:?}");
    assert_eq!(scene.writes(), 1);
    assert_eq!(scene.open().await, 0);
}
