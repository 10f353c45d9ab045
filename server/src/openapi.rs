//! The OpenAPI documents, one per dialect, made from the routes themselves.
//!
//! `openapi/<dialect>.json` in the repository equals [`text`]; a test holds that, and rewrites the files when `PATCHBAY_BLESS` is
//! set.

use http::StatusCode;
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem, RefOr, Schema, path::Operation,
    schema::ArrayItems, security::SecurityScheme,
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
        .for_each(|operation| {
            answers_anywhere(operation);
            describe(operation);
        });
    if let Some(components) = &mut document.components {
        components.schemas.values_mut().for_each(without_defaults);
    }
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

/// Every answer has a description, as the format demands: its status's own words where the route has none.
fn describe(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if response.description.is_empty() {
            let status = StatusCode::from_bytes(status.as_bytes()).ok();
            let reason = status
                .and_then(|status| status.canonical_reason())
                .unwrap_or("An answer");
            response.description = format!("{reason}.");
        }
    }
}

/// Takes the defaults off. They are those of the reader, for whom an absent member is null or empty, and no client is to send them: some
/// are not even of the member's type.
fn without_defaults(schema: &mut RefOr<Schema>) {
    let schema = match schema {
        RefOr::T(schema) => schema,
        RefOr::Ref(named) => {
            named.default = None;
            return;
        }
    };
    match schema {
        Schema::Object(object) => {
            object.default = None;
            object.properties.values_mut().for_each(without_defaults);
        }
        Schema::Array(array) => {
            array.default = None;
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                without_defaults(items);
            }
        }
        Schema::OneOf(one) => {
            one.default = None;
            one.items.iter_mut().for_each(without_defaults);
        }
        Schema::AllOf(all) => {
            all.default = None;
            all.items.iter_mut().for_each(without_defaults);
        }
        Schema::AnyOf(any) => {
            any.default = None;
            any.items.iter_mut().for_each(without_defaults);
        }
        _ => {}
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
