//! Ways to take the maximum of a row in groups: more candidates a group are fewer rounds and more comparisons.

use crate::circuit::lower::group_sizes;
use catalogs::Ring;
use catalogs::protocol::rss3::MaximumCircuit;
use catalogs::protocol::{Model, Operation, Width};
use std::collections::BTreeMap;

/// One way: rounds and bits of one row, and the most candidates of a group, level by level.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Way {
    rounds: u32,
    bits: u64,
    groups: Vec<u8>,
}

/// The groups and joined bits of every way to take the maximum of `row` values of which no other has fewer bits and no
/// more rounds. A front is the same for all widths of as many compared bits.
pub fn front(row: usize, ring: Ring, width: Width, model: &dyn Model) -> Vec<(Vec<u8>, u8)> {
    let mut all = Vec::new();
    for joined in 1..=MaximumCircuit::MAX_JOINED {
        let costs: BTreeMap<usize, (u32, u64)> = (2..=MaximumCircuit::MAX_CANDIDATES)
            .map(|candidates| {
                let operation = Operation::Maximum { ring, width, candidates, joined };
                let bits = model.messages(operation).iter().map(|message| u64::from(message.bits)).sum();
                (usize::from(candidates), (u32::from(model.rounds(operation)), bits))
            })
            .collect();
        let mut known: BTreeMap<usize, Vec<Way>> = BTreeMap::new();
        known.insert(1, vec![Way { rounds: 0, bits: 0, groups: Vec::new() }]);
        all.extend(ways(row.max(1), &costs, &mut known).into_iter().map(|way| (way, joined)));
    }
    all.sort();
    let mut front: Vec<(Way, u8)> = Vec::new();
    for (way, joined) in all {
        if front.last().is_none_or(|(last, _)| way.bits < last.bits) {
            front.push((way, joined));
        }
    }
    // A row of one has nothing to compare; any group does.
    let some = |groups: Vec<u8>| if groups.is_empty() { vec![2] } else { groups };
    front.into_iter().map(|(way, joined)| (some(way.groups), joined)).collect()
}

fn ways(row: usize, costs: &BTreeMap<usize, (u32, u64)>, known: &mut BTreeMap<usize, Vec<Way>>) -> Vec<Way> {
    if let Some(ways) = known.get(&row) {
        return ways.clone();
    }
    let mut all = Vec::new();
    for &most in costs.keys() {
        let sizes = group_sizes(row, most);
        if sizes[0] < most && most > 2 {
            // Smaller groups are the same ones.
            continue;
        }
        let own = sizes.iter().filter_map(|size| costs.get(size));
        let (rounds, bits) = own.fold((0, 0), |(rounds, bits), cost| (cost.0.max(rounds), bits + cost.1));
        for rest in ways(sizes.len(), costs, known) {
            let groups = [&[most as u8], rest.groups.as_slice()].concat();
            all.push(Way { rounds: rounds + rest.rounds, bits: bits + rest.bits, groups });
        }
    }
    all.sort();
    let mut front: Vec<Way> = Vec::new();
    for way in all {
        if front.last().is_none_or(|last| way.bits < last.bits) {
            front.push(way);
        }
    }
    known.insert(row, front.clone());
    front
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalogs::protocol::rss3::Rss3;

    #[test]
    fn fronts_trade_rounds_for_bits() {
        for row in [1usize, 2, 3, 9, 32, 100] {
            let front = front(row, Ring::Z64, Width::of(30), &Rss3);
            let cost = |groups: &[u8], joined: u8| {
                let (mut extent, mut level, mut total) = (row, 0, (0u32, 0u64));
                while extent > 1 {
                    let most = *groups.get(level).or(groups.last()).unwrap();
                    let sizes = group_sizes(extent, usize::from(most));
                    let candidates = |size: usize| size as u8;
                    let of = |size: usize| Operation::Maximum {
                        ring: Ring::Z64,
                        width: Width::of(30),
                        candidates: candidates(size),
                        joined,
                    };
                    let sized = || sizes.iter().filter(|&&size| size > 1);
                    total.0 += sized().map(|&size| u32::from(Rss3.rounds(of(size)))).max().unwrap();
                    total.1 +=
                        sized().flat_map(|&size| Rss3.messages(of(size))).map(|m| u64::from(m.bits)).sum::<u64>();
                    (extent, level) = (sizes.len(), level + 1);
                }
                total
            };
            let costs: Vec<(u32, u64)> = front.iter().map(|(groups, joined)| cost(groups, *joined)).collect();
            assert!(costs.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 > pair[1].1), "{row}: {costs:?}");
            assert!(costs.last().is_some_and(|last| last.1 <= cost(&[2], 1).1 && last.1 <= cost(&[3], 1).1), "{row}");
            assert!(costs[0].0 <= cost(&[12], 3).0 && costs[0].0 <= cost(&[4], 4).0, "{row}");
        }
    }
}
