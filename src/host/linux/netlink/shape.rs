//! Holds the traffic of a host end back (tc-tbf(8)): towards the sandbox by a bucket on the host end itself, from it by
//! one on a device of its own (ifb), to which everything that comes in is led. It never touches another's device, and
//! measures nothing.
//!
//! The kernel needs sch_tbf, and for what a sandbox sends ifb, sch_ingress, cls_u32 and act_mirred besides.
use super::{
    batch::{Batch, Manner},
    mark::Mark,
    message::{self, Which},
    reply::{attributes, text_of, u32_at},
    socket::{Failure, Route, explain},
};
use crate::{
    error::{Error, Result},
    model::{
        Id, IfName,
        kernel::{Bucket, Shaper, host_end, queue},
    },
};
use netlink_packet_core::DefaultNla;
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{InfoKind, LinkAttribute, LinkInfo},
    tc::{TcAttribute, TcHandle, TcHeader, TcMessage, TcOption},
};
use std::collections::HashMap;

// include/uapi/linux/pkt_sched.h, pkt_cls.h, tc_act/tc_mirred.h
const TCA_TBF_PARMS: u16 = 1;
const TCA_TBF_RATE64: u16 = 4;
const TCA_TBF_BURST: u16 = 6;
const TCA_U32_SEL: u16 = 5;
const TCA_U32_ACT: u16 = 7;
const TCA_ACT_KIND: u16 = 1;
const TCA_ACT_OPTIONS: u16 = 2;
const TCA_MIRRED_PARMS: u16 = 2;
const TC_U32_TERMINAL: u8 = 1;
const TC_ACT_STOLEN: u32 = 4;
const TCA_EGRESS_REDIR: u32 = 1;
/// Length of a tcmsg.
const HEAD: usize = 20;
/// Of tc_tbf_qopt: where the rate and the limit stand.
const RATE: usize = 8;
const LIMIT: usize = 24;
/// Our bucket is 1:, what comes in is ffff:.
const BUCKET: TcHandle = TcHandle { major: 1, minor: 0 };
const COMING_IN: TcHandle = TcHandle { major: 0xffff, minor: 0 };

/// Makes it whole, whatever of it was there.
pub fn put(route: &mut Route, instance: &str, wanted: &Shaper) -> Result<()> {
    let end = host_end(&wanted.endpoint);
    let gone = || Error::not_found(format!("limit the bandwidth of {end}: there is no such interface"));
    let index = route.index(&end)?.ok_or_else(gone)?;
    clear(route, index)?;
    let mut batch = Batch::new();
    if let Some(bucket) = wanted.ingress {
        batch.push(Manner::Create, bucket_at(index, bucket), format!("hold back what {end} gets"));
    }
    if let Some(bucket) = wanted.egress {
        let name = queue(&wanted.endpoint);
        let through = device(route, instance, &wanted.endpoint, &name)?;
        clear(route, through)?;
        let up = message::set_link_up(Which::Index(through), []);
        batch.push(Manner::Plain, up, format!("bring {name} up"));
        batch.push(Manner::Create, bucket_at(through, bucket), format!("hold back what {end} sends"));
        batch.push(Manner::Create, doorway(index), format!("catch what {end} sends"));
        batch.push(Manner::Create, lead(index, through), format!("lead what {end} sends through {name}"));
    }
    let outcome = route.exchange(&mut batch)?;
    outcome.failures.first().map_or(Ok(()), |failure| Err(refused(&batch, failure, &end)))
}

/// Takes the limits off a host end, if it is there still.
pub fn take(route: &mut Route, endpoint: &Id) -> Result<()> {
    route.index(&host_end(endpoint))?.map_or(Ok(()), |index| clear(route, index))
}

/// The device through which the sandbox sends, if it is there and bears our mark: to be buried.
pub fn left(route: &mut Route, instance: &str, endpoint: &Id) -> Result<Option<(u32, IfName)>> {
    let name = queue(endpoint);
    let seen = route.link(&name)?;
    let ours = seen.filter(|seen| seen.alias.as_deref() == Some(&Mark::Shaper(*endpoint).alias(instance)));
    Ok(ours.map(|seen| (seen.index, name)))
}

