//! Tests of the router: the shipped filter, and guests after it.

use crate::model::options::{Json, NamespaceFilter, OnError, Regex};
use crate::model::{ErrorName, Namespace, Route, StartOptions};

use super::guest::Guest;
use super::{added, options, plugin, router_of};

fn filters(include: Vec<NamespaceFilter>, exclude: Vec<NamespaceFilter>) -> StartOptions {
    StartOptions {
        include_namespaces: include,
        exclude_namespaces: exclude,
        ..options()
    }
}

fn database(name: &str) -> NamespaceFilter {
    NamespaceFilter {
        database: Some(name.to_owned()),
        ..Default::default()
    }
}

fn database_regex(pattern: &str, options: &str) -> NamespaceFilter {
    let regex = Regex {
        pattern: pattern.to_owned(),
        options: options.to_owned(),
    };
    NamespaceFilter {
        database_regex: Some(regex),
        ..Default::default()
    }
}

#[test]
fn the_shipped_filter_decides_in_the_host() {
    let filters = filters(
        vec![database("sales"), database_regex("^HR_", "i")],
        vec![NamespaceFilter {
            collections: Some(vec!["log".to_owned()]),
            ..database("sales")
        }],
    );
    let router = router_of(&filters).expect("good filters");
    for (database, collection, route) in [
        ("sales", "orders", Route::Keep),
        ("sales", "log", Route::Skip),
        ("hr_eu", "people.old", Route::Keep),
        ("hr", "people", Route::Skip),
    ] {
        let namespace = Namespace::new(database, collection);
        let answer = router.route(&namespace).expect("an answer");
        assert_eq!(answer, route, "{namespace}");
    }
    let all = router_of(&options()).expect("no filters");
    let answer = all.route(&Namespace::new("x", "y")).expect("an answer");
    assert_eq!(answer, Route::Keep);
}

#[test]
fn one_router_serves_many_threads() {
    let router = router_of(&filters(vec![database("a")], vec![])).expect("good filters");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for i in 0..200 {
                    let kept = i % 2 == 0;
                    let namespace = Namespace::new(if kept { "a" } else { "b" }, format!("c{i}"));
                    let route = router.route(&namespace).expect("an answer");
                    assert_eq!(route, if kept { Route::Keep } else { Route::Skip });
                }
            });
        }
    });
}

#[test]
fn bad_filters_are_refused_by_name_and_field() {
    let only_collections = NamespaceFilter {
        collections: Some(vec!["c".to_owned()]),
        ..Default::default()
    };
    let mut seen = options();
    seen.plugins = vec![plugin("namespace-filter", OnError::Stop)];
    seen.plugins[0].namespaces = vec![database("a"), database_regex("(", "")];
    for (options, name, field) in [
        (
            filters(vec![database("a"), database_regex("(", "")], vec![]),
            ErrorName::InvalidRegex,
            "includeNamespaces[1].databaseRegex",
        ),
        (
            filters(vec![], vec![database_regex("a", "q")]),
            ErrorName::InvalidRegex,
            "excludeNamespaces[0].databaseRegex",
        ),
        (
            filters(vec![only_collections], vec![]),
            ErrorName::MissingField,
            "includeNamespaces[0]",
        ),
        (
            filters(vec![database("admin")], vec![]),
            ErrorName::InvalidField,
            "includeNamespaces[0].database",
        ),
        (
            seen,
            ErrorName::InvalidRegex,
            "plugins[0].namespaces[1].databaseRegex",
        ),
    ] {
        let error = router_of(&options).err().expect("a refusal");
        assert_eq!(error.name, name, "{error}");
        assert!(error.message.starts_with(&format!("{field}: ")), "{error}");
    }
}

/// Finding 46: in the host, within the deadline and the memory of a call.
#[test]
fn f46_a_pattern_that_backtracks_has_an_answer() {
    for (pattern, name, answer) in [
        ("^(a+)+$", format!("{}b", "a".repeat(60)), Route::Skip),
        ("^(a+)+$", "aaa".to_owned(), Route::Keep),
        (
            "^([a-z0-9]+_?)*$",
            "customerordersarchive2024-01".to_owned(),
            Route::Skip,
        ),
        (".*.*.*.*=.*", "a".repeat(63), Route::Skip),
    ] {
        let router = router_of(&filters(vec![database_regex(pattern, "")], vec![]))
            .expect("a pattern that compiles");
        let route = router.route(&Namespace::new(&name, "c"));
        assert_eq!(route.expect("an answer"), answer, "{pattern}: {name}");
    }
}

/// Answers with a rename to `db.coll`, of three letters and four.
fn renaming(name: &str) -> Guest<'_> {
    Guest {
        name,
        route: r#"(i32.store (i32.const 800) (i32.const 0)) (i32.store (i32.const 804) (i32.const 2))
            (i32.store (i32.const 808) (i32.const 700)) (i32.store (i32.const 812) (i32.const 3))
            (i32.store (i32.const 816) (i32.const 720)) (i32.store (i32.const 820) (i32.const 6))
            (return (i32.const 800))"#,
        ..Guest::default()
    }
}

#[test]
fn plugins_are_asked_one_behind_the_other_with_the_name_as_it_is_by_then() {
    let renaming = added(&renaming("renaming"));
    let mut options = options();
    options.plugins = vec![
        plugin(&renaming, OnError::Stop),
        // Admits `not` alone, by its name on the source, and drops namespaces with this name after earlier renames.
        plugin("namespace-filter", OnError::Stop),
    ];
    options.plugins[1].namespaces = vec![database("not")];
    options.plugins[1].config =
        Json(serde_json::json!({"excludeNamespaces": [{"database": "not"}]}));
    let router = router_of(&options).expect("good plugins");
    let route = |name| router.route(&Namespace::new(name, "c")).expect("an answer");
    assert_eq!(route("abc"), Route::Rename(Namespace::new("not", "refuse")));
    assert_eq!(route("not"), Route::Skip);

    options.plugins[1].namespaces.clear();
    let router = router_of(&options).expect("good plugins");
    let answer = router
        .route(&Namespace::new("abc", "c"))
        .expect("an answer");
    assert_eq!(
        answer,
        Route::Skip,
        "the second sees the name that the first gave"
    );
}
