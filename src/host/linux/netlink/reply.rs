//! What the kernel answers, cut out of raw bytes (netlink(7), include/uapi/linux/netlink.h); it never interprets it.

/// Length of a netlink message head.
pub(super) const HEAD: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;
/// Type bits of an attribute: the two highest are flags (nested, byte order).
const ATTRIBUTE_TYPE: u16 = 0x3fff;

/// One message of an answer.
pub(super) struct Answer<'a> {
    pub kind: u16,
    pub flags: u16,
    pub sequence: u32,
    pub body: &'a [u8],
}

/// An acknowledgement (`errno` 0) or a failure, with the kernel's own words if it had any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub errno: i32,
    pub text: Option<String>,
}

/// The messages in one datagram; a message with an impossible length ends them.
pub(super) fn answers(datagram: &[u8]) -> impl Iterator<Item = Answer<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let length = u32_at(rest, 0)? as usize;
        let body = rest.get(HEAD..length)?;
        let answer =
            Answer { kind: u16_at(rest, 4)?, flags: u16_at(rest, 6)?, sequence: u32_at(rest, 8)?, body };
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(answer)
    })
}

/// The attributes that follow a fixed head of `skip` bytes.
pub(super) fn attributes(body: &[u8], skip: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = body.get(skip..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let value = rest.get(4..length)?;
        let kind = u16_at(rest, 2)? & ATTRIBUTE_TYPE;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

impl Answer<'_> {
    /// Some if this is an acknowledgement, an error or the end of a dump.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        match self.kind {
            NLMSG_ERROR => Some(Verdict { errno: i32_at(self.body, 0)?.saturating_neg(), text: self.text() }),
            NLMSG_DONE => {
                Some(Verdict { errno: i32_at(self.body, 0).unwrap_or(0).saturating_neg(), text: None })
            }
            _ => None,
        }
    }

    fn text(&self) -> Option<String> {
        if self.flags & NLM_F_ACK_TLVS == 0 {
            return None;
        }
        let echoed = if self.flags & NLM_F_CAPPED != 0 { HEAD } else { u32_at(self.body, 4)? as usize };
        let (_, value) = attributes(self.body, 4 + echoed.next_multiple_of(4))
            .find(|(kind, _)| *kind == NLMSGERR_ATTR_MSG)?;
        Some(text_of(value))
    }
}

/// A string attribute, up to its closing zero.
pub(super) fn text_of(value: &[u8]) -> String {
    let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
pub(super) fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_lengths_end_the_walk() {
        for bytes in [&[][..], &[0; 16], &[3, 0, 0, 0], &[0xff; 40], &[17, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(answers(bytes).count(), 0, "{bytes:?}");
        }
        for bytes in [&[][..], &[0, 0, 0, 0], &[3, 0, 1, 0], &[9, 0, 1, 0, 1]] {
            assert_eq!(attributes(bytes, 0).count(), 0, "{bytes:?}");
        }
        assert_eq!(attributes(&[5, 0, 1, 0x80, 7, 0, 0, 0, 4, 0, 2, 0], 0).count(), 2);
    }
    #[test]
    fn an_error_that_no_kernel_gives_is_still_one() {
        let answer = Answer { kind: NLMSG_ERROR, flags: 0, sequence: 1, body: &i32::MIN.to_ne_bytes() };
        assert_eq!(answer.verdict().map(|verdict| verdict.errno), Some(i32::MAX));
    }
}
