//! The restoration of a view.

use bson::rawdoc;

use crate::{
    metadata::NamespaceDocument,
    mongo::code,
    sync::{Context, Error, catalog::destination::run, restore::relaxation::create_command},
};

/// Creates a view, or brings an existing view to the same definition.
pub(super) async fn create_view(context: &Context, view: &NamespaceDocument) -> Result<(), Error> {
    let database = context.destination.database(&view.destination.database);
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