/// Limits of a host end, and of what is led from it through the device `through`.
pub fn look(
    route: &mut Route,
    buckets: &HashMap<u32, Bucket>,
    end: u32,
    through: Option<u32>,
) -> Result<(Option<Bucket>, Option<Bucket>)> {
    let ingress = buckets.get(&end).copied();
    let Some(through) = through else { return Ok((ingress, None)) };
    // A bucket that nothing comes to differs from every wish.
    let idle = Bucket { rate: 0, burst: 0 };
    let egress = buckets.get(&through).copied().filter(|_| leads(route, end, through));
    Ok((ingress, Some(egress.unwrap_or(idle))))
}

/// Every bucket of the namespace of `route`, by the index of its interface. (Asked about one alone, the kernel answers not
/// us but all who listen, us among them: RTM_GETQDISC is told as a notice.)
pub fn buckets(route: &mut Route) -> Result<HashMap<u32, Bucket>> {
    let request = RouteNetlinkMessage::GetQueueDiscipline(TcMessage::default());
    let bodies = route.dump(request, "list bandwidth limits")?;
    Ok(bodies.iter().filter_map(|body| Some((u32_at(body, 4)?, read_bucket(body)?))).collect())
}

fn read_bucket(body: &[u8]) -> Option<Bucket> {
    let (mut kind, mut options) = (String::new(), &[][..]);
    for (key, value) in attributes(body, HEAD) {
        match key {
            1 => kind = text_of(value),
            2 => options = value,
            _ => {}
        }
    }
    let part = |wanted| attributes(options, 0).find(|(key, _)| *key == wanted).map(|(_, value)| value);
    let parameters = part(TCA_TBF_PARMS).filter(|_| kind == "tbf")?;
    let long = part(TCA_TBF_RATE64).and_then(|value| Some(u64::from_ne_bytes(value.try_into().ok()?)));
    let rate = long.or_else(|| u32_at(parameters, RATE).map(u64::from))?;
    let waiting = u32::try_from(Bucket::waiting(rate)).unwrap_or(u32::MAX);
    Some(Bucket { rate, burst: u32_at(parameters, LIMIT)?.saturating_sub(waiting) })
}

/// Is everything that comes in at `end` led to `through`?
fn leads(route: &mut Route, end: u32, through: u32) -> bool {
    let message = about(end, TcHandle::UNSPEC, COMING_IN, []);
    // Without the doorway there is no filter.
    let Ok(bodies) = route.dump(RouteNetlinkMessage::GetTrafficFilter(message), "list filters") else {
        return false;
    };
    let to = |body: &Vec<u8>| {
        let inner = |value, key| attributes(value, 0).find(|(k, _)| *k == key).map(|(_, value)| value);
        let options = attributes(body, HEAD).find(|(key, _)| *key == 2).map(|(_, value)| value)?;
        let action = inner(inner(options, TCA_U32_ACT)?, 1)?;
        // tc_mirred: five numbers that all actions have, what is done, to which interface.
        u32_at(inner(inner(action, TCA_ACT_OPTIONS)?, TCA_MIRRED_PARMS)?, 24)
    };
    bodies.iter().any(|body| to(body) == Some(through))
}

/// Nothing is held back any more. What is not there is fine.
fn clear(route: &mut Route, index: u32) -> Result<()> {
    let mut batch = Batch::new();
    for (handle, parent) in [(TcHandle::UNSPEC, TcHandle::ROOT), (COMING_IN, TcHandle::INGRESS)] {
        let request = RouteNetlinkMessage::DelQueueDiscipline(about(index, handle, parent, []));
        batch.push(Manner::Plain, request, format!("take the limit off interface {index}"));
    }
    let outcome = route.exchange(&mut batch)?;
    let missing = |failure: &&Failure| !matches!(failure.errno, libc::ENOENT | libc::EINVAL | libc::ENODEV);
    outcome.failures.iter().find(missing).map_or(Ok(()), |failure| Err(explain(&batch, failure)))
}

/// The device, made with its mark in the same send, or the one that stands.
fn device(route: &mut Route, instance: &str, endpoint: &Id, name: &IfName) -> Result<u32> {
    if let Some((index, _)) = left(route, instance, endpoint)? {
        return Ok(index);
    }
    let mut batch = Batch::new();
    let info = LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Ifb)]);
    let queues = [LinkAttribute::NumTxQueues(1), LinkAttribute::NumRxQueues(1), info];
    let request = RouteNetlinkMessage::NewLink(message::link(Which::Name(name), queues));
    batch.push(Manner::Create, request, format!("make {name}"));
    let alias = LinkAttribute::IfAlias(Mark::Shaper(*endpoint).alias(instance));
    let mark = message::set_link(Which::Name(name), [alias, message::no_autoconfiguration()]);
    batch.push(Manner::Plain, mark, format!("mark {name}"));
    if let Some(failure) = route.exchange(&mut batch)?.failures.first() {
        return Err(match failure.errno {
            libc::EEXIST => Error::conflict(format!("host interface {name} exists already and is not ours")),
            _ => refused(&batch, failure, &host_end(endpoint)),
        });
    }
    route.index(name)?.ok_or_else(|| Error::internal(format!("make {name}: it is gone again")))
}

