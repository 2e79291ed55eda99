//! Networks that a `[[listen]]` names: who may connect, and which balancers speak for others.

use std::net::IpAddr;

use ipnet::IpNet;
use toml::Spanned;

use super::fault::Source;
use super::validate::quoted;
use super::{Fault, bounds};

/// Networks as `203.0.113.0/24`, or single addresses; none where the key is not written.
pub(super) fn networks(
    source: &Source<'_>,
    written: Option<Spanned<Vec<Spanned<String>>>>,
) -> Result<Vec<IpNet>, Fault> {
    let Some(written) = written else { return Ok(Vec::new()) };
    let count = written.get_ref().len();
    if !(1..=bounds::NETWORKS_MAX).contains(&count) {
        let says = format_args!(
            "has {count} networks; write 1 to {}, or leave it out",
            bounds::NETWORKS_MAX
        );
        return Err(source.fault(written.span(), says));
    }
    let read = |one: Spanned<String>| {
        let net = one.get_ref().parse::<IpNet>().ok();
        net.or_else(|| one.get_ref().parse::<IpAddr>().ok().map(IpNet::from)).ok_or_else(|| {
            let says = "is no network: write one such as \"203.0.113.0/24\", or an address";
            source.fault(one.span(), quoted(&one, says))
        })
    };
    written.into_inner().into_iter().map(read).collect()
}
