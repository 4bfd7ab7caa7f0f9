//! Sites and the routes between them.

use std::collections::BTreeMap;

use dmos_core::{Distribution, Route, Routes};
use dmos_util::suggestion::nearest;

use super::{Problems, distributions};
use crate::document::{Path, steps};
use crate::file::{DelaysField, DistributionField, NetworkField, RouteField, SitesField};

/// Sites of groups of nodes, with the size of each group.
pub(super) struct Sites {
    names: Vec<String>,
    groups: Vec<(u32, Option<usize>)>,
}

/// Returns the sites of a network's nodes.
pub(super) fn sites(network: &NetworkField) -> Sites {
    let mut sites = Sites { names: Vec::new(), groups: Vec::new() };
    let mut indices = BTreeMap::new();
    for node in network.nodes.iter().flatten() {
        let index = node.site.as_ref().map(|name| {
            *indices.entry(name.clone()).or_insert_with(|| {
                sites.names.push(name.clone());
                sites.names.len() - 1
            })
        });
        sites.groups.push((node.count, index));
    }
    sites
}

/// Returns the routes between the nodes of a network.
pub(super) fn routes(
    sites: Sites,
    field: SitesField,
    delays: DelaysField,
    problems: &mut Problems,
    warnings: &mut Vec<String>,
) -> Routes {
    let default = default_route(delays, problems);
    if sites.names.len() > Routes::SITES_MAX || field.routes.len() > Routes::ROUTES_MAX / 2 {
        let message = format!(
            "{} sites and {} routes; the maximum is {} and {}",
            sites.names.len(),
            field.routes.len(),
            Routes::SITES_MAX,
            Routes::ROUTES_MAX / 2
        );
        problems.push((steps!["sites"], message));
        return Routes::uniform(default);
    }
    let mut routes = BTreeMap::new();
    for (nth, route) in field.routes.into_iter().enumerate() {
        let path = steps!["sites", "routes", nth];
        match ends(&route, &sites.names) {
            Ok(ends) => {
                let route = between(route, &default, &path, problems);
                let is_new = ends.iter().all(|ends| routes.insert(*ends, route.clone()).is_none());
                if !is_new {
                    problems.push((path, "another route connects the same sites; give one".to_owned()));
                }
            }
            Err(message) => problems.push((path, message)),
        }
    }
    warnings.extend(isolated(&sites.names, &routes));
    let of_nodes = sites.groups.iter().flat_map(|&(count, site)| std::iter::repeat_n(site, count as usize));
    match problems.is_empty() {
        true => Routes::between_sites(default, sites.names, of_nodes, routes),
        false => Routes::uniform(default),
    }
}

/// Returns the indices of the sites that a route connects, in each of its directions.
fn ends(route: &RouteField, names: &[String]) -> Result<Vec<(usize, usize)>, String> {
    let index = |name: &String| {
        names.iter().position(|other| other == name).ok_or_else(|| {
            let near = nearest(name, names.iter().map(String::as_str));
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            format!("no node is at a site `{name}`{near}")
        })
    };
    match (&route.between, &route.from, &route.to) {
        (Some([a, b]), None, None) if a == b => Ok(vec![(index(a)?, index(b)?)]),
        (Some([a, b]), None, None) => Ok(vec![(index(a)?, index(b)?), (index(b)?, index(a)?)]),
        (None, Some(from), Some(to)) => Ok(vec![(index(from)?, index(to)?)]),
        _ => Err("a route is `between` two sites, or `from` a site `to` a site".to_owned()),
    }
}

/// Returns a route that takes what it does not give from the default route.
fn between(field: RouteField, default: &Route, path: &Path, problems: &mut Problems) -> Route {
    let mut distribution = |field: Option<DistributionField>, default: &Distribution, key: &str| {
        let Some(DistributionField(distribution)) = field else {
            return default.clone();
        };
        let mut path = path.clone();
        path.push(key.into());
        distributions::check(&distribution, path, problems);
        distribution
    };
    let transit = distribution(field.transit, default.transit(), "transit");
    let message = distribution(field.message, default.message(), "message");
    Route::new(transit, message, field.cost)
}

/// Returns the route of `delays`.
fn default_route(delays: DelaysField, problems: &mut Problems) -> Route {
    let field = RouteField { transit: delays.transit, message: delays.message, ..RouteField::default() };
    between(field, &Route::DEFAULT, &steps!["delays"], problems)
}

/// Returns a warning for the sites that no route mentions, if there are any routes.
fn isolated(names: &[String], routes: &BTreeMap<(usize, usize), Route>) -> Option<String> {
    let is_mentioned = |site: usize| routes.keys().any(|&(from, to)| from == site || to == site);
    let isolated: Vec<_> = (0..names.len()).filter(|&site| !is_mentioned(site)).collect();
    let first = names.get(*isolated.first()?)?;
    let others = match isolated.len() - 1 {
        0 => String::new(),
        others => format!(" and {others} other sites"),
    };
    Some(format!("no route leads to or from site `{first}`{others}; `delays` applies there"))
}