/// A kind that the kernel does not know is ENOENT (queues, filters, actions) or EOPNOTSUPP (links).
pub(super) fn refused(batch: &Batch, failure: &Failure, end: &IfName) -> Error {
    let error = explain(batch, failure);
    match failure.errno {
        libc::ENOENT | libc::EOPNOTSUPP => {
            let causes = std::iter::once(error.message).chain(error.causes);
            let lacks = Error::unsupported(format!(
                "cannot limit the bandwidth of {end}: this kernel lacks sch_tbf, ifb, sch_ingress, cls_u32 or \
                 act_mirred; have it load them, or leave the limit away"
            ));
            causes.fold(lacks, Error::because)
        }
        _ => error,
    }
}

fn about(
    index: u32,
    handle: TcHandle,
    parent: TcHandle,
    attributes: impl IntoIterator<Item = TcAttribute>,
) -> TcMessage {
    let header = TcHeader { index: index as i32, handle, parent, ..TcHeader::default() };
    TcMessage::from_parts(header, attributes.into_iter().collect())
}

fn bucket_at(index: u32, bucket: Bucket) -> RouteNetlinkMessage {
    let mut parameters = [0; 36];
    // tc_ratespec: 1 is Ethernet, so that the kernel asks for no table of rates.
    parameters[1] = 1;
    let short = u32::try_from(bucket.rate).unwrap_or(u32::MAX);
    parameters[RATE..RATE + 4].copy_from_slice(&short.to_ne_bytes());
    parameters[LIMIT..LIMIT + 4].copy_from_slice(&bucket.limit().to_ne_bytes());
    let option = |key: u16, value: &[u8]| TcOption::Other(DefaultNla::new(key, value.to_vec()));
    let options = vec![
        option(TCA_TBF_PARMS, &parameters),
        option(TCA_TBF_RATE64, &bucket.rate.to_ne_bytes()),
        option(TCA_TBF_BURST, &bucket.burst.to_ne_bytes()),
    ];
    let attributes = [TcAttribute::Kind("tbf".to_owned()), TcAttribute::Options(options)];
    RouteNetlinkMessage::NewQueueDiscipline(about(index, BUCKET, TcHandle::ROOT, attributes))
}

fn doorway(index: u32) -> RouteNetlinkMessage {
    let kind = [TcAttribute::Kind("ingress".to_owned())];
    RouteNetlinkMessage::NewQueueDiscipline(about(index, COMING_IN, TcHandle::INGRESS, kind))
}

/// Every packet, whatever it is (u32 with one key that fits all), goes on to `through`.
fn lead(index: u32, through: u32) -> RouteNetlinkMessage {
    let mut everything = [0; 32];
    (everything[0], everything[2]) = (TC_U32_TERMINAL, 1);
    let numbers = [0, 0, TC_ACT_STOLEN, 0, 0, TCA_EGRESS_REDIR, through];
    let mirred: Vec<u8> = numbers.iter().flat_map(|number: &u32| number.to_ne_bytes()).collect();
    let action = [
        attribute(TCA_ACT_KIND, b"mirred\0"),
        attribute(TCA_ACT_OPTIONS, &attribute(TCA_MIRRED_PARMS, &mirred)),
    ];
    let actions = attribute(1, &action.concat());
    let option = |key, value: Vec<u8>| TcOption::Other(DefaultNla::new(key, value));
    let options = vec![option(TCA_U32_SEL, everything.to_vec()), option(TCA_U32_ACT, actions)];
    let attributes = [TcAttribute::Kind("u32".to_owned()), TcAttribute::Options(options)];
    let mut message = about(index, TcHandle::UNSPEC, COMING_IN, attributes);
    // Priority 1, ETH_P_ALL.
    message.header.info = 1 << 16 | u32::from((libc::ETH_P_ALL as u16).to_be());
    RouteNetlinkMessage::NewTrafficFilter(message)
}

/// Length, type, value, padded (netlink(7)).
fn attribute(key: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = ((value.len() + 4) as u16).to_ne_bytes().to_vec();
    bytes.extend(key.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
