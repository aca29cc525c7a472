//! Parties that have one device together: each has a part of it, whatever the others do.

use crate::measure::party;
use crate::stages::resharing_agrees;
use crate::{kept, shim_with, words};
use runtime::backend::Backend;
use runtime::backend::cuda::shim::{Order, Shim};
use runtime::backend::cuda::{Device, Measurable, Purpose, Share, Stream, Tuning};
use std::sync::Arc;

/// Each of three parties on a device has a third of it, but for a sixteenth that nobody has, whatever the others take.
/// Catches: a share that is not divided by the parties, no sixteenth, memory given back that still counts.
#[test]
fn a_party_has_its_share_whatever_others_take() {
    let Some(device) = shim_with(Order::Late, 320_000) else { return };
    let parties = [0; 3].map(|_| Share::of(Arc::clone(&device), 3).unwrap());
    for party in &parties {
        assert_eq!(party.memory().unwrap().total, 100_000);
        let all = party.allocate(Stream::Compute, 100_000, Purpose::Words).unwrap();
        let refused = party.allocate(Stream::Compute, 1, Purpose::Words).unwrap_err().to_string();
        assert!(refused.starts_with("a party's share of host shim") && refused.contains(" 0 are free"), "{refused}");
        party.free(Stream::Compute, all);
        assert_eq!(party.memory().unwrap().free, 100_000);
        party.allocate(Stream::Compute, 100_000, Purpose::Words).unwrap();
    }
    assert_eq!(device.memory().unwrap().free, 20_000);
    // Without shares the first takes what the others need.
    assert!(device.allocate(Stream::Compute, 20_001, Purpose::Words).is_err());
}

/// Where somebody else has taken of a share, the device says so, and the share is whole again after it.
/// Catches: bytes that count though the device refused them, free memory that does not know of others.
#[test]
fn what_a_device_refuses_is_not_in_use() {
    let Some(device) = shim_with(Order::Late, 160_000) else { return };
    let party = Share::of(Arc::clone(&device), 1).unwrap();
    let others = device.allocate(Stream::Compute, 100_000, Purpose::Words).unwrap();
    assert_eq!(party.memory().unwrap().free, 60_000);
    let refused = party.allocate(Stream::Compute, 100_000, Purpose::Words).unwrap_err().to_string();
    assert!(refused.starts_with("host shim: 100000 bytes are needed"), "{refused}");
    device.free(Stream::Compute, others);
    assert_eq!(party.memory().unwrap().free, 150_000);
    party.allocate(Stream::Compute, 150_000, Purpose::Words).unwrap();
}

/// The parties that the measuring program opens: each computes what the CPU does on a device around a device around the
/// one they have together, and a value of the size of a share has room in each of them.
/// Catches: one share for all, none at all, a device around another that leaves out what the inner one has to do.
#[test]
fn measured_parties_have_a_share_each() {
    let Some(_) = shim_with(Order::Late, 0) else { return };
    let device: Arc<dyn Measurable> = Arc::new(Shim::with(kept(), Order::Late, 320_000).unwrap());
    let open = || Ok(Arc::clone(&device));
    let parties = [0; 3].map(|_| party(&open, Tuning::default(), 3).unwrap());
    assert!(parties.iter().all(|party| resharing_agrees(&party.cuda, 40, 200)));
    let values = parties.each_ref().map(|party| party.cuda.upload(words(12_500, 1)).unwrap());
    for (party, value) in parties.iter().zip(&values) {
        let refused = party.cuda.upload(words(1, 2)).unwrap_err().to_string();
        assert!(refused.starts_with("a party's share of host shim"), "{refused}");
        assert_eq!(party.cuda.download(value).unwrap(), words(12_500, 1));
    }
    drop(values);
    assert_eq!(device.memory().unwrap().free, 320_000);
}
