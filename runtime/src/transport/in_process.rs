//! All parties in one process, each at its own end, for tests.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Digest, Error, HEADER_BYTES, Limits, Mesh, PARTIES_MAX, Party, Result, Shaping, Terms,
    agreement::{self, Agreement},
    frame::Header,
    mailbox::{Arrived, Mailbox, payload_limit},
    mesh::{Outbox, Parcel},
    traffic::Counters,
};
use crate::random::Key;

/// Ends for all parties, with the session agreed.
///
/// With a `seed` the session id and all pair keys follow from it, so that a test can be repeated;
/// with none they come from the operating system. `shaping` imitates a network.
pub fn network(parties: u8, seed: Option<&Key>, limits: Limits, shaping: Option<Shaping>) -> Result<Vec<Mesh>> {
    let terms = Terms {
        session: "in process".into(),
        roles: (0..parties).map(|index| format!("party {index}")).collect(),
        owners: "not stated".into(),
        plan: Digest([0; 32]),
    };
    network_with_terms(&vec![terms; usize::from(parties)], seed, limits, shaping)
}

/// As [`network`], with the terms that each party brings.
pub fn network_with_terms(
    terms: &[Terms],
    seed: Option<&Key>,
    limits: Limits,
    shaping: Option<Shaping>,
) -> Result<Vec<Mesh>> {
    let parties = match u8::try_from(terms.len()) {
        Ok(parties @ 2..=PARTIES_MAX) => parties,
        _ => {
            let count = terms.len();
            let reason = format!("{count} parties, use 2 to {PARTIES_MAX}");
            return Err(Error::Configuration(reason));
        }
    };
    for terms in terms {
        terms.check(usize::from(parties))?;
    }
    let shaping = shaping.map(Shaping::check).transpose().map_err(|reason| {
        let name = "of the in-process network".into();
        Error::Shaping { name, reason }
    })?;
    let seed = match seed {
        Some(seed) => seed.clone(),
        None => Key::fresh()?,
    };
    let mut meshes = connect(parties, limits, shaping);
    let identities = agreement::identities(&[]);
    let mut agreements = Vec::new();
    for (mesh, (terms, index)) in meshes.iter_mut().zip(terms.iter().zip(0u8..)) {
        let contribution = seed.derive("chebyshare 2026 in-process contribution", &[index]);
        agreements.push(Agreement::greet(mesh, terms, identities, *contribution.bytes()));
    }
    let mut sessions = Vec::new();
    for (mesh, agreement) in meshes.iter_mut().zip(agreements) {
        sessions.push(agreement.confirm(mesh)?);
    }
    for ((mesh, session), me) in meshes.iter_mut().zip(sessions).zip(0u8..) {
        let secret = |peer: u8| {
            let pair = [me.min(peer), me.max(peer)];
            (peer != me).then(|| seed.derive("chebyshare 2026 in-process pair secret", &pair))
        };
        agreement::conclude(mesh, session, (0..parties).map(secret).collect())?;
    }
    Ok(meshes)
}

fn connect(parties: u8, limits: Limits, shaping: Option<Shaping>) -> Vec<Mesh> {
    let mailboxes: Vec<_> = (0..parties).map(|_| Arc::new(Mailbox::new(parties))).collect();
    let counters: Vec<_> = (0..parties).map(|_| Arc::new(Counters::new(parties))).collect();
    let ends = (0..parties).map(Party);
    ends.map(|me| {
        let outbox = |to: Party| -> Option<Box<dyn Outbox>> {
            (to != me).then(|| {
                Box::new(Neighbour {
                    from: me,
                    to,
                    mailbox: mailboxes[to.index()].clone(),
                    here: counters[me.index()].clone(),
                    there: counters[to.index()].clone(),
                    limits,
                }) as Box<dyn Outbox>
            })
        };
        Mesh::new(
            me,
            (0..parties).map(Party).map(outbox).collect(),
            mailboxes[me.index()].clone(),
            counters[me.index()].clone(),
            limits,
            shaping,
        )
    })
    .collect()
}

/// The way to another party of the same process: its mailbox.
struct Neighbour {
    from: Party,
    to: Party,
    mailbox: Arc<Mailbox>,
    here: Arc<Counters>,
    there: Arc<Counters>,
    limits: Limits,
}

impl Outbox for Neighbour {
    fn put(&mut self, parcel: Parcel) {
        let Self { from, to, limits, .. } = *self;
        let limit = payload_limit(parcel.header[3], &limits);
        let header = match Header::decode(&parcel.header, from, limit) {
            Ok(header) => header,
            Err(error) => return self.mailbox.fail(error),
        };
        let bytes = (HEADER_BYTES + parcel.payload.len()) as u64;
        self.here.bytes_sent(to, parcel.kind, bytes);
        self.here.frame_sent(to, parcel.kind);
        self.there.bytes_received(from, parcel.kind, bytes);
        self.there.frame_received(from, parcel.kind);
        let ready_at: Option<Instant> = parcel.departure.map(|departure| departure.arrival(parcel.bytes()));
        let payload = parcel.payload;
        self.mailbox.arrive(from, Arrived { header, payload, ready_at });
    }

    fn drain(&mut self, _limit: Duration) -> bool {
        true
    }

    fn close(&mut self) {
        self.mailbox.ended(self.from, Error::Closed { peer: self.from });
    }
}
