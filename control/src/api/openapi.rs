//! The OpenAPI document, made from the handlers themselves.

use axum::Router;
use bytes::Bytes;
use http::{HeaderName, header};
use utoipa::OpenApi as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{
    assets, batch, channel_groups, channel_inputs, channels, collection_tasks, configurations, edges, endpoints,
    groups, key_tokens,
};
use crate::context::Context;
use crate::error::{PROBLEM_JSON, Problem};

/// Name of the bearer token in the document.
const TOKEN: &str = "administrator";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "edgepack control plane",
        description = "Administration of packaging, assets, live channels and edges"
    ),
    components(schemas(Problem))
)]
struct Base;

/// Routes of the REST interface, and the document that describes them.
pub fn administration() -> (Router<Context>, Bytes) {
    let (router, api) = parts();
    (router, Bytes::from(api.to_json().unwrap_or_default()))
}

/// The OpenAPI document.
pub fn document() -> OpenApi {
    parts().1
}

fn parts() -> (Router<Context>, OpenApi) {
    let (router, mut api) = OpenApiRouter::with_openapi(Base::openapi())
        .routes(routes!(groups::create, groups::list))
        .routes(routes!(groups::get, groups::patch, groups::delete))
        .routes(routes!(configurations::create, configurations::list))
        .routes(routes!(configurations::get, configurations::patch, configurations::delete))
        .routes(routes!(assets::create, assets::list))
        .routes(routes!(batch::create))
        .routes(routes!(assets::get, assets::patch, assets::delete))
        .routes(routes!(key_tokens::create))
        .routes(routes!(channel_groups::create, channel_groups::list))
        .routes(routes!(channel_groups::get, channel_groups::patch, channel_groups::delete))
        .routes(routes!(channels::create, channels::list))
        .routes(routes!(channels::get, channels::patch, channels::delete))
        .routes(routes!(channel_inputs::rotate_both))
        .routes(routes!(channel_inputs::rotate_one))
        .routes(routes!(endpoints::create, endpoints::list))
        .routes(routes!(endpoints::get, endpoints::patch, endpoints::delete))
        .routes(routes!(key_tokens::create_for_endpoint))
        .routes(routes!(collection_tasks::create, collection_tasks::list))
        .routes(routes!(collection_tasks::get, collection_tasks::delete))
        .routes(routes!(collection_tasks::list_all))
        .routes(routes!(edges::create, edges::list))
        .routes(routes!(edges::get, edges::patch, edges::delete))
        .split_for_parts();
    describe(&mut api);
    (router, api)
}

/// Adds what is the same for all operations: the token, and the problems that follow from the form of a request.
fn describe(api: &mut OpenApi) {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("Administrator token")).build();
    let components = api.components.get_or_insert_with(Default::default);
    components.security_schemes.insert(TOKEN.to_owned(), RefOr::T(SecurityScheme::Http(bearer)));
    api.security = Some(vec![SecurityRequirement::new(TOKEN, Vec::<String>::new())]);
    for (path, item) in &mut api.paths.paths {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            describe_problems(operation, path.contains('{'));
        }
    }
}

fn describe_problems(operation: &mut Operation, has_names: bool) {
    let mut problems = vec![(401, "No or a wrong bearer token"), (500, "An internal error")];
    if has_names {
        problems.push((404, "Something that the path names does not exist"));
    }
    if operation.request_body.is_some() {
        problems.extend([
            (400, "The body is not JSON"),
            (408, "The body did not arrive in time"),
            (413, "The body is too large"),
            (415, "The body is not declared as JSON"),
        ]);
    }
    let has_query = operation.parameters.iter().flatten().any(|parameter| match parameter {
        RefOr::T(parameter) => parameter.parameter_in == utoipa::openapi::path::ParameterIn::Query,
        RefOr::Ref(_) => false,
    });
    if operation.request_body.is_some() || has_query {
        problems.push((422, "A field or parameter is not valid"));
    }
    let responses = &mut operation.responses.responses;
    for (status, description) in problems {
        responses.entry(status.to_string()).or_insert_with(|| RefOr::T(Response::new(description)));
    }
    for (status, response) in responses {
        if let (true, RefOr::T(response)) = (status.starts_with(['4', '5']), response) {
            let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
            response.content.insert(PROBLEM_JSON.to_owned(), RefOr::T(Content::new(Some(schema))));
        }
    }
}

/// The answer to `GET /openapi.json`.
pub async fn serve(document: Bytes) -> ([(HeaderName, &'static str); 1], Bytes) {
    ([(header::CONTENT_TYPE, "application/json")], document)
}
