//! The calls of the console's forms. An accepted call redirects to the console, so that a reload repeats nothing.

use std::sync::Arc;

use axum::Form;
use axum::body::Body;
use axum::extract::{Extension, FromRequest, Path, State};
use axum::http::{Request, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::page::{content, document, reader, title};
use super::view::{PageQuery, View};
use crate::api::answer::run_to_completion;
use crate::api::error::Refusal;
use crate::api::start::start_options;
use crate::api::{Control, body};
use crate::model::commit::CommitOptions;
use crate::model::plugins::{
    ComponentSwap, IncompatibilityPolicy, NamespaceSelection, SwapRequest,
};
use crate::model::{Caller, ErrorName, OperatorError, input};

/// The fields of all forms.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Fields {
    source: String,
    blocking: String,
    reversible: bool,
    users_and_roles: bool,
    users_of_admin: bool,
    options: String,
    level: String,
    sync: String,
    max_block_seconds: String,
    database: String,
    collection: String,
    component: String,
    on_incompatible: String,
}

/// Makes the call of a form.
pub(super) async fn submit<C: Control>(
    State(control): State<Arc<C>>,
    Path(call): Path<String>,
    caller: Option<Extension<Caller>>,
    body: Body,
) -> Response {
    let caller = reader(caller);
    let made = match fields(body).await {
        Ok(fields) => make(control.clone(), &call, fields).await,
        Err(refusal) => Err(refusal),
    };
    match made {
        Ok(()) => Redirect::to(&format!("/?done={call}")).into_response(),
        Err(refusal) => refused(&*control, caller, refusal).await,
    }
}

/// The console with the error, under the status that the API has for it.
async fn refused<C: Control>(control: &C, caller: Caller, refusal: Refusal) -> Response {
    let error = OperatorError::from(refusal);
    let view = View::read(control, caller, PageQuery::default()).await;
    let markup = document(&title(&view), &content(&view, Some(&error)));
    let mut response = super::html(markup);
    *response.status_mut() = crate::api::error::status(error.name);
    // For the log of calls.
    response.extensions_mut().insert(error);
    response
}

async fn fields(body: Body) -> Result<Fields, Refusal> {
    let received = body::receive_json(body).await?;
    let request = Request::post("/")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(received.bytes().to_vec()));
    let invalid = |error: &dyn std::fmt::Display| {
        let message = format!("The form is refused: {error}.");
        Refusal::new(ErrorName::InvalidField, message)
    };
    let request = request.map_err(|error| invalid(&error))?;
    let form = Form::<Fields>::from_request(request, &()).await;
    form.map(|Form(fields)| fields)
        .map_err(|error| invalid(&error))
}

async fn make<C: Control>(control: Arc<C>, call: &str, fields: Fields) -> Result<(), Refusal> {
    match call {
        "start" => {
            let options = start_options(start_body(&fields)?.to_string().as_bytes())?;
            run_to_completion(async move { control.start(options).await }).await
        }
        "pause" => run_to_completion(async move { control.pause().await }).await,
        "resume" => run_to_completion(async move { control.resume().await }).await,
        "commit" => {
            let options = commit_options(&fields)?;
            run_to_completion(async move { control.commit(options).await }).await
        }
        "reverse" => {
            check_name(&control.progress().await.sync_id, &fields.sync)?;
            run_to_completion(async move { control.reverse().await }).await
        }
        "handover" => run_to_completion(async move { control.handover().await }).await,
        "loadLevel" => {
            let level = number("level", &fields.level)?;
            let level = u8::try_from(level).unwrap_or(u8::MAX);
            if !(1..=4).contains(&level) {
                return Err(field("level", "a number from 1 to 4"));
            }
            run_to_completion(async move { control.load_level(level).await }).await
        }
        "repair" => run_to_completion(async move { control.repair_mismatches().await }).await,
        "verifyAgain" => run_to_completion(async move { control.verify_again().await }).await,
        "retryQuarantine" => {
            let retried = run_to_completion(async move { control.retry_quarantined().await });
            retried.await.map(|_summary| ())
        }
        "recopy" => {
            let selection = selection(fields)?;
            let copied = run_to_completion(async move { control.recopy(vec![selection]).await });
            copied.await.map(|_number| ())
        }
        "upgrade" => {
            let swap = swap(&fields)?;
            run_to_completion(async move { control.upgrade(swap).await }).await
        }
        other => {
            let message = format!("The console has no call '{other}'.");
            Err(Refusal::new(ErrorName::NotFound, message))
        }
    }
}

