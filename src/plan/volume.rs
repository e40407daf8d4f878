//! What a volume wants of the kernel while a runtime has it mounted.
use crate::model::{
    Volume,
    kernel::{Item, VolumeMount},
};

/// Nothing for one whose data is a plain directory, or that nobody has mounted.
pub fn items(volume: &Volume) -> Vec<Item> {
    match volume.mounts.is_empty() {
        true => Vec::new(),
        false => mount(volume).into_iter().collect(),
    }
}

/// The mount over a volume's data, if its options name one.
pub fn mount(volume: &Volume) -> Option<Item> {
    let mount = VolumeMount { volume: volume.name.to_string(), options: volume.options.clone() };
    volume.options.contains_key("type").then_some(Item::VolumeMount(mount))
}
