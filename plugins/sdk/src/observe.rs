//! Log lines and counters, for the operators of a plugin.
//!
//! A component that calls a function of this module imports `tidegate:plugin/observe@1.1.0`, and hosts before 0.8.0
//! refuse it. Both functions are heard during [`Transform`](crate::Transform) alone, and only for documents that a sync
//! writes. In a native build, such as that of tests, they do nothing.
//!
//! ```
//! use tidegate_plugin_sdk::observe::{self, Level};
//!
//! observe::count("no_address", 1);
//! observe::log(Level::Warn, "the field `email` holds no address");
//! ```

/// The generated bindings. They are here, and not beside those of exports: a component that does not use this module keeps
/// its code and its version.
#[cfg(target_arch = "wasm32")]
mod bindings {
    wit_bindgen::generate!({
        inline: "package tidegate:sdk-observe; world observes { import tidegate:plugin/observe@1.1.0; }",
        path: "../../wit/since-v1.1.0",
        runtime_path: "::tidegate_plugin_sdk::wit_bindgen::rt",
        generate_all,
    });
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// What the plugin has done.
    Info,
    /// What a person should look at.
    Warn,
}

/// Writes a line to the host's log, if its operator allows it (`pluginLogs`, off by default). Bounded: about 1 KiB of a
/// message, 16 lines a call, and 20 lines of a plugin at once and 2 a second from then on.
pub fn log(level: Level, message: &str) {
    #[cfg(target_arch = "wasm32")]
    {
        use bindings::tidegate::plugin::observe;

        let level = match level {
            Level::Info => observe::Level::Info,
            Level::Warn => observe::Level::Warn,
        };
        observe::log(level, message);
    }
    #[cfg(not(target_arch = "wasm32"))]
    let _ = (level, message);
}

/// Adds `delta` to the counter called `name`, which operators see in `/progress` and `/metrics`. A name begins with a
/// lower-case letter, and goes on with lower-case letters, digits and `_`: 48 characters at most, and 32 names of a
/// plugin. Never make a name of the contents of a document.
pub fn count(name: &str, delta: u64) {
    #[cfg(target_arch = "wasm32")]
    bindings::tidegate::plugin::observe::count(name, delta);
    #[cfg(not(target_arch = "wasm32"))]
    let _ = (name, delta);
}
