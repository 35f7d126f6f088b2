//! The macro that exports a plugin type as a component.

/// Exports a plugin: `export!(MyPlugin: route)`, `export!(MyPlugin: transform)`, `export!(MyPlugin: migrate)`
/// or several, as in `export!(MyPlugin: route, transform)`. Use it once in a crate. In a native build it does
/// nothing, so that the tests of a plugin run like those of any crate.
#[macro_export]
macro_rules! export {
    ($plugin:ty: $($interface:ident),+) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::describe::exports::tidegate::plugin::describe as wit;

            struct Exported;

            ::std::thread_local! {
                static CONFIGURED: ::std::cell::OnceCell<$plugin> = const { ::std::cell::OnceCell::new() };
            }

            impl wit::Guest for Exported {
                fn describe() -> wit::Description {
                    let plugin = <$plugin as $crate::Plugin>::DESCRIPTION;
                    wit::Description {
                        name: plugin.name.to_owned(),
                        version: plugin.version.to_owned(),
                        semantics: plugin.semantics,
                        scope: plugin.scope,
                        config_schema: plugin.config_schema.to_owned(),
                    }
                }

                fn configure(config: ::std::string::String) -> Result<(), wit::ConfigError> {
                    $crate::panic::remember_panics();
                    let plugin = <$plugin as $crate::Plugin>::configure($crate::parse(&config)?)?;
                    CONFIGURED.with(|configured| configured.set(plugin)).map_err(|_plugin| {
                        wit::ConfigError::new(
                            wit::ConfigFault::NotSupported,
                            "",
                            "an instance is configured once",
                        )
                    })
                }
            }

            $crate::bindings::describe::export_describe!(Exported with_types_in $crate::bindings::describe);
            $($crate::export_interface!($plugin: $interface);)+
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! export_interface {
    ($plugin:ty: route) => {
        impl $crate::bindings::route::exports::tidegate::plugin::route::Guest for Exported {
            fn route(
                namespace: $crate::Namespace,
            ) -> Result<$crate::Decision, ::std::string::String> {
                CONFIGURED.with(|configured| match configured.get() {
                    Some(plugin) => $crate::Route::route(plugin, &namespace),
                    None => Err("route was called before configure".to_owned()),
                })
            }
        }
        $crate::bindings::route::export_route!(Exported with_types_in $crate::bindings::route);
    };
    ($plugin:ty: transform) => {
        const _: () = {
            use $crate::bindings::transform::exports::tidegate::plugin::transform as wit;

            impl wit::Guest for Exported {
                fn transform(
                    namespace: wit::Namespace,
                    documents: ::std::vec::Vec<u8>,
                ) -> Result<wit::Outcome, wit::Error> {
                    CONFIGURED.with(|configured| match configured.get() {
                        Some(plugin) => $crate::transform_batch(plugin, namespace, &documents),
                        None => Err(wit::Error::Fatal(
                            "transform was called before configure".to_owned(),
                        )),
                    })
                }
            }
        };
        $crate::bindings::transform::export_transform!(Exported with_types_in $crate::bindings::transform);
    };
    ($plugin:ty: migrate) => {
        const _: () = {
            use $crate::bindings::migrate::exports::tidegate::plugin::migrate as wit;

            impl wit::Guest for Exported {
                fn which_step() -> wit::Step {
                    $crate::step_of::<$plugin>()
                }

                fn migrate(
                    direction: wit::Direction,
                    session: ::std::vec::Vec<u8>,
                    batch: wit::Documents,
                ) -> Result<::std::vec::Vec<wit::Documents>, wit::Error> {
                    CONFIGURED.with(|configured| match configured.get() {
                        Some(plugin) => $crate::migrate_batch(plugin, direction, &session, &batch),
                        None => Err(wit::Error::Refused(
                            "migrate was called before configure".to_owned(),
                        )),
                    })
                }
            }
        };
        $crate::bindings::migrate::export_migrate!(Exported with_types_in $crate::bindings::migrate);
    };
}
