//! The OpenAPI documents, one per dialect, made from the routes themselves.
//!
//! `openapi/<dialect>.json` in the repository equals [`text`]; a test holds that, and rewrites the files when `PATCHBAY_BLESS` is
//! set.

use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, security::SecurityScheme,
};
use utoipa_axum::router::OpenApiRouter;

use crate::{app::App, dialects::Dialect};

/// A router for a dialect's routes, whose document declares under this name how a key is shown. The routes refer to it with
/// `security`.
pub fn router(scheme: &str, shown: SecurityScheme) -> OpenApiRouter<App> {
    let components = ComponentsBuilder::new().security_scheme(scheme, shown).build();
    OpenApiRouter::with_openapi(OpenApiBuilder::new().components(Some(components)).build())
}

/// The document of one dialect: its routes, their parameters, bodies and answers.
pub fn document(dialect: &dyn Dialect) -> OpenApi {
    let license = LicenseBuilder::new()
        .name("Apache-2.0")
        .identifier(Some("Apache-2.0"))
        .build();
    let mut document = dialect.routes().into_openapi();
    document.info = InfoBuilder::new()
        .title(format!("Patchbay, {} dialect", dialect.name()))
        .version(env!("CARGO_PKG_VERSION"))
        .license(Some(license))
        .build();
    document
}

/// The document as it is kept: indented JSON that ends with a line feed.
///
/// Fails only if the document cannot be said in JSON.
pub fn text(dialect: &dyn Dialect) -> Result<String, serde_json::Error> {
    let mut text = document(dialect).to_pretty_json()?;
    text.push('\n');
    Ok(text)
}
