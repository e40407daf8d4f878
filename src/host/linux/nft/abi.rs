//! Numbers of the kernel's nf_tables interface that are used in more than one file; nothing else.
//!
//! From linux/netfilter/nf_tables.h, linux/netfilter/nfnetlink.h and linux/netlink.h.

/// nfnetlink subsystem of nf_tables, the high byte of its message types.
pub const SUBSYSTEM: u16 = 10;
pub const BATCH_BEGIN: u16 = 16;
pub const BATCH_END: u16 = 17;

pub const NEWTABLE: u16 = SUBSYSTEM << 8;
pub const GETTABLE: u16 = NEWTABLE | 1;
pub const DELTABLE: u16 = NEWTABLE | 2;
pub const NEWCHAIN: u16 = NEWTABLE | 3;
pub const GETCHAIN: u16 = NEWTABLE | 4;
pub const DELCHAIN: u16 = NEWTABLE | 5;
pub const NEWRULE: u16 = NEWTABLE | 6;
pub const GETRULE: u16 = NEWTABLE | 7;
pub const DELRULE: u16 = NEWTABLE | 8;
pub const NEWSET: u16 = NEWTABLE | 9;
pub const DELSET: u16 = NEWTABLE | 11;
pub const NEWSETELEM: u16 = NEWTABLE | 12;
pub const GETSETELEM: u16 = NEWTABLE | 13;
pub const DELSETELEM: u16 = NEWTABLE | 14;
pub const NEWGEN: u16 = NEWTABLE | 15;
pub const GETGEN: u16 = NEWTABLE | 16;
/// Deletes if it is there; kernel 6.3.
pub const DESTROYSETELEM: u16 = NEWTABLE | 30;

pub const REQUEST: u16 = 1;
pub const ACK: u16 = 4;
pub const DUMP: u16 = 0x300;
pub const CREATE: u16 = 0x400;
pub const APPEND: u16 = 0x800;
/// The dump's tables changed while it ran.
pub const DUMP_INTERRUPTED: u16 = 0x10;

/// Address families of nf_tables (linux/netfilter.h).
pub const INET: u8 = 1;
pub const IPV4: u8 = 2;
pub const BRIDGE: u8 = 7;
pub const IPV6: u8 = 10;

/// Element and data attributes.
pub const LIST: u16 = 1;
pub const ELEM_KEY: u16 = 1;
pub const ELEM_DATA: u16 = 2;
pub const ELEM_FLAGS: u16 = 3;
pub const ELEM_KEY_END: u16 = 10;
pub const ELEM_INTERVAL_END: u32 = 1;
pub const DATA_VALUE: u16 = 1;
pub const DATA_VERDICT: u16 = 2;
pub const VERDICT_CODE: u16 = 1;
pub const VERDICT_CHAIN: u16 = 2;
pub const TABLE_NAME: u16 = 1;
pub const TABLE_FLAGS: u16 = 2;
/// NFT_TABLE_F_OWNER: only its socket changes it, and it ends with that; kernel 5.12.
pub const TABLE_OWNED: u32 = 2;
/// With an owner: when that is gone, it is a table like any other. Kernel 6.9.
pub const TABLE_PERSISTS: u32 = 4;
pub const TABLE_USERDATA: u16 = 6;
/// NFTA_SET_ELEM_LIST_TABLE, _SET, _ELEMENTS.
pub const LIST_TABLE: u16 = 1;
pub const LIST_SET: u16 = 2;
pub const LIST_ELEMENTS: u16 = 3;

/// Verdicts (NF_DROP, NF_ACCEPT, NFT_GOTO, NFT_RETURN).
pub const DROP: i32 = 0;
pub const ACCEPT: i32 = 1;
pub const GOTO: i32 = -4;
pub const RETURN: i32 = -5;
