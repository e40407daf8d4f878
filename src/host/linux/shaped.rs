//! A look at the limits of one host end, in the network namespace of whoever asks; it changes nothing.
use super::netlink::{Route, shape};
use crate::{
    error::Result,
    model::{
        Id,
        kernel::{Bucket, host_end, queue},
    },
};

/// Bytes a second, where something is held back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shaped {
    pub ingress: Option<u64>,
    pub egress: Option<u64>,
}

/// What stands for this endpoint; nothing if it has no host end here.
pub fn look(endpoint: &Id) -> Result<Shaped> {
    let mut route = Route::open()?;
    let Some(end) = route.index(&host_end(endpoint))? else { return Ok(Shaped::default()) };
    let buckets = shape::buckets(&mut route)?;
    let through = route.index(&queue(endpoint))?;
    let (ingress, egress) = shape::look(&mut route, &buckets, end, through)?;
    let rate = |bucket: Option<Bucket>| bucket.map(|bucket| bucket.rate);
    Ok(Shaped { ingress: rate(ingress), egress: rate(egress) })
}
