//! The OpenAPI documents, one per dialect, made from the routes themselves.
//!
//! `openapi/<dialect>.json` in the repository equals [`text`]; a test holds that, and rewrites the files when `PATCHBAY_BLESS` is
//! set.

use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem, RefOr, path::Operation,
    security::SecurityScheme,
};
use utoipa_axum::router::OpenApiRouter;

use crate::{app::App, dialects::Dialect};

/// A router for a dialect's routes, whose document declares under this name how a key is shown. The routes refer to it with
/// `security`.
pub fn router(scheme: &str, shown: SecurityScheme) -> OpenApiRouter<App> {
    let components = ComponentsBuilder::new().security_scheme(scheme, shown).build();
    OpenApiRouter::with_openapi(OpenApiBuilder::new().components(Some(components)).build())
}

/// What every operation may answer, whatever it does: the layers around it say so, or the store.
const ANYWHERE: [(&str, &str); 4] = [
    ("408", "The request has timed out; see Retry-After."),
    ("414", "The path and query are too long."),
    ("500", "A fault of the server."),
    ("503", "Too much work is waiting, or the disk is full; see Retry-After."),
];

/// The document of one dialect: its routes, their parameters, bodies and answers.
pub fn document(dialect: &dyn Dialect) -> OpenApi {
    let license = LicenseBuilder::new()
        .name("Apache-2.0")
        .identifier(Some("Apache-2.0"))
        .build();
    let mut document = dialect.routes().into_openapi();
    document
        .paths
        .paths
        .values_mut()
        .flat_map(operations)
        .for_each(answers_anywhere);
    document.info = InfoBuilder::new()
        .title(format!("Patchbay, {} dialect", dialect.name()))
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "What is no operation here is refused in the same form: 404, or 405 with `Allow` where the path has other methods.",
        ))
        .license(Some(license))
        .build();
    document
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get,
        put,
        post,
        delete,
        patch,
        ..
    } = path;
    [get, put, post, delete, patch].into_iter().flatten()
}

/// Declares what is answered anywhere, in the form of the operation's 401: a dialect has one form for all refusals.
fn answers_anywhere(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    let Some(RefOr::T(refusal)) = responses.get("401").cloned() else {
        return;
    };
    for (status, description) in ANYWHERE {
        let mut refusal = refusal.clone();
        description.clone_into(&mut refusal.description);
        responses.entry(status.to_owned()).or_insert(RefOr::T(refusal));
    }
}

/// The document as it is kept: indented JSON that ends with a line feed.
///
/// Fails only if the document cannot be said in JSON.
pub fn text(dialect: &dyn Dialect) -> Result<String, serde_json::Error> {
    let mut text = document(dialect).to_pretty_json()?;
    text.push('\n');
    Ok(text)
}
