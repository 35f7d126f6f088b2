//! The restoration of a view.

use bson::rawdoc;

use crate::{
    metadata::NamespaceDocument,
    mongo::{self, DestinationDatabase, code, listing},
    sync::{
        Context, Error,
        catalog::{destination::run, time_series},
        restore::relaxation::create_command,
    },
};

/// Creates a view, or brings an existing view to the same definition.
pub(super) async fn create_view(context: &Context, view: &NamespaceDocument) -> Result<(), Error> {
    let database = context.destination.database(&view.destination.database);
    if time_series::is_view_of_buckets(&view.options) {
        return create_time_series(&database, view).await;
    }
    let create = create_command(&view.destination.collection, &view.options)?;
    match run(&database, create).await {
        Err(Error::Mongo(error)) if error.has_code(code::NAMESPACE_EXISTS) => {
            let mut command = rawdoc! { "collMod": view.destination.collection.as_str() };
            for name in ["viewOn", "pipeline"] {
                if let Ok(Some(value)) = view.options.get(name) {
                    command.append(
                        if name == "viewOn" {
                            bson::cstr!("viewOn")
                        } else {
                            bson::cstr!("pipeline")
                        },
                        value,
                    );
                }
            }
            run(&database, command).await
        }
        other => other,
    }
}

/// Creates the view of a time-series collection on its buckets. The server takes no `collMod` of its pipeline (72), and an
/// existing view changes with its buckets.
async fn create_time_series(
    database: &DestinationDatabase,
    view: &NamespaceDocument,
) -> Result<(), Error> {
    let series = &view.destination;
    if time_series::has_view(database.reads(), series).await? {
        return Ok(());
    }
    let buckets = series.buckets().collection;
    if listing::collection(database.reads(), &buckets)
        .await?
        .is_none()
    {
        // It was created on the source after the commit's time.
        return Err(mongo::Error::Reply("the buckets of the time-series collection").into());
    }
    let name = series.collection.as_str();
    run(database, create_command(name, &view.options)?).await
}