fn field(name: &str, wanted: &str) -> Refusal {
    let message = format!("Field '{name}' has to be {wanted}.");
    Refusal::new(ErrorName::InvalidField, message)
}

fn number(name: &str, text: &str) -> Result<u32, Refusal> {
    let parsed = text.trim().parse();
    parsed.map_err(|_not_a_number| field(name, "a whole number"))
}

/// The body of `POST /start`: the fields of the form, and the further options.
fn start_body(fields: &Fields) -> Result<Value, Refusal> {
    let further = fields.options.trim();
    let further = match further {
        "" => Value::Object(Map::new()),
        text => input::parse_json(text.as_bytes()).map_err(|error| {
            let message = format!("The further options are refused as JSON: {error}.");
            Refusal::new(ErrorName::InvalidJson, message)
        })?,
    };
    let Value::Object(mut options) = further else {
        return Err(field("options", "a JSON object"));
    };
    let destination = match fields.source.as_str() {
        "cluster1" => "cluster0",
        _ => "cluster1",
    };
    let mut set = |name: &str, value: Value| {
        options.entry(name).or_insert(value);
    };
    set("source", json!(fields.source));
    set("destination", json!(destination));
    if fields.reversible {
        set("reversible", json!(true));
    }
    match (fields.users_of_admin, fields.users_and_roles) {
        (true, _) => set("usersAndRoles", json!({ "admin": true })),
        (false, true) => set("usersAndRoles", json!(true)),
        (false, false) => {}
    }
    if !fields.blocking.is_empty() {
        set("enableUserWriteBlocking", json!(fields.blocking));
    }
    Ok(Value::Object(options))
}

fn commit_options(fields: &Fields) -> Result<CommitOptions, Refusal> {
    let seconds = match fields.max_block_seconds.trim() {
        "" => None,
        text => Some(number("maxBlockSeconds", text)?),
    };
    if fields.sync.trim().is_empty() {
        return Err(field("sync", "the sync's name, typed"));
    }
    let request = json!({ "maxBlockSeconds": seconds, "sync": fields.sync.trim() });
    crate::api::commit::options(request)
}

/// Refuses a reverse whose form does not name the sync.
fn check_name(sync_id: &Option<String>, typed: &str) -> Result<(), Refusal> {
    match sync_id {
        Some(name) if name == typed.trim() => Ok(()),
        _ => {
            let message = format!(
                "The typed name '{}' is not the name of the sync. Nothing was changed.",
                typed.trim()
            );
            Err(Refusal::new(ErrorName::SyncMismatch, message))
        }
    }
}

fn selection(fields: Fields) -> Result<NamespaceSelection, Refusal> {
    if fields.database.is_empty() {
        return Err(field("database", "the name of a database"));
    }
    Ok(NamespaceSelection {
        database: fields.database,
        collection: Some(fields.collection).filter(|name| !name.is_empty()),
    })
}

fn swap(fields: &Fields) -> Result<SwapRequest, Refusal> {
    let named = fields.component.split_once(' ');
    let (name, digest) = named.ok_or_else(|| field("component", "a name and a digest"))?;
    Ok(SwapRequest {
        components: vec![ComponentSwap {
            name: name.to_owned(),
            component: digest.to_owned(),
        }],
        on_incompatible: match fields.on_incompatible.as_str() {
            "recopy" => IncompatibilityPolicy::Recopy,
            _ => IncompatibilityPolicy::Refuse,
        },
    })
}
