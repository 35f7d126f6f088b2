//! The generated bindings, with a world for each interface, so that a plugin exports only the interfaces that
//! it implements.

/// The bindings of `describe`.
pub mod describe {
    wit_bindgen::generate!({
        inline: "package tidegate:sdk-describe; world describes { export tidegate:plugin/describe@1.0.0; }",
        path: "../../wit/since-v1.0.0",
        runtime_path: "::tidegate_plugin_sdk::wit_bindgen::rt",
        pub_export_macro: true,
        export_macro_name: "export_describe",
        default_bindings_module: "::tidegate_plugin_sdk::bindings::describe",
    });
}

/// The bindings of `route`.
pub mod route {
    wit_bindgen::generate!({
        inline: "package tidegate:sdk-route; world routes { export tidegate:plugin/route@1.0.0; }",
        path: "../../wit/since-v1.0.0",
        runtime_path: "::tidegate_plugin_sdk::wit_bindgen::rt",
        pub_export_macro: true,
        export_macro_name: "export_route",
        default_bindings_module: "::tidegate_plugin_sdk::bindings::route",
    });
}

/// The bindings of `transform`.
pub mod transform {
    wit_bindgen::generate!({
        inline: "package tidegate:sdk-transform; world transforms { export tidegate:plugin/transform@1.0.0; }",
        path: "../../wit/since-v1.0.0",
        runtime_path: "::tidegate_plugin_sdk::wit_bindgen::rt",
        pub_export_macro: true,
        export_macro_name: "export_transform",
        default_bindings_module: "::tidegate_plugin_sdk::bindings::transform",
    });
}

/// The bindings of `migrate`.
pub mod migrate {
    wit_bindgen::generate!({
        inline: "package tidegate:sdk-migrate; world migrates { export tidegate:plugin/migrate@1.0.0; }",
        path: "../../wit/since-v1.0.0",
        runtime_path: "::tidegate_plugin_sdk::wit_bindgen::rt",
        pub_export_macro: true,
        export_macro_name: "export_migrate",
        default_bindings_module: "::tidegate_plugin_sdk::bindings::migrate",
    });
}
