//! The transfer of users and roles: counts, and no names.

use maud::{Markup, html};

use super::quantity::count;
use super::view::View;
use crate::model::principals::{PrincipalCounts, PrincipalsProgress};

pub(super) fn render(view: &View) -> Markup {
    let options = view.progress.options.as_ref();
    let is_wanted = options.is_some_and(|options| options.users_and_roles.is_some());
    html! {
        @if is_wanted {
            section #users {
                h2 { "Users and roles" }
                @match &view.progress.principals {
                    None => p.empty { "Not checked yet." },
                    Some(PrincipalsProgress::Refused(reason)) => p.bad { "Cannot be brought over: " (reason) },
                    Some(PrincipalsProgress::Checked(counts)) => (body(counts)),
                }
            }
        }
    }
}

fn body(counts: &PrincipalCounts) -> Markup {
    let is_odd = counts.clashes + counts.overwritten + counts.missing_roles > 0;
    html! {
        dl.facts {
            div { dt { "Users that arrive" } dd { (count(counts.users)) } }
            div { dt { "Roles that arrive" } dd { (count(counts.roles)) } }
            div { dt { "Clashes that stay" } dd { (count(counts.clashes)) } }
            div { dt { "Overwritten" } dd { (count(counts.overwritten)) } }
            div { dt { "Missing roles" } dd { (count(counts.missing_roles)) } }
        }
        @if is_odd { p { a href="/api/v1/usersAndRoles" { "Their names" } ", for the role operator." } }
    }
}
